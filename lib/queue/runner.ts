/**
 * Runs the queue: takes messages when they are due, hands the recipients that share a next hop to delivery, records what
 * became of them, and ends with every message delivered, relayed or reported.
 *
 * This file puts the parts together. What is due when is `waiting_room.ts`; what is worked on `active_queue.ts`; what may run
 * at the same time, and which destinations take nothing, `dispatcher.ts`; when to try again `schedule.ts`; what follows an
 * attempt `settler.ts`; what operators ask for `running_queue.ts`. Where recipients go and how they get there is handed in.
 */

import type { Logger } from "../log/logger.ts";
import type { NextHop } from "../delivery/next_hop.ts";
import type { Clock } from "../system/clock.ts";
import { ActiveQueue, type BeginOptions, type DestinationOf } from "./active_queue.ts";
import type { ActiveMessage, DeliveryJob } from "./active_message.ts";
import type { Deliver, Route } from "./attempt.ts";
import { expiryMs, warnMs } from "./deadline.ts";
import { logChange } from "./destination_log.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Flusher } from "./flusher.ts";
import { HopDestinations } from "./hop_destinations.ts";
import { isDelayReportable, isPending } from "./journal.ts";
import type { Reporter } from "./reporter.ts";
import { RunningQueue } from "./running_queue.ts";
import type { QueueControl } from "./queue_control.ts";
import type { QueueSettings } from "./queue_settings.ts";
import { graceMs, holdFor, waitFor } from "./schedule.ts";
import { LONGEST_REPAIR_MS, Settler } from "./settler.ts";
import { sharedHop } from "./shared_hop.ts";
import type { QueuedMessage, Spool } from "./spool.ts";
import { NO_SUSPENSIONS, type SuspensionStore } from "./suspensions.ts";
import { WaitingRoom } from "./waiting_room.ts";

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
  /** Says to which destination a hop leads; default: each hop is one. */
  readonly destinationOf?: DestinationOf;
  /** Takes a message one hop further. */
  readonly deliver: Deliver;
  /** Tells the sender. */
  readonly reporter: Reporter;
  /** What operators suspended; default: nothing, and nothing can be. */
  readonly suspensions?: SuspensionStore;
  /** Limits and times at the start. */
  readonly settings: QueueSettings;
  /** A number from 0 to below 1: `Math.random` is good enough. */
  readonly random: () => number;
  /** Deliveries into mailboxes of this machine at the same time: bound by the disk, not by a network. Default: 64. */
  readonly localConcurrency?: number;
  /** Messages that wait for a free delivery are kept in memory up to this much. Default: 32 MiB. */
  readonly memoryOctets?: number;
  /** Messages at work at the same time, as far as they come from disk: new mail is always taken. Default: 10,000. */
  readonly maxActive?: number;
}

/** Aborted deliveries get this long to say what is final: a peer that has the final dot is asked for 5 s more. */
const ABORT_GRACE_MS = 5_500;

/** The queue at work. */
export class QueueRunner implements AsyncDisposable {
  readonly #options: QueueRunnerOptions;
  readonly #logger: Logger;
  readonly #room: WaitingRoom;
  readonly #active: ActiveQueue;
  readonly #hops: HopDestinations;
  readonly #suspensions: SuspensionStore;
  readonly #local: Dispatcher<DeliveryJob>;
  readonly #remote: Dispatcher<DeliveryJob>;
  readonly #control: RunningQueue;
  readonly #abort: AbortController = new AbortController();
  /** Ends timers and waits; deliveries have their own signal. */
  readonly #stop: AbortController = new AbortController();
  readonly #settler: Settler;
  readonly #flusher: Flusher;
  /** Monotonic time of the start. */
  readonly #startMs: number;
  #settings: QueueSettings;
  /** While start-up lists the spool: messages that came meanwhile and must not be taken twice. */
  #cameDuringStart: Set<string> | undefined;
  #starting: Promise<void> | undefined;
  #isStopping = false;
  /** Goes from hop to hop, so that each has its turn where not all of a destination may go. */
  #pulls = 0;

  /** Takes its parts; nothing happens before `enqueue` or `start`. */
  constructor(options: QueueRunnerOptions) {
    const { clock, random, spool, logger } = options;
    this.#options = options;
    this.#logger = logger;
    this.#settings = options.settings;
    this.#startMs = clock.monotonic();
    this.#suspensions = options.suspensions ?? NO_SUSPENSIONS;
    this.#hops = new HopDestinations((hop) => this.#room.parked(hop) > 0);
    const local = options.localConcurrency ?? 64;
    const start: ActiveQueue["run"] = (job, judge) => this.#active.run(job, judge);
    const isGone = ({ active }: DeliveryJob): boolean => active.isWithdrawn;
    this.#local = new Dispatcher({
      clock,
      random,
      start,
      isGone,
      total: () => local,
      limitsOf: () => ({ concurrency: local, initial: local }),
    });
    this.#remote = new Dispatcher({
      clock,
      random,
      start,
      isGone,
      total: () => this.#settings.concurrency,
      limitsOf: (key) => this.#settings.limitsOf(key),
      giveBack: (job, key) => void this.#active.giveBack(job, key),
      hasRoom: (key, count) => this.#pull(key, count),
      changed: (key, change, state) => logChange({ logger, clock }, key, change, state, this.#settings.limitsOf(key)),
    });
    this.#settler = new Settler({
      ...options,
      warnAfterMs: () => this.#settings.warnAfterMs,
      stop: this.#stop.signal,
      isActive: (active) => this.#active.isActive(active),
      enqueue: (report) => this.enqueue(report),
      gone: (active) => this.#forget(active),
      waits: (active, message) => this.#wait(active, message),
    });
    this.#active = new ActiveQueue({
      ...options,
      destinationOf: options.destinationOf ?? ((hop: NextHop) => hop.key),
      hops: this.#hops,
      suspensions: this.#suspensions,
      settings: () => this.#settingsNow(),
      local: this.#local,
      remote: this.#remote,
      settler: this.#settler,
      park: (message) => this.#park(message),
      memoryOctets: options.memoryOctets ?? 32 * 1024 * 1024,
      abort: this.#abort.signal,
    });
    const maxActive = options.maxActive ?? 10_000;
    this.#room = new WaitingRoom({
      clock,
      logger,
      load: (queueId) => spool.load(queueId),
      admits: (hop) => this.#admits(hop),
      mayLoad: () => this.#active.fromDisk + this.#room.loading < maxActive,
      begin: (message, isAtDeadline) => this.#take(message, { isOld: true, isAtDeadline }),
    });
    this.#control = new RunningQueue({
      ...options,
      suspensions: this.#suspensions,
      room: this.#room,
      active: this.#active,
      remote: this.#remote,
      hops: this.#hops,
      settings: () => this.#settings,
      putBack: (message, isForced) => this.#putBack(message, isForced),
      lookLater: (queueId) => this.#lookLater(queueId),
      resumed: (pattern) => this.#resume(pattern),
    });
    this.#flusher = new Flusher({ ...options, retry: (queueId) => this.retry(queueId), stop: this.#stop.signal });
  }

  /** Messages that are worked on, and messages that wait for their time. */
  get size(): { readonly active: number; readonly scheduled: number } {
    return { active: this.#active.size, scheduled: this.#room.size };
  }

  /** What operators can ask of it. */
  get control(): QueueControl {
    return this.#control;
  }

  /** Takes new settings; they hold from the next attempt on. */
  update(settings: QueueSettings): void {
    this.#settings = settings;
    this.#remote.refresh();
  }

  /** Takes a message that was just committed and starts its delivery, without reading it back. */
  enqueue(message: QueuedMessage): void {
    this.#cameDuringStart?.add(message.queueId);
    // While stopping: it is durable, and the next start finds it.
    if (!this.#isStopping) this.#take(message, { isOld: false });
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
    return await this.#control.retry(queueId) === "done";
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
    this.#room.stop();
    this.#local.stop();
    this.#remote.stop();
    const idle = Promise.all([this.#local.idle(), this.#remote.idle(), this.#starting?.catch(() => {})]);
    if (!await this.#within(idle, ms)) {
      this.#abort.abort(new Error("The queue stops"));
      await this.#within(idle, ABORT_GRACE_MS);
    }
    await Promise.all(Array.from(this.#active.messages(), (active) => this.#settler.settleFinally(active)));
  }

  /** Stops at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0);
  }

  async #recover(): Promise<void> {
    const seen = new Set<string>(this.#active.keys());
    this.#cameDuringStart = seen;
    let found = 0;
    // Known: it came meanwhile, or was found before the reading broke off.
    const isNew = (queueId: string): boolean =>
      !seen.has(queueId) && !this.#active.has(queueId) && !this.#room.has(queueId) && ++found > 0;
    const take = (message: QueuedMessage): void => {
      if (isNew(message.queueId)) this.#letWait(message, this.#waitOf(message));
    };
    const unreadable = (queueId: string): void => {
      if (isNew(queueId)) this.#lookLater(queueId);
    };
    try {
      while (!await this.#readSpool(take, unreadable)) {
        await this.#options.clock.sleep(LONGEST_REPAIR_MS, this.#stop.signal);
      }
    } catch (error) {
      if (!this.#isStopping) throw error;
    } finally {
      this.#cameDuringStart = undefined;
    }
    this.#logger.info("Found {messages} message(s) in the queue", { messages: found });
  }

  /** Reads all of the spool; false where that broke off, which the log tells. */
  async #readSpool(
    take: (message: QueuedMessage) => void,
    unreadable: (queueId: string) => void,
  ): Promise<boolean> {
    try {
      for await (const message of this.#options.spool.recover(unreadable)) {
        if (this.#isStopping) break;
        take(message);
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

  /** Begins to work on a message, unless an operator or its sender wants it held. */
  #take(message: QueuedMessage, begin: BeginOptions): void {
    const { queueId } = message;
    if (this.#active.has(queueId)) return;
    const heldMs = this.#heldMs(message);
    if (message.isHeld) this.#room.addHeld(queueId, sharedHop(message, this.#options.route));
    else if (heldMs === undefined || heldMs <= 0) this.#active.begin(message, begin);
    else this.#letWait(message, heldMs);
  }

  #putBack(message: QueuedMessage, isForced: boolean): void {
    if (this.#isStopping) return;
    if (isForced) this.#take(message, { isOld: true, isForced });
    else this.#letWait(message, this.#waitOf(message));
  }

  #letWait(message: QueuedMessage, waitMs: number, isReportPostponed = false): void {
    const { queueId } = message;
    const hop = sharedHop(message, this.#options.route);
    if (message.isHeld) return this.#room.addHeld(queueId, hop);
    const deadlineWaitMs = Math.max(this.#deadlineWaitOf(message), isReportPostponed ? LONGEST_REPAIR_MS : 0);
    const destination = this.#hops.destinationOf(hop);
    if (destination === undefined || !this.#waitsFor(destination, message)) {
      return this.#room.add(queueId, { waitMs, deadlineWaitMs, hop });
    }
    this.#room.addParked(queueId, { waitMs, deadlineWaitMs, hop });
    // Its rest may be over, with nobody there who could look.
    this.#remote.look(destination);
  }

  /** True where nothing but its destination keeps the message: it goes when that is open again, whatever its schedule says. */
  #waitsFor(destination: string, { recipients }: QueuedMessage): boolean {
    if (this.#suspensions.matches(destination, "") !== undefined) return true;
    return this.#remote.stateOf(destination)?.closure !== undefined &&
      recipients.every((state) => !isPending(state) || state.lastOutcome?.destination !== undefined);
  }

  #park(message: QueuedMessage): void {
    const times = {
      waitMs: 0,
      deadlineWaitMs: this.#deadlineWaitOf(message),
      hop: sharedHop(message, this.#options.route),
    };
    this.#room.addParked(message.queueId, times);
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

  /** Milliseconds until its sender is to be warned, or it is given up, whatever its destination says. */
  #deadlineWaitOf(message: QueuedMessage): number {
    const { envelope, recipients } = message;
    const pending = recipients.filter(isPending);
    if (pending.length === 0) return Infinity;
    const settings = this.#settingsNow();
    const isUnwarned = pending.some(({ index, isWarned }) => !isWarned && isDelayReportable(envelope, index));
    const atMs = Math.min(expiryMs(message, settings), isUnwarned ? warnMs(message, settings) : Infinity);
    // Nobody is told of a delay, before the message is released, that was asked for.
    return Math.max(this.#heldMs(message) ?? 0, atMs - this.#options.clock.now());
  }

  /** Milliseconds until a held message is released; undefined for one that is not held, or was tried already. */
  #heldMs({ envelope, recipients }: QueuedMessage): number | undefined {
    const first = envelope.holdUntil === undefined ? undefined : recipients.find(isPending);
    if (first === undefined || first.attempts > 0) return undefined;
    return holdFor(first.nextAttemptMs, this.#options.clock.now());
  }

  /** Whether the destination of a hop takes a message now, as far as is known. */
  #admits(hop: string): boolean {
    const destination = this.#hops.destinationOf(hop);
    if (destination === undefined) return true;
    return this.#suspensions.matches(destination, "") === undefined && this.#remote.admits(destination);
  }

  /** Reads back messages that wait for a destination, of all its hops alike. */
  #pull(destination: string, count: number): number {
    if (this.#suspensions.matches(destination, "") !== undefined) return 0;
    const hops = this.#hops.hopsOf(destination, this.#room.parkedHops);
    const share = Math.ceil(count / Math.max(1, hops.length));
    let pulled = 0;
    for (let i = 0; i < hops.length && pulled < count; i++) {
      const hop = hops[this.#pulls++ % hops.length] ?? "";
      pulled += this.#room.pull(hop, Math.min(share, count - pulled));
    }
    return pulled;
  }

  #resume(pattern: string): void {
    const destinations = new Set<string>();
    for (const hop of this.#room.parkedHops) {
      const destination = this.#hops.destinationOf(hop);
      if (destination !== undefined) destinations.add(destination);
    }
    for (const destination of destinations) this.#remote.look(destination);
    const isTree = pattern.startsWith("*.");
    this.flush(isTree ? pattern.slice(2) : pattern, isTree);
  }

  #forget(active: ActiveMessage): void {
    this.#active.forget(active);
    this.#room.look();
  }

  /** Lets the message wait for its next time; one that could not be read is looked at again later. */
  #wait(active: ActiveMessage, message: QueuedMessage | undefined): void {
    this.#forget(active);
    if (this.#isStopping) return;
    if (message !== undefined) {
      return this.#letWait(message, this.#waitOf(message, active.isReportPostponed), active.isReportPostponed);
    }
    this.#lookLater(active.queueId);
  }

  /** For a message that could not be read. */
  #lookLater(queueId: string): void {
    this.#room.add(queueId, { waitMs: LONGEST_REPAIR_MS, deadlineWaitMs: Infinity, hop: "" });
  }

  /** The settings, and for a while after the start a grace for mail that is too old. */
  #settingsNow(): QueueSettings {
    const { clock } = this.#options;
    const leftMs = this.#startMs + graceMs(this.#settings) - clock.monotonic();
    return leftMs <= 0 ? this.#settings : { ...this.#settings, graceUntilMs: clock.now() + leftMs };
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
