/** A clock that stands still until a test moves it. */

import { setImmediate } from "node:timers";
import type { Clock } from "../../lib/system/clock.ts";

interface Sleeper {
  readonly due: number;
  readonly order: number;
  readonly wake: () => void;
}

/**
 * A {@linkcode Clock} for tests. Sleeps end only inside {@linkcode FakeClock.advance}, earliest first and, when due at
 * the same time, in the order they began.
 */
export class FakeClock implements Clock {
  #wall: number;
  #monotonic = 0;
  #order = 0;
  readonly #sleepers = new Set<Sleeper>();
  readonly #watchers = new Set<{ readonly count: number; readonly resolve: () => void }>();

  readonly #settle: () => Promise<void>;

  /**
   * Starts at a wall clock time: milliseconds since 1970, or RFC 3339 text.
   *
   * @param isPure What the test moves waits for promises only, not for sockets, files or timers: saves a millisecond each time.
   */
  constructor(start: number | string = "2026-01-01T00:00:00Z", isPure = false) {
    this.#settle = isPure ? turn : settle;
    this.#wall = typeof start === "number" ? start : Date.parse(start);
  }

  /** Wall clock, milliseconds since 1970. */
  now(): number {
    return this.#wall;
  }

  /** Milliseconds advanced so far. */
  monotonic(): number {
    return this.#monotonic;
  }

  /** Waits until the clock was advanced by `ms`; one of 0 ms waits for the next `advance`, too. */
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = (): void => {
        this.#sleepers.delete(sleeper);
        reject(signal?.reason);
      };
      const sleeper: Sleeper = {
        due: this.#monotonic + Math.max(0, ms),
        order: this.#order++,
        wake: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#sleepers.add(sleeper);
      for (const watcher of this.#watchers) {
        if (this.#sleepers.size < watcher.count) continue;
        this.#watchers.delete(watcher);
        watcher.resolve();
      }
    });
  }

  /** How many sleeps are under way. */
  get sleeping(): number {
    return this.#sleepers.size;
  }

  /** Milliseconds until the next sleep ends; undefined when nothing sleeps. */
  get nextDueMs(): number | undefined {
    const next = this.#next();
    return next === undefined ? undefined : next.due - this.#monotonic;
  }

  /** Waits, in real time, until at least `count` sleeps are under way: the code under test has come to rest. */
  async untilSleeping(count = 1): Promise<void> {
    if (this.#sleepers.size >= count) return;
    await new Promise<void>((resolve) => this.#watchers.add({ count, resolve }));
  }

  /**
   * Moves both clocks on by `ms` and ends the sleeps that become due, each at its own time. After each one the code
   * that it woke runs until it waits for something else, so that sleeps it begins count as well.
   */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    await this.#settle();
    for (let next = this.#next(); next !== undefined && next.due <= end; next = this.#next()) {
      this.#moveTo(next.due);
      this.#sleepers.delete(next);
      next.wake();
      await this.#settle();
    }
    this.#moveTo(end);
  }

  /** Moves both clocks on by `ms`, as while the code under test does something at once that takes time; no sleep ends. */
  skip(ms: number): void {
    this.#moveTo(this.#monotonic + ms);
  }

  /** Sets the wall clock alone, as an operator or NTP does; sleeps and the monotonic clock do not notice. */
  setWall(time: number | string): void {
    this.#wall = typeof time === "number" ? time : Date.parse(time);
  }

  #moveTo(monotonic: number): void {
    this.#wall += monotonic - this.#monotonic;
    this.#monotonic = monotonic;
  }

  #next(): Sleeper | undefined {
    let next: Sleeper | undefined;
    for (const sleeper of this.#sleepers) {
      const isEarlier = next === undefined || sleeper.due < next.due ||
        (sleeper.due === next.due && sleeper.order < next.order);
      if (isEarlier) next = sleeper;
    }
    return next;
  }
}

/** Lets everything run that waits for nothing but promises. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** The same, without a timer. */
function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
