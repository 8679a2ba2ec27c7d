/** What operators ask of a queue that runs; of one that does not, `stopped_queue.ts`. */

import type { Clock } from "../system/clock.ts";
import type { ActiveQueue } from "./active_queue.ts";
import type { DeliveryJob } from "./active_message.ts";
import type { Route } from "./attempt.ts";
import { concurrencyOf, type DestinationState } from "./destination.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { HopDestinations } from "./hop_destinations.ts";
import { applyEvent } from "./journal.ts";
import { type Changes, givenUp, held, released, retried } from "./operator_events.ts";
import type { ControlResult, DestinationStatus, QueueControl } from "./queue_control.ts";
import type { QueueSettings } from "./queue_settings.ts";
import type { QueuedMessage, Spool } from "./spool.ts";
import type { Suspension, SuspensionStore } from "./suspensions.ts";
import type { WaitingRoom } from "./waiting_room.ts";

/** What it works on. */
export interface RunningQueueOptions {
  /** The messages. */
  readonly spool: Spool;
  /** The time. */
  readonly clock: Clock;
  /** Where recipients go. */
  readonly route: Route;
  /** Those that wait. */
  readonly room: WaitingRoom;
  /** Those that are worked on. */
  readonly active: ActiveQueue;
  /** The destinations. */
  readonly remote: Dispatcher<DeliveryJob>;
  /** Where hops lead. */
  readonly hops: HopDestinations;
  /** What is suspended. */
  readonly suspensions: SuspensionStore;
  /** What destinations are allowed. */
  readonly settings: () => QueueSettings;
  /** Takes a message back into the queue; `isForced`: it is begun now, whatever is known of its destination. */
  readonly putBack: (message: QueuedMessage, isForced: boolean) => void;
  /** Takes back a message that cannot be read for now. */
  readonly lookLater: (queueId: string) => void;
  /** What was suspended may go on. */
  readonly resumed: (pattern: string) => void;
}

/** A queue that runs, as operators see it. */
export class RunningQueue implements QueueControl {
  readonly #options: RunningQueueOptions;
  /** Messages that are being changed: neither waiting nor worked on. */
  readonly #changing: Set<string> = new Set();

  /** Takes the parts of the queue. */
  constructor(options: RunningQueueOptions) {
    this.#options = options;
  }

  retry(queueId: string): Promise<ControlResult> {
    return this.#change(queueId, retried, true);
  }

  hold(queueId: string): Promise<ControlResult> {
    return this.#change(queueId, held);
  }

  release(queueId: string): Promise<ControlResult> {
    return this.#change(queueId, released);
  }

  fail(queueId: string, reason: string): Promise<ControlResult> {
    return this.#change(queueId, givenUp(reason));
  }

  async remove(queueId: string): Promise<ControlResult> {
    return await this.#withMessage(queueId, async () => {
      await this.#options.spool.remove(queueId);
      return true;
    });
  }

  async suspend(pattern: string, reason: string): Promise<boolean> {
    return await this.#options.suspensions.add(pattern, reason);
  }

  async resume(pattern: string): Promise<boolean> {
    const wasSuspended = await this.#options.suspensions.remove(pattern);
    if (wasSuspended) this.#options.resumed(pattern);
    return wasSuspended;
  }

  suspensions(): readonly Suspension[] {
    return this.#options.suspensions.list();
  }

  destinations(): readonly DestinationStatus[] {
    return Array.from(this.#options.remote.states(), ({ key, state, waiting }) => this.#status(key, state, waiting));
  }

  destinationOf(address: string): string | undefined {
    const decision = this.#options.route(address, { isOnFallback: false });
    if (decision.kind !== "hop" || decision.hop.kind === "maildir") return undefined;
    const { key, kind } = decision.hop;
    return this.#options.hops.destinationOf(key) ?? (kind === "mx" ? undefined : key);
  }

  async #change(queueId: string, changes: Changes, isForced = false): Promise<ControlResult> {
    const { spool, clock } = this.#options;
    return await this.#withMessage(queueId, async (message) => {
      const events = changes(message, new Date(clock.now()).toISOString());
      if (events.length > 0) await spool.append(queueId, events);
      for (const event of events) applyEvent(message, event);
      return false;
    }, isForced);
  }

  /** Takes the message out of the queue, changes it, and puts back what came of it, unless the action says that it is gone. */
  async #withMessage(
    queueId: string,
    action: (message: QueuedMessage) => Promise<boolean>,
    isForced = false,
  ): Promise<ControlResult> {
    const { room, active, putBack } = this.#options;
    if (this.#changing.has(queueId) || room.isLoading(queueId)) return "busy";
    if (!room.remove(queueId)) {
      const withdrawn = active.withdraw(queueId);
      if (withdrawn !== "withdrawn") return withdrawn;
    }
    this.#changing.add(queueId);
    let message: QueuedMessage | undefined;
    let isGone = false;
    try {
      message = await this.#load(queueId);
      if (message === undefined) return "unknown";
      isGone = await action(message);
      return "done";
    } finally {
      this.#changing.delete(queueId);
      if (message !== undefined && !isGone) putBack(message, isForced);
      room.look();
    }
  }

  /** What cannot be read now stays in the queue, as for any other attempt. */
  async #load(queueId: string): Promise<QueuedMessage | undefined> {
    try {
      return await this.#options.spool.load(queueId);
    } catch (error) {
      this.#options.lookLater(queueId);
      throw error;
    }
  }

  #status(key: string, state: DestinationState, waiting: number): DestinationStatus {
    const { clock, suspensions, settings } = this.#options;
    const { closure, running, loweredBy } = state;
    const limits = settings().limitsOf(key);
    const nowMs = clock.monotonic();
    const wallOf = (ms: number): number => Math.round(clock.now() + ms - nowMs);
    const rateWaitMs = limits.rate === undefined ? 0 : state.rate.waitMs(limits.rate, nowMs);
    const reason = (closure?.reason ?? loweredBy)?.text;
    const isProbing = closure !== undefined && running > 0;
    const isSuspended = suspensions.matches(key, "") !== undefined;
    const kind = isProbing ? "probing" : closure !== undefined ? "down" : loweredBy !== undefined ? "limited" : "open";
    return {
      key,
      state: isSuspended ? "suspended" : kind,
      running,
      waiting,
      concurrency: concurrencyOf(state, limits),
      ...(closure !== undefined && { probeMs: wallOf(closure.untilMs), sinceMs: closure.sinceMs }),
      ...(reason !== undefined && { reason }),
      ...(rateWaitMs > 0 && { rateLimitedUntilMs: wallOf(nowMs + rateWaitMs) }),
    };
  }
}
