/**
 * The time by which the queue measures ages. The wall clock of a machine may be set, by hand or by a time service, and far
 * off for a while: a queue that followed it would give up all its mail as too old in one moment, or release what is held.
 */

import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";

/** What a steady clock is made of. */
export interface SteadyClockOptions {
  /** The clock of the machine. */
  readonly clock: Clock;
  /** Is told of jumps. */
  readonly logger: Logger;
}

/** Time services set a clock by this much without asking, and to the queue it makes no difference. */
const TOLERANCE_MS = 5 * 60_000;
/** A new time is believed when it has stayed for this long: an operator who set it wrong has noticed. */
const TRIAL_MS = 60 * 60_000;
/**
 * After a start the new time is believed at once: a machine without a battery learns the time then, and in this hour the
 * queue gives up nothing because of its age (`graceMs` in schedule.ts).
 */
const START_MS = 60 * 60_000;

interface Jump {
  /** Wall clock minus monotonic clock, after it. */
  readonly offsetMs: number;
  /** Monotonic time at which it was noticed. */
  readonly sinceMs: number;
}

/**
 * A clock whose wall time does not jump: where the wall clock is set by more than 5 minutes, its time goes on as before, and
 * follows when the wall clock has stayed for an hour. It looks whenever it is asked, and needs no timer.
 */
export class SteadyClock implements Clock {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #startMs: number;
  #offsetMs: number;
  #jump: Jump | undefined;

  /** Begins with the time of the wall clock. */
  constructor({ clock, logger }: SteadyClockOptions) {
    this.#clock = clock;
    this.#logger = logger;
    this.#startMs = clock.monotonic();
    this.#offsetMs = clock.now() - this.#startMs;
  }

  /** Milliseconds since 1970-01-01 UTC. */
  now(): number {
    const monotonicMs = this.#clock.monotonic();
    this.#look(this.#clock.now() - monotonicMs, monotonicMs);
    return this.#offsetMs + monotonicMs;
  }

  /** Milliseconds from an arbitrary start. */
  monotonic(): number {
    return this.#clock.monotonic();
  }

  /** Waits; see `Clock`. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#clock.sleep(ms, signal);
  }

  #look(offsetMs: number, monotonicMs: number): void {
    if (Math.abs(offsetMs - this.#offsetMs) <= TOLERANCE_MS) {
      if (this.#jump !== undefined) this.#logger.info("The clock of this machine is back at the time before");
      return this.#follow(offsetMs);
    }
    const fields = {
      seconds: Math.round(Math.abs(offsetMs - this.#offsetMs) / 1000),
      direction: offsetMs > this.#offsetMs ? "ahead" : "back",
    };
    if (monotonicMs - this.#startMs < START_MS) {
      this.#logger.warning("The clock of this machine was set {direction} by {seconds}s; the queue follows", fields);
      return this.#follow(offsetMs);
    }
    if (this.#jump === undefined || Math.abs(offsetMs - this.#jump.offsetMs) > TOLERANCE_MS) {
      this.#jump = { offsetMs, sinceMs: monotonicMs };
      this.#logger.warning(
        "The clock of this machine was set {direction} by {seconds}s; the queue goes on by the time before, and follows " +
          "in {trialMinutes} minutes if that is no mistake",
        { ...fields, trialMinutes: TRIAL_MS / 60_000 },
      );
    } else if (monotonicMs - this.#jump.sinceMs >= TRIAL_MS) {
      this.#logger.warning("The queue now follows the clock of this machine, {seconds}s {direction}", fields);
      this.#follow(offsetMs);
    }
  }

  #follow(offsetMs: number): void {
    this.#offsetMs = offsetMs;
    this.#jump = undefined;
  }
}
