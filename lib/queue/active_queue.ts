/**
 * The messages that are worked on: each is routed, its recipients are handed over by next hop, and what became of them is
 * noted. What is due when is the waiting room's, what may run at the same time the dispatchers'; what follows an attempt is
 * the settler's.
 */

import type { Logger } from "../log/logger.ts";
import type { Fallback, NextHop } from "../delivery/next_hop.ts";
import { domainOf } from "../mail/mailbox.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { Clock } from "../system/clock.ts";
import { type ActiveMessage, activeMessage, canDrop, type DeliveryJob, heldOctets } from "./active_message.ts";
import {
  attemptEvents,
  type Deliver,
  deliverSafely,
  fallbackOf,
  logAttempt,
  logDoubleBounce,
  type Route,
  routeSafely,
  transactionKey,
} from "./attempt.ts";
import { overdueOutcome } from "./deadline.ts";
import type { Verdict } from "./destination.ts";
import type { Dispatcher, SubmitOptions } from "./dispatcher.ts";
import type { HopDestinations } from "./hop_destinations.ts";
import { applyEvent, isPending, isUnreported } from "./journal.ts";
import { logPostponed, postponedEvents, type Postponement, postponementOf, suspension } from "./postponement.ts";
import type { ScheduleSettings } from "./schedule.ts";
import type { Settler } from "./settler.ts";
import type { QueuedMessage, Spool, SpoolEvent } from "./spool.ts";
import type { Suspension, SuspensionStore } from "./suspensions.ts";
import { verdictOf } from "./verdict.ts";

/** Says where a hop leads; a promise where DNS has to be asked. Never rejects. */
export type DestinationOf = (hop: NextHop, signal: AbortSignal) => string | Promise<string>;

/** What it works with. */
export interface ActiveQueueOptions {
  /** For messages that are not in memory. */
  readonly spool: Spool;
  /** The time. */
  readonly clock: Clock;
  /** One line for each attempt, and all that goes wrong. */
  readonly logger: Logger;
  /** A number from 0 to below 1. */
  readonly random: () => number;
  /** Says where a recipient goes next. */
  readonly route: Route;
  /** Takes a message one hop further. */
  readonly deliver: Deliver;
  /** The destination of a hop that is reached over the network. */
  readonly destinationOf: DestinationOf;
  /** What is known of that. */
  readonly hops: HopDestinations;
  /** What operators have suspended. */
  readonly suspensions: Pick<SuspensionStore, "matches" | "list">;
  /** The schedule now. */
  readonly settings: () => ScheduleSettings;
  /** Jobs for mailboxes here. */
  readonly local: Dispatcher<DeliveryJob>;
  /** Jobs for other hosts. */
  readonly remote: Dispatcher<DeliveryJob>;
  /** What follows an attempt. */
  readonly settler: Settler;
  /** Messages that wait for a free delivery are kept in memory up to this much. */
  readonly memoryOctets: number;
  /** Lets a message wait on disk until its destination has room. */
  readonly park: (message: QueuedMessage) => void;
  /** Aborted when running deliveries are to end. */
  readonly abort: AbortSignal;
}

/** How a message is begun. */
export interface BeginOptions {
  /** It was tried before, or waited on disk. */
  readonly isOld: boolean;
  /** An operator wants it tried, whatever is known of its destination. */
  readonly isForced?: boolean;
  /** Its sender is to hear of it now, even where its destination takes nothing. */
  readonly isAtDeadline?: boolean;
}

/** The messages at work. */
export class ActiveQueue {
  readonly #options: ActiveQueueOptions;
  readonly #logger: Logger;
  readonly #active: Map<string, ActiveMessage> = new Map();
  #freeOctets: number;
  #fromDisk = 0;

  /** Starts empty. */
  constructor(options: ActiveQueueOptions) {
    this.#options = options;
    this.#logger = options.logger;
    this.#freeOctets = options.memoryOctets;
  }

  /** How many there are. */
  get size(): number {
    return this.#active.size;
  }

  /** How many of them were read from disk, or tried before. */
  get fromDisk(): number {
    return this.#fromDisk;
  }

  /** The queue ids. */
  keys(): Iterable<string> {
    return this.#active.keys();
  }

  /** All of them. */
  messages(): Iterable<ActiveMessage> {
    return this.#active.values();
  }

  /** True for a message that is worked on. */
  has(queueId: string): boolean {
    return this.#active.has(queueId);
  }

  /** True for this message, unless it was handed back. */
  isActive(active: ActiveMessage): boolean {
    return this.#active.get(active.queueId) === active;
  }

  /** Routes the recipients that are due and hands them over, grouped by next hop. */
  begin(message: QueuedMessage, begin: BeginOptions): void {
    const { queueId } = message;
    // Somebody else was faster: two at work on one message would deliver it twice.
    if (this.#active.has(queueId)) return;
    const active = activeMessage(message, begin.isOld);
    this.#active.set(queueId, active);
    if (active.isOld) this.#fromDisk++;
    const plan = this.#plan(message);
    active.openJobs = plan.groups.size;
    if (plan.refused.length > 0) this.#note(active, message, plan.refused, plan.refusals, "routing");
    for (const [suspended, recipients] of plan.suspended) {
      this.#postpone(active, message, recipients, suspension(suspended, this.#options.settings()));
    }
    this.#hold(active, message);
    for (const { hop, recipients } of plan.groups.values()) this.#locate({ active, hop, recipients }, message, begin);
    if (plan.refused.length > 0 || plan.suspended.size > 0 || plan.groups.size === 0) {
      this.#options.settler.settle(active);
    } else this.#dropIfUnheld(active);
  }

  /** Does one job: one attempt for some recipients of a message. */
  async run(job: DeliveryJob, judge: (verdict: Verdict) => void): Promise<void> {
    const { active } = job;
    active.runningJobs++;
    const message = active.message ?? await this.#loadActive(active);
    if (message !== undefined) judge(await this.#attempt(job, message));
    active.runningJobs--;
    active.openJobs--;
    // Before the next one starts: while the disk is slow, few outcomes are known to nobody but us.
    await this.#options.settler.settle(active);
    this.#dropIfUnheld(active);
  }

  async #attempt(job: DeliveryJob, message: QueuedMessage): Promise<Verdict> {
    const { hop, active } = job;
    const { queueId, envelope, content } = message;
    const { clock, deliver, abort } = this.#options;
    const indexes = inTurn(this.#withoutSuspended(job, message), message);
    if (indexes.length === 0) return { kind: "neutral" };
    const recipients = indexes.flatMap((index) => envelope.recipients[index] ?? []);
    const overdue = overdueOutcome(envelope, clock.now());
    const request = { queueId, envelope, content, hop, recipients, signal: abort };
    const outcomes = overdue === undefined
      ? await deliverSafely(deliver, request, this.#logger)
      : recipients.map(() => overdue);
    this.#note(active, message, indexes, outcomes, hop.key);
    return overdue === undefined && !abort.aborted ? verdictOf(outcomes) : { kind: "neutral" };
  }

  /** Takes back a job whose destination takes nothing for now: it is postponed. */
  async giveBack(job: DeliveryJob, key: string): Promise<void> {
    const { clock, remote, random } = this.#options;
    await this.#giveBack(job, () => {
      const postponement = postponementOf(key, remote.stateOf(key), clock.monotonic());
      // They shall not all come at once: one looks, and the others follow when it was taken.
      return { ...postponement, waitMs: postponement.waitMs * (1 + 0.1 * random()) };
    });
  }

  /**
   * Takes a message back before any of its jobs has run, for an operator who changes it.
   *
   * @returns `busy` where it is being delivered or recorded, `unknown` where it is not worked on.
   */
  withdraw(queueId: string): "withdrawn" | "busy" | "unknown" {
    const active = this.#active.get(queueId);
    if (active === undefined) return "unknown";
    if (!canDrop(active)) return "busy";
    active.isWithdrawn = true;
    this.forget(active);
    return "withdrawn";
  }

  /** Forgets a message: it is removed, or waits. */
  forget(active: ActiveMessage): void {
    this.#freeOctets += active.heldOctets;
    active.heldOctets = 0;
    if (this.#active.delete(active.queueId) && active.isOld) this.#fromDisk--;
  }

  #plan(message: QueuedMessage): Plan {
    const { envelope } = message;
    const plan: Plan = { groups: new Map(), refused: [], refusals: [], suspended: new Map() };
    const overdue = overdueOutcome(envelope, this.#options.clock.now());
    for (const index of this.#dueRecipients(message)) {
      const address = envelope.recipients[index]?.address ?? "";
      const route = overdue ?? routeSafely(this.#options.route, message, index, this.#logger);
      if (!("key" in route)) {
        plan.refused.push(index);
        plan.refusals.push(route);
        continue;
      }
      const suspended = route.kind === "maildir" ? undefined : this.#options.suspensions.matches("", domainOf(address));
      if (suspended === undefined) {
        const key = transactionKey(route, envelope.recipients[index]);
        orAdd(plan.groups, key, () => ({ hop: route, recipients: [] })).recipients.push(index);
      } else orAdd(plan.suspended, suspended, () => []).push(index);
    }
    return plan;
  }

  /** Finds the destination of a job, and submits it there. */
  #locate(job: DeliveryJob, message: QueuedMessage, begin: BeginOptions): void {
    const { hop, active } = job;
    const { envelope } = message;
    const { local, remote, hops, destinationOf, abort } = this.#options;
    const options: SubmitOptions = {
      ...(envelope.priority !== undefined && { priority: envelope.priority }),
      isOld: begin.isOld,
      isForced: begin.isForced ?? false,
    };
    if (hop.kind === "maildir") return local.submit(hop.key, job, options);
    const submit = (key: string): void => {
      // What is parked for the hop waits for the new destination now.
      if (hops.learn(hop.key, key)) remote.look(key);
      if (active.isWithdrawn) return;
      const suspended = this.#options.suspensions.matches(key, "");
      if (suspended !== undefined) this.#giveBack(job, () => suspension(suspended, this.#options.settings()));
      // It would only wait for its turn, in memory, and its sender is to hear of it now.
      else if (begin.isAtDeadline && !remote.takes(key)) this.giveBack(job, key);
      else if (this.#isBetterParked(active, key, begin)) {
        this.forget(active);
        this.#options.park(message);
      } else remote.submit(key, job, options);
    };
    const key = destinationOf(hop, abort);
    if (typeof key === "string") submit(key);
    else key.then(submit);
  }

  /** The message has nothing to do but to wait for this destination, and memory is short or the wait is long. */
  #isBetterParked(active: ActiveMessage, key: string, { isForced = false }: BeginOptions): boolean {
    if (active.openJobs > 1 || !canDrop(active)) return false;
    const { remote } = this.#options;
    // A forced one may look at a closed destination; where one is only busy or slow, it waits for its turn like all.
    return remote.isFull(key) || (!isForced && active.heldOctets === 0 && !remote.takes(key));
  }

  async #giveBack(job: DeliveryJob, postponement: () => Postponement): Promise<void> {
    const { active, recipients } = job;
    if (active.isWithdrawn) return;
    const message = active.message ?? await this.#loadActive(active);
    if (active.isWithdrawn) return;
    if (message !== undefined) this.#postpone(active, message, recipients, postponement());
    active.openJobs--;
    await this.#options.settler.settle(active);
  }

  /** The recipients of a job, without those that an operator has suspended since: these are postponed. */
  #withoutSuspended({ active, hop, recipients }: DeliveryJob, message: QueuedMessage): readonly number[] {
    const { suspensions, hops, settings } = this.#options;
    if (hop.kind === "maildir" || suspensions.list().length === 0) return recipients;
    const destination = hops.destinationOf(hop.key) ?? hop.key;
    return recipients.filter((index) => {
      const domain = domainOf(message.envelope.recipients[index]?.address ?? "");
      const suspended = suspensions.matches(destination, domain);
      if (suspended !== undefined) this.#postpone(active, message, [index], suspension(suspended, settings()));
      return suspended === undefined;
    });
  }

  #postpone(
    active: ActiveMessage,
    message: QueuedMessage,
    recipients: readonly number[],
    postponement: Postponement,
  ): void {
    const { clock, settings } = this.#options;
    const fallback = this.#fallbacks(message);
    const events = postponedEvents(message, recipients, postponement, clock.now(), settings(), fallback);
    this.#take(active, message, events, "");
  }

  /**
   * The recipients whose time has come. The waiting room says that the message is due, so its earliest ones are, even where
   * the wall clock was set back since.
   */
  #dueRecipients({ recipients }: QueuedMessage): number[] {
    const pending = recipients.filter(isPending);
    const earliestMs = recipients.some(isUnreported)
      ? 0
      : pending.reduce((earliest, { nextAttemptMs }) => Math.min(earliest, nextAttemptMs), Infinity);
    const dueMs = Math.max(this.#options.clock.now(), earliestMs);
    return pending.filter((state) => state.nextAttemptMs <= dueMs).map((state) => state.index);
  }

  /** Keeps the message in memory while there is room. */
  #hold(active: ActiveMessage, message: QueuedMessage): void {
    const octets = heldOctets(message);
    if (octets > this.#freeOctets) return;
    this.#freeOctets -= octets;
    active.heldOctets = octets;
  }

  #dropIfUnheld(active: ActiveMessage): void {
    if (active.heldOctets === 0 && active.openJobs > 0 && canDrop(active)) active.message = undefined;
  }

  async #loadActive(active: ActiveMessage): Promise<QueuedMessage | undefined> {
    active.loading ??= this.#options.spool.load(active.queueId);
    try {
      active.message ??= await active.loading;
    } catch (error) {
      this.#logger.error("{queueId}: cannot read the message: {error}", { queueId: active.queueId, error });
    }
    active.loading = undefined;
    return active.message;
  }

  /** Takes the outcomes of an attempt to the state, the log, and the events that are to be recorded. */
  #note(
    active: ActiveMessage,
    message: QueuedMessage,
    recipients: readonly number[],
    outcomes: readonly Outcome[],
    hop: string,
  ): void {
    const { clock, random, settings } = this.#options;
    const fallback = this.#fallbacks(message);
    const nowMs = clock.now();
    this.#take(
      active,
      message,
      attemptEvents(message, recipients, outcomes, nowMs, settings(), random(), fallback),
      hop,
    );
  }

  #fallbacks(message: QueuedMessage): (index: number) => Fallback | undefined {
    return (index) => fallbackOf(this.#options.route, message, index);
  }

  #take(active: ActiveMessage, message: QueuedMessage, events: readonly SpoolEvent[], hop: string): void {
    for (const event of events) {
      // Delayed only because we stop: no attempt that anybody should count.
      if (this.#options.abort.aborted && event.event === "attempt" && event.outcome.action === "delayed") continue;
      applyEvent(message, event);
      active.unrecorded.push(event);
      if (event.event === "postponed") logPostponed(this.#logger, message, event);
      logAttempt(this.#logger, message, event, hop);
      logDoubleBounce(this.#logger, message, event);
    }
  }
}

/** What is to be done for the recipients of a message that are due, by index. */
interface Plan {
  readonly groups: Map<string, { readonly hop: NextHop; readonly recipients: number[] }>;
  readonly refused: number[];
  readonly refusals: Outcome[];
  readonly suspended: Map<Suspension, number[]>;
}

/**
 * Another recipient first at each attempt: a server that ends the session after some refusals would never get to the last.
 */
function inTurn(indexes: readonly number[], { recipients }: QueuedMessage): readonly number[] {
  const first = indexes.length < 2 ? 0 : (recipients[indexes[0] ?? 0]?.attempts ?? 0) % indexes.length;
  return first === 0 ? indexes : [...indexes.slice(first), ...indexes.slice(0, first)];
}

function orAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, value = make());
  return value;
}
