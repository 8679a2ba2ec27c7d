/**
 * Runs the queue: takes messages when they are due, hands the recipients that share a next hop to delivery, records what
 * became of them, and ends with every message delivered, relayed or reported.
 *
 * What is due when is `scheduler.ts`, what may run at the same time `dispatcher.ts`, one attempt `attempt.ts`, when to
 * try again `schedule.ts`. Where recipients go and how they get there is handed in.
 */

import type { Logger } from "../log/logger.ts";
import type { Fallback, NextHop } from "../delivery/next_hop.ts";
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
} from "./attempt.ts";
import { Dispatcher } from "./dispatcher.ts";
import { overdueOutcome } from "./deadline.ts";
import { Flusher } from "./flusher.ts";
import { applyEvent, isPending, isUnreported } from "./journal.ts";
import type { Reporter } from "./reporter.ts";
import { holdFor, type ScheduleSettings, waitFor } from "./schedule.ts";
import { Scheduler } from "./scheduler.ts";
import { LONGEST_REPAIR_MS, Settler } from "./settler.ts";
import type { QueuedMessage, Spool } from "./spool.ts";

/** Limits and times that a reload of the configuration may change. */
export interface QueueSettings extends ScheduleSettings {
  /** Deliveries to other hosts at the same time, all destinations together. */
  readonly concurrency: number;
  /** Deliveries to one destination at the same time. */
  readonly perDestination: number;
}

/** What the queue works with. */
export interface QueueRunnerOptions {
  /** The messages. */
  readonly spool: Spool;
  /** The time. */
  readonly clock: Clock;
  /** One line for each attempt, and all that goes wrong. */
  readonly logger: Logger;
  /** Says where a recipient goes next; asked at each attempt. */
  readonly route: Route;
  /** Takes a message one hop further. */
  readonly deliver: Deliver;
  /** Tells the sender. */
  readonly reporter: Reporter;
  /** Limits and times at the start. */
  readonly settings: QueueSettings;
  /** A number from 0 to below 1: `Math.random` is good enough. */
  readonly random: () => number;
  /** Deliveries into mailboxes of this machine at the same time: bound by the disk, not by a network. Default: 64. */
  readonly localConcurrency?: number;
  /** Messages that wait for a free delivery are kept in memory up to this much. Default: 32 MiB. */
  readonly memoryOctets?: number;
}

/** Messages read back from disk at the same time because they are due. */
const MAX_LOADS = 16;
/** Aborted deliveries get this long to say what is final: a peer that has the final dot is asked for 5 s more. */
const ABORT_GRACE_MS = 5_500;

/** The queue at work. */
export class QueueRunner implements AsyncDisposable {
  readonly #options: QueueRunnerOptions;
  readonly #logger: Logger;
  readonly #scheduler: Scheduler = new Scheduler();
  readonly #active: Map<string, ActiveMessage> = new Map();
  readonly #local: Dispatcher<DeliveryJob>;
  readonly #remote: Dispatcher<DeliveryJob>;
  readonly #abort: AbortController = new AbortController();
  /** Ends timers and waits; deliveries have their own signal. */
  readonly #stop: AbortController = new AbortController();
  readonly #settler: Settler;
  readonly #flusher: Flusher;
  #settings: QueueSettings;
  #freeOctets: number;
  #loads = 0;
  #timer: { readonly dueMs: number; readonly controller: AbortController } | undefined;
  /** While start-up lists the spool: messages that came meanwhile and must not be taken twice. */
  #cameDuringStart: Set<string> | undefined;
  #starting: Promise<void> | undefined;
  #isStopping = false;

  /** Takes its parts; nothing happens before `enqueue` or `start`. */
  constructor(options: QueueRunnerOptions) {
    this.#options = options;
    this.#logger = options.logger;
    this.#settings = options.settings;
    this.#freeOctets = options.memoryOctets ?? 32 * 1024 * 1024;
    const run = (job: DeliveryJob): Promise<void> => this.#run(job);
    const local = options.localConcurrency ?? 64;
    this.#local = new Dispatcher({ total: local, perDestination: local }, run);
    this.#remote = new Dispatcher(remoteLimits(options.settings), run);
    this.#flusher = new Flusher({ ...options, retry: (queueId) => this.retry(queueId), stop: this.#stop.signal });
    this.#settler = new Settler({
      ...options,
      warnAfterMs: () => this.#settings.warnAfterMs,
      stop: this.#stop.signal,
      isActive: (active) => this.#active.get(active.queueId) === active,
      enqueue: (report) => this.enqueue(report),
      gone: (active) => this.#forget(active),
      waits: (active, message) => this.#wait(active, message),
    });
  }

  /** Messages that are worked on, and messages that wait for their time. */
  get size(): { readonly active: number; readonly scheduled: number } {
    return { active: this.#active.size, scheduled: this.#scheduler.size };
  }

  /** Takes new settings; they hold from the next attempt on. */
  update(settings: QueueSettings): void {
    this.#settings = settings;
    this.#remote.setLimits(remoteLimits(settings));
  }

  /** Takes a message that was just committed and starts its delivery, without reading it back. */
  enqueue(message: QueuedMessage): void {
    this.#cameDuringStart?.add(message.queueId);
    // While stopping: it is durable, and the next start finds it.
    if (!this.#isStopping) this.#take(message);
  }

  /**
   * Finds the messages of the spool and begins to work on those that are due. Resolves when all are known; mail can be
   * taken before that. Where the spool cannot be read, it is tried again until it can, or until `drain`.
   */
  start(): Promise<void> {
    this.#starting ??= this.#recover();
    return this.#starting;
  }

  /** Makes a message due at once, as an operator asks; false where there is none, or it is being worked on. */
  async retry(queueId: string): Promise<boolean> {
    if (!this.#scheduler.has(queueId)) return false;
    const at = new Date(this.#options.clock.now()).toISOString();
    await this.#options.spool.append(queueId, [{ event: "retry", at }]);
    if (!this.#scheduler.has(queueId)) return false;
    this.#schedule(queueId, 0);
    return true;
  }

  /** Makes due, soon, what waits for a domain, and for those below it where `isTree`: its server asks for it (ETRN). */
  flush(domain: string, isTree: boolean): void {
    if (!this.#isStopping) this.#flusher.flush(domain, isTree);
  }

  /**
   * Stops: takes nothing new, lets running deliveries end for up to `ms` milliseconds, then aborts them. What is not
   * final then is not recorded either, and is tried again after the next start.
   */
  async drain(ms: number): Promise<void> {
    this.#isStopping = true;
    this.#stop.abort(new Error("The queue stops"));
    this.#timer?.controller.abort();
    this.#local.stop();
    this.#remote.stop();
    const idle = Promise.all([this.#local.idle(), this.#remote.idle(), this.#starting?.catch(() => {})]);
    if (!await this.#within(idle, ms)) {
      this.#abort.abort(new Error("The queue stops"));
      await this.#within(idle, ABORT_GRACE_MS);
    }
    await Promise.all([...this.#active.values()].map((active) => this.#settler.settleFinally(active)));
  }

  /** Stops at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0);
  }

  async #recover(): Promise<void> {
    const seen = new Set<string>(this.#active.keys());
    this.#cameDuringStart = seen;
    let found = 0;
    const take = ({ queueId }: QueuedMessage, waitMs: number): void => {
      // Known: it came meanwhile, or was found before the reading broke off.
      if (seen.has(queueId) || this.#active.has(queueId) || this.#scheduler.has(queueId)) return;
      found++;
      this.#schedule(queueId, waitMs);
    };
    try {
      while (!await this.#readSpool(take)) await this.#options.clock.sleep(LONGEST_REPAIR_MS, this.#stop.signal);
    } catch (error) {
      if (!this.#isStopping) throw error;
    } finally {
      this.#cameDuringStart = undefined;
    }
    this.#logger.info("Found {messages} message(s) in the queue", { messages: found });
  }

  /** Reads all of the spool; false where that broke off, which the log tells. */
  async #readSpool(take: (message: QueuedMessage, waitMs: number) => void): Promise<boolean> {
    try {
      for await (const message of this.#options.spool.recover()) {
        if (this.#isStopping) break;
        take(message, this.#waitOf(message));
      }
      return true;
    } catch (error) {
      this.#logger.error(
        "Cannot read the queue: {error}; new mail is taken, older mail waits; will try again in {waitSeconds}s",
        { error, waitSeconds: LONGEST_REPAIR_MS / 1000 },
      );
      return false;
    }
  }

  /** Milliseconds until something is to be done for the message. */
  #waitOf(message: QueuedMessage, isReportPostponed = false): number {
    const nowMs = this.#options.clock.now();
    const heldMs = this.#heldMs(message);
    if (heldMs !== undefined) return heldMs;
    let waitMs = Infinity;
    for (const state of message.recipients) {
      if (isPending(state)) waitMs = Math.min(waitMs, waitFor(state.nextAttemptMs, nowMs, this.#settings));
      else if (!state.isReported) waitMs = Math.min(waitMs, isReportPostponed ? LONGEST_REPAIR_MS : 0);
    }
    // All done, but not removed before a crash: begin, and settle will remove it.
    return waitMs === Infinity ? 0 : waitMs;
  }

  #schedule(queueId: string, waitMs: number): void {
    this.#scheduler.schedule(queueId, this.#options.clock.monotonic() + waitMs);
    this.#arm();
  }

  /** Takes what is due, and sets the timer for what comes next. */
  #tick(): void {
    while (!this.#isStopping && this.#loads < MAX_LOADS) {
      const queueId = this.#scheduler.takeDue(this.#options.clock.monotonic());
      if (queueId === undefined) break;
      this.#loads++;
      this.#loadAndBegin(queueId).finally(() => {
        this.#loads--;
        this.#tick();
      });
    }
    this.#arm();
  }

  #arm(): void {
    const dueMs = this.#scheduler.nextDueMs;
    if (dueMs === undefined || this.#isStopping || this.#loads >= MAX_LOADS) return;
    if (this.#timer !== undefined && this.#timer.dueMs <= dueMs) return;
    this.#timer?.controller.abort();
    const controller = new AbortController();
    const timer = { dueMs, controller };
    this.#timer = timer;
    const { clock } = this.#options;
    clock.sleep(dueMs - clock.monotonic(), controller.signal).then(() => {
      if (this.#timer === timer) this.#timer = undefined;
      this.#tick();
    }, () => {});
  }

  async #loadAndBegin(queueId: string): Promise<void> {
    try {
      const message = await this.#options.spool.load(queueId);
      if (message !== undefined && !this.#isStopping) this.#take(message);
    } catch (error) {
      this.#logger.error("{queueId}: cannot read the message, will try again: {error}", { queueId, error });
      this.#schedule(queueId, LONGEST_REPAIR_MS);
    }
  }

  /** Begins to work on a message, unless its sender wants it held. */
  #take(message: QueuedMessage): void {
    const heldMs = this.#heldMs(message);
    if (heldMs === undefined || heldMs <= 0) this.#begin(message);
    else if (!this.#active.has(message.queueId)) this.#schedule(message.queueId, heldMs);
  }

  /** Milliseconds until a held message is released; undefined for one that is not held, or was tried already. */
  #heldMs({ envelope, recipients }: QueuedMessage): number | undefined {
    const first = envelope.holdUntil === undefined ? undefined : recipients.find(isPending);
    if (first === undefined || first.attempts > 0) return undefined;
    return holdFor(first.nextAttemptMs, this.#options.clock.now());
  }

  /** Routes the recipients that are due and hands them over, grouped by next hop. */
  #begin(message: QueuedMessage): void {
    const { queueId, envelope } = message;
    // Somebody else was faster: two at work on one message would deliver it twice.
    if (this.#active.has(queueId)) return;
    const active = activeMessage(message);
    this.#active.set(queueId, active);
    const groups: Map<string, { readonly hop: NextHop; readonly recipients: number[] }> = new Map();
    const refused: number[] = [];
    const outcomes: Outcome[] = [];
    const overdue = overdueOutcome(envelope, this.#options.clock.now());
    for (const index of this.#dueRecipients(message)) {
      const route = overdue ??
        routeSafely(this.#options.route, message, index, this.#logger);
      if (!("key" in route)) {
        refused.push(index);
        outcomes.push(route);
        continue;
      }
      const group = groups.get(route.key);
      if (group === undefined) groups.set(route.key, { hop: route, recipients: [index] });
      else group.recipients.push(index);
    }
    active.openJobs = groups.size;
    if (refused.length > 0) this.#note(active, message, refused, outcomes, "routing");
    this.#hold(active, message);
    for (const { hop, recipients } of groups.values()) {
      const dispatcher = hop.kind === "maildir" ? this.#local : this.#remote;
      dispatcher.submit(hop.key, { active, hop, recipients }, envelope.priority);
    }
    if (refused.length > 0 || groups.size === 0) this.#settler.settle(active);
    else this.#dropIfUnheld(active);
  }

  /**
   * The recipients whose time has come. The scheduler says that the message is due, so its earliest ones are, even where
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

  #forget(active: ActiveMessage): void {
    this.#freeOctets += active.heldOctets;
    active.heldOctets = 0;
    this.#active.delete(active.queueId);
  }

  /** Lets the message wait for its next time; one that could not be read is looked at again later. */
  #wait(active: ActiveMessage, message: QueuedMessage | undefined): void {
    this.#forget(active);
    if (this.#isStopping) return;
    const waitMs = message === undefined ? LONGEST_REPAIR_MS : this.#waitOf(message, active.isReportPostponed);
    this.#schedule(active.queueId, waitMs);
  }

  /** Does one job: one attempt for some recipients of a message. */
  async #run(job: DeliveryJob): Promise<void> {
    const { active, hop } = job;
    active.runningJobs++;
    const message = active.message ?? await this.#loadActive(active);
    if (message !== undefined) {
      const { queueId, envelope, content } = message;
      const recipients = job.recipients.flatMap((index) => envelope.recipients[index] ?? []);
      const request = { queueId, envelope, content, hop, recipients, signal: this.#abort.signal };
      const overdue = overdueOutcome(envelope, this.#options.clock.now());
      const outcomes = overdue === undefined
        ? await deliverSafely(this.#options.deliver, request, this.#logger)
        : recipients.map(() => overdue);
      this.#note(active, message, job.recipients, outcomes, hop.key);
    }
    active.runningJobs--;
    active.openJobs--;
    await this.#settler.settle(active);
    this.#dropIfUnheld(active);
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
    const { clock, random, route } = this.#options;
    const fallback = (index: number): Fallback | undefined => fallbackOf(route, message, index);
    const events = attemptEvents(message, recipients, outcomes, clock.now(), this.#settings, random(), fallback);
    for (const event of events) {
      if (event.event !== "attempt") continue;
      // Delayed only because we stop: no attempt that anybody should count.
      if (this.#abort.signal.aborted && event.outcome.action === "delayed") continue;
      applyEvent(message, event);
      active.unrecorded.push(event);
      logAttempt(this.#logger, message, event, hop);
      logDoubleBounce(this.#logger, message, event);
    }
  }

  /** Waits for something, up to a time limit; says whether it came. */
  async #within(awaited: Promise<unknown>, ms: number): Promise<boolean> {
    const timer = new AbortController();
    const isInTime = await Promise.race([
      awaited.then(() => true),
      this.#options.clock.sleep(ms, timer.signal).then(() => false, () => false),
    ]);
    timer.abort();
    return isInTime;
  }
}

function remoteLimits({ concurrency, perDestination }: QueueSettings): { total: number; perDestination: number } {
  return { total: concurrency, perDestination };
}
