/** The queue as the commands use it: over the control socket of a running server, or on the files of a stopped one. */

import type { DestinationStatus, QueueControl } from "../queue/queue_control.ts";
import type { Suspension } from "../queue/suspensions.ts";
import type { ChangeResult, QueueChange, QueueStatus, ReportRun } from "./protocol.ts";

/** What can be asked. All of it may reject with the errors of the socket or the disk. */
export interface QueueAccess extends Disposable {
  /** Changes messages, each for itself; one result for each id, in their order. */
  change(change: QueueChange, ids: readonly string[]): Promise<readonly ChangeResult[]>;
  /** As {@linkcode QueueControl.suspend}. */
  suspend(pattern: string, reason: string): Promise<boolean>;
  /** As {@linkcode QueueControl.resume}. */
  resume(pattern: string): Promise<boolean>;
  /** As {@linkcode QueueControl.suspensions}. */
  suspensions(): Promise<readonly Suspension[]>;
  /** As {@linkcode QueueControl.destinations}. */
  destinations(): Promise<readonly DestinationStatus[]>;
  /** Where these addresses lead to; without those of which it is not known. */
  destinationsOf(addresses: readonly string[]): Promise<ReadonlyMap<string, string>>;
}

/** What only a running server can do. */
export interface RunningQueue extends QueueAccess {
  /** How much there is to do. */
  status(): Promise<QueueStatus>;
  /** Takes no new mail from now on, or takes it again. */
  drain(isDraining: boolean): Promise<QueueStatus>;
  /** Sends the reports that are due. */
  sendReports(): Promise<ReportRun>;
}

/** Messages changed at the same time: each change waits for the disk. */
const AT_A_TIME = 16;

/** Changes messages one batch after the other; what goes wrong with one of them is its result. */
export async function changeAll(
  control: QueueControl,
  change: QueueChange,
  ids: readonly string[],
): Promise<ChangeResult[]> {
  const results: ChangeResult[] = [];
  for (let at = 0; at < ids.length; at += AT_A_TIME) {
    const batch = ids.slice(at, at + AT_A_TIME).map((id) => changeOne(control, change, id));
    results.push(...await Promise.all(batch));
  }
  return results;
}

/** The destinations of addresses, as far as they are known. */
export function destinationsOf(control: QueueControl, addresses: readonly string[]): ReadonlyMap<string, string> {
  return new Map(addresses.flatMap((address) => {
    const key = control.destinationOf(address);
    return key === undefined ? [] : [[address, key] as const];
  }));
}

/** A queue in this process, such as a stopped one, as the commands use it. */
export function accessTo(control: QueueControl & Disposable): QueueAccess {
  return {
    change: (change, ids) => changeAll(control, change, ids),
    suspend: (pattern, reason) => control.suspend(pattern, reason),
    resume: (pattern) => control.resume(pattern),
    suspensions: () => Promise.resolve(control.suspensions()),
    destinations: () => Promise.resolve(control.destinations()),
    destinationsOf: (addresses) => Promise.resolve(destinationsOf(control, addresses)),
    [Symbol.dispose]: () => control[Symbol.dispose](),
  };
}

async function changeOne(control: QueueControl, change: QueueChange, id: string): Promise<ChangeResult> {
  try {
    const result = change.action === "fail" ? await control.fail(id, change.reason) : await control[change.action](id);
    return { id, result };
  } catch (error) {
    return { id, result: "error", reason: error instanceof Error ? error.message : String(error) };
  }
}
