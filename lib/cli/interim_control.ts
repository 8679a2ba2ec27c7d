/** Stands in for the control of the running queue until `QueueRunner` is a `QueueControl` itself; then this file goes. */

import type { ControlResult, QueueControl } from "../queue/queue_control.ts";
import type { QueueRunner } from "../queue/runner.ts";
import type { SuspensionStore } from "../queue/suspensions.ts";

/** Can retry and keep suspensions, which nothing heeds yet. */
export function interimControl(queue: Pick<QueueRunner, "retry">, suspensions: SuspensionStore): QueueControl {
  const notYet = (): Promise<ControlResult> => Promise.reject(new Error("not while the server runs, in this version"));
  return {
    retry: async (queueId) => await queue.retry(queueId) ? "done" : "busy",
    hold: notYet,
    release: notYet,
    remove: notYet,
    fail: notYet,
    suspend: (pattern, reason) => suspensions.add(pattern, reason),
    resume: (pattern) => suspensions.remove(pattern),
    suspensions: () => suspensions.list(),
    destinations: () => [],
    destinationOf: () => undefined,
  };
}
