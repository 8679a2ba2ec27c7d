/**
 * Decides which job starts next: a limit for all together, the limits and the state of each destination
 * (`destination.ts`), and waiting lists for each (`destination_jobs.ts`), served in turn. A destination that is slow fills its own
 * share and never that of another; one that takes nothing gets its jobs given back, and is looked at by one job at a time.
 */

import type { Clock } from "../system/clock.ts";
import {
  type Change,
  type DestinationLimits,
  type DestinationState,
  newDestination,
  noteVerdict,
  type Verdict,
  waitToStart,
} from "./destination.ts";
import { type DestinationJobs, destinationJobs, takeJob, takeWaiting, waitingOf } from "./destination_jobs.ts";
import { Fifo } from "./fifo.ts";

/** What a dispatcher works with. */
export interface DispatcherOptions<T> {
  /** For rates, pauses and slow jobs. */
  readonly clock: Clock;
  /** A number from 0 to below 1. */
  readonly random: () => number;
  /** Jobs in all; those that have been under way for long are counted apart, and may be as many again. */
  readonly total: () => number;
  /** What a destination is allowed now. */
  readonly limitsOf: (key: string) => DestinationLimits;
  /**
   * Does a job, and says what it tells about its destination as soon as that is known; a job that does not is `neutral`.
   * What it throws ends the process, as it should: it takes care of its own errors.
   */
  readonly start: (job: T, judge: (verdict: Verdict) => void) => Promise<void>;
  /** True for a job that is not to be done any more, and takes no turn. */
  readonly isGone?: (job: T) => boolean;
  /** Takes back a job that waited for a destination which takes nothing for now, or for long. */
  readonly giveBack?: (job: T, key: string) => void;
  /** Few or no jobs wait for the destination, and it takes some: up to `count` may be submitted soon. Returns how many will be. */
  readonly hasRoom?: (key: string, count: number) => number;
  /** Told of a destination that closed, stays closed after a probe, or is open again. */
  readonly changed?: (key: string, change: Change, state: DestinationState) => void;
}

/** How a job is submitted. */
export interface SubmitOptions {
  /** Before those of a lower priority (RFC 6710). Default: 0. */
  readonly priority?: number;
  /** It was tried before: new mail goes first, and every fourth time mail that waited. */
  readonly isOld?: boolean;
  /** An operator wants it tried, although the destination is closed. */
  readonly isForced?: boolean;
}

interface Run {
  readonly startedMs: number;
  isSlow: boolean;
}

/** A job under way for longer than this mostly waits for its peer, and others may go on beside it. */
const SLOW_MS = 30_000;
/** While no more jobs than this wait for a destination, there is room for others. */
const ROOM = 50;
/** So many jobs of a destination may wait in memory. */
const FULL = 10_000;
/**
 * When a job has waited for longer than this, those behind it are given back: in memory nobody looks whether their senders
 * are to be warned, or whether it is time for other recipients of the same messages.
 */
const LONGEST_WAIT_MS = 30 * 60_000;
/** How long a job that was asked for may take until it is submitted. */
const COMES_MS = 10_000;
/** What is known of a destination that nobody uses is forgotten after this time. */
const FORGET_MS = 3600 * 1000;
/** Destinations that are known before the first look for some to forget. */
const SWEEP_SIZE = 1_000;

/** Starts jobs within the limits. */
export class Dispatcher<T> {
  readonly #options: DispatcherOptions<T>;
  readonly #destinations: Map<string, DestinationJobs<T>> = new Map();
  readonly #ready: Fifo<DestinationJobs<T>> = new Fifo();
  /** In the order of their start. */
  readonly #runs: Set<Run> = new Set();
  #slow = 0;
  #waiting = 0;
  #sweepSize = SWEEP_SIZE;
  #slowAlarm: AbortController | undefined;
  #isStopped = false;
  #onIdle: (() => void)[] = [];

  /** Starts nothing before the first job. */
  constructor(options: DispatcherOptions<T>) {
    this.#options = options;
  }

  /** Jobs that are being done. */
  get running(): number {
    return this.#runs.size;
  }

  /** Jobs on waiting lists. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Looks at the limits again; jobs that run already are not stopped. */
  refresh(): void {
    for (const destination of this.#destinations.values()) this.#lineUp(destination);
    this.#fill();
  }

  /**
   * Whether a job for the destination had better come now: false where it takes nothing, or where enough jobs wait for it.
   * Of a closed destination whose time has come, one is told so, who then submits its job soon.
   */
  admits(key: string): boolean {
    const destination = this.#destinations.get(key);
    if (destination === undefined) return true;
    if (this.#roomOf(destination) === 0) return false;
    if (destination.state.closure !== undefined) this.#expect(destination, 1);
    return true;
  }

  /** Whether a job that is there already may well be submitted, or had better wait elsewhere. */
  takes(key: string): boolean {
    const destination = this.#destinations.get(key);
    return destination === undefined || this.#freeOf(destination) > 0;
  }

  /** Asks for jobs that wait elsewhere, where the destination takes some. To be called when one is put there. */
  look(key: string): void {
    this.#tellRoom(this.#destinationOf(key));
  }

  /** True where jobs for the destination had better not wait in memory: thousands do, or as many as its rate lets go soon. */
  isFull(key: string): boolean {
    const destination = this.#destinations.get(key);
    return destination !== undefined && waitingOf(destination) >= Math.min(FULL, this.#turnsOf(destination));
  }

  /** Starts the job at once, or when its turn comes, or gives it back. */
  submit(key: string, job: T, { priority = 0, isOld = false, isForced = false }: SubmitOptions = {}): void {
    const destination = this.#destinationOf(key);
    const sinceMs = destination.usedMs = this.#options.clock.monotonic();
    if (destination.coming > 0) destination.coming--;
    const { closure, running } = destination.state;
    // One is enough to see whether it is back; the others follow then.
    const isProbe = isForced && closure !== undefined && running + destination.forced.size === 0;
    if (!isProbe && this.#options.giveBack !== undefined && this.#isShut(destination)) {
      this.#options.giveBack(job, key);
      return;
    }
    if (isProbe) destination.forced.push({ job, sinceMs });
    else (isOld ? destination.old : destination.fresh).push({ job, sinceMs }, priority);
    this.#waiting++;
    this.#lineUp(destination);
    this.#fill();
  }

  /** What is known of a destination. */
  stateOf(key: string): DestinationState | undefined {
    return this.#destinations.get(key)?.state;
  }

  /** All destinations that something is known of, with the jobs that wait. */
  *states(): Generator<{ readonly key: string; readonly state: DestinationState; readonly waiting: number }> {
    for (const destination of this.#destinations.values()) {
      yield { key: destination.key, state: destination.state, waiting: waitingOf(destination) };
    }
  }

  /** Starts nothing more. */
  stop(): void {
    this.#isStopped = true;
    this.#slowAlarm?.abort();
    for (const { alarm } of this.#destinations.values()) alarm?.abort();
  }

  /** Resolves when nothing runs (any more); after `stop`, for good. */
  idle(): Promise<void> {
    return this.#runs.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #destinationOf(key: string): DestinationJobs<T> {
    const known = this.#destinations.get(key);
    if (known !== undefined) return known;
    if (this.#destinations.size >= this.#sweepSize) this.#sweep();
    const destination = destinationJobs<T>(key, newDestination(this.#options.limitsOf(key)));
    this.#destinations.set(key, destination);
    return destination;
  }

  /** Closed, with its time not yet come or its probe under way. */
  #isShut({ state }: DestinationJobs<T>): boolean {
    const { closure, running } = state;
    return closure !== undefined && (running > 0 || closure.untilMs > this.#options.clock.monotonic());
  }

  /** How many more jobs for the destination had better come now. */
  #roomOf(destination: DestinationJobs<T>): number {
    if (waitingOf(destination) >= ROOM) return 0;
    const coming = destination.comeUntilMs > this.#options.clock.monotonic() ? destination.coming : 0;
    return Math.max(0, this.#freeOf(destination) - coming);
  }

  /** How many more jobs for the destination may wait in memory. */
  #freeOf(destination: DestinationJobs<T>): number {
    if (this.#isShut(destination)) return 0;
    const most = destination.state.closure === undefined ? 2 * ROOM : 1;
    return Math.max(0, Math.min(most, this.#turnsOf(destination)) - waitingOf(destination));
  }

  /** Notes that jobs come; those that do not, because they are gone or lead elsewhere now, keep no others waiting. */
  #expect(destination: DestinationJobs<T>, count: number): void {
    const nowMs = this.#options.clock.monotonic();
    destination.coming = (destination.comeUntilMs > nowMs ? destination.coming : 0) + count;
    destination.comeUntilMs = nowMs + COMES_MS;
    this.#lookAgain(destination);
  }

  #lookAgain(destination: DestinationJobs<T>): void {
    const leftMs = destination.comeUntilMs - this.#options.clock.monotonic();
    if (destination.coming > 0 && leftMs > 0 && destination.alarm === undefined) this.#wakeAfter(destination, leftMs);
  }

  /** How many jobs its rate lets go soon; one may wait however slow that is. */
  #turnsOf({ key, state }: DestinationJobs<T>): number {
    const { rate } = this.#options.limitsOf(key);
    return rate === undefined
      ? Infinity
      : Math.max(1, state.rate.turns(rate, this.#options.clock.monotonic(), SLOW_MS));
  }

  /** Puts the destination in line where it has a job that may start; else sees to it that it is looked at in time. */
  #lineUp(destination: DestinationJobs<T>): void {
    if (destination.isReady || this.#isStopped) return;
    const isForced = destination.forced.size > 0;
    if (!isForced && waitingOf(destination) === 0) return;
    const waitMs = this.#waitOf(destination);
    if (waitMs > 0) {
      if (waitMs < Infinity) this.#wakeAfter(destination, waitMs);
      return;
    }
    destination.isReady = true;
    this.#ready.push(destination);
  }

  #waitOf({ key, state, forced }: DestinationJobs<T>): number {
    const limits = this.#options.limitsOf(key);
    if (forced.size > 0) return state.running < limits.concurrency ? 0 : Infinity;
    return waitToStart(state, limits, this.#options.clock.monotonic());
  }

  #wakeAfter(destination: DestinationJobs<T>, waitMs: number): void {
    destination.alarm?.abort();
    const alarm = destination.alarm = new AbortController();
    this.#options.clock.sleep(waitMs, alarm.signal).then(() => {
      if (destination.alarm === alarm) destination.alarm = undefined;
      const { closure, running } = destination.state;
      const leftMs = running > 0 ? 0 : (closure?.untilMs ?? 0) - this.#options.clock.monotonic();
      // A timer may end a moment too early; what is parked for a closed destination has no other.
      if (leftMs > 0 && !this.#isStopped) return this.#wakeAfter(destination, Math.max(1, leftMs));
      this.#tellRoom(destination);
      this.#lineUp(destination);
      this.#fill();
    }, () => {});
  }

  #fill(): void {
    while (!this.#isStopped && this.#mayRunMore()) {
      const destination = this.#ready.shift();
      if (destination === undefined) return;
      destination.isReady = false;
      // Its state may have changed while it stood in line.
      if (this.#waitOf(destination) > 0) {
        this.#lineUp(destination);
        continue;
      }
      const next = takeJob(destination);
      if (next === undefined) continue;
      this.#waiting--;
      if (this.#options.isGone?.(next.job)) this.#tellRoom(destination);
      else this.#run(destination, next.job);
      if (this.#options.clock.monotonic() - next.sinceMs > LONGEST_WAIT_MS) this.#giveBackWaiting(destination);
      this.#lineUp(destination);
    }
  }

  #run(destination: DestinationJobs<T>, job: T): void {
    const { clock, limitsOf, start } = this.#options;
    const run: Run = { startedMs: clock.monotonic(), isSlow: false };
    const { rate } = limitsOf(destination.key);
    if (rate !== undefined) destination.state.rate.take(rate, run.startedMs);
    destination.state.running++;
    this.#runs.add(run);
    start(job, (verdict) => this.#judge(destination, run, verdict)).then(() => this.#ended(destination, run));
  }

  #judge(destination: DestinationJobs<T>, run: Run, verdict: Verdict): void {
    const { clock, limitsOf, random, changed } = this.#options;
    const { key, state } = destination;
    const moment = { nowMs: clock.monotonic(), wallMs: clock.now(), random: random() };
    const change = noteVerdict(state, limitsOf(key), verdict, run.startedMs, moment);
    if (change !== "none") changed?.(key, change, state);
    if (this.#isShut(destination)) this.#giveBackWaiting(destination);
  }

  #ended(destination: DestinationJobs<T>, run: Run): void {
    const { state } = destination;
    this.#runs.delete(run);
    if (run.isSlow) this.#slow--;
    state.running--;
    const nowMs = destination.usedMs = this.#options.clock.monotonic();
    if (state.closure !== undefined && state.running === 0 && !this.#isStopped) {
      this.#wakeAfter(destination, state.closure.untilMs - nowMs);
    }
    this.#tellRoom(destination);
    this.#lineUp(destination);
    this.#fill();
    if (this.#runs.size === 0) {
      for (const resolve of this.#onIdle.splice(0)) resolve();
    }
  }

  #giveBackWaiting(destination: DestinationJobs<T>): void {
    const { giveBack } = this.#options;
    if (giveBack === undefined) return;
    for (let next = takeWaiting(destination); next !== undefined; next = takeWaiting(destination)) {
      this.#waiting--;
      giveBack(next.job, destination.key);
    }
  }

  #tellRoom(destination: DestinationJobs<T>): void {
    const { hasRoom } = this.#options;
    if (hasRoom === undefined || this.#isStopped) return;
    const room = this.#roomOf(destination);
    const coming = room === 0 ? 0 : hasRoom(destination.key, room);
    if (coming > 0) this.#expect(destination, coming);
    else this.#lookAgain(destination);
  }

  /** Jobs under way for long are counted apart: a few dozen destinations that answer nothing must not stop all others. */
  #mayRunMore(): boolean {
    const total = this.#options.total();
    if (this.#runs.size - this.#slow < total) return true;
    const nowMs = this.#options.clock.monotonic();
    for (const run of this.#runs) {
      if (this.#slow >= total) return false;
      if (run.isSlow) continue;
      const ageMs = nowMs - run.startedMs;
      if (ageMs < SLOW_MS) {
        this.#lookAfter(SLOW_MS - ageMs);
        break;
      }
      run.isSlow = true;
      this.#slow++;
    }
    return this.#runs.size - this.#slow < total;
  }

  #lookAfter(waitMs: number): void {
    if (this.#slowAlarm !== undefined || this.#ready.size === 0) return;
    const alarm = this.#slowAlarm = new AbortController();
    this.#options.clock.sleep(waitMs, alarm.signal).then(() => {
      this.#slowAlarm = undefined;
      this.#fill();
    }, () => {});
  }

  #sweep(): void {
    const nowMs = this.#options.clock.monotonic();
    for (const [key, destination] of this.#destinations) {
      const { state, usedMs } = destination;
      const isIdle = state.running === 0 && waitingOf(destination) + destination.forced.size === 0 &&
        destination.alarm === undefined;
      const isPlain = state.closure === undefined && state.rate.isAtRest(nowMs);
      if (state.closure !== undefined && state.closure.untilMs > nowMs) continue;
      if (isIdle && (isPlain ? nowMs - usedMs > FORGET_MS / 60 : nowMs - usedMs > FORGET_MS)) {
        this.#destinations.delete(key);
      }
    }
    this.#sweepSize = Math.max(SWEEP_SIZE, 2 * this.#destinations.size);
  }
}
