/**
 * A clock for simulations: it stands still while code runs, and then jumps to the next sleep that ends. A sleep costs
 * O(log n), so that millions of them are no matter. Code that runs under it waits for the clock and for promises only, never
 * for files or sockets.
 */

import { setImmediate } from "node:timers";
import type { Clock } from "../../lib/system/clock.ts";

interface Sleeper {
  readonly dueMs: number;
  readonly order: number;
  /** Undefined for one that was aborted, and only has not left the heap yet. */
  wake: (() => void) | undefined;
}

/** Time that passes only in {@linkcode DiscreteClock.runUntil}. */
export class DiscreteClock implements Clock {
  readonly #startMs: number;
  readonly #heap: Sleeper[] = [];
  #nowMs = 0;
  #order = 0;
  /** Sleeps that ended. */
  wakes = 0;

  /** Begins at this wall clock time: milliseconds since 1970. */
  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  /** Whole milliseconds, as those of the system. */
  now(): number {
    return this.#startMs + Math.floor(this.#nowMs);
  }

  monotonic(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const sleeper: Sleeper = { dueMs: this.#nowMs + Math.max(0, ms), order: this.#order++, wake: resolve };
      if (signal !== undefined) {
        const onAbort = (): void => {
          sleeper.wake = undefined;
          reject(signal.reason);
        };
        signal.addEventListener("abort", onAbort, { once: true });
        sleeper.wake = (): void => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        };
      }
      this.#push(sleeper);
    });
  }

  /**
   * Lets time pass until the promise settles, and returns its value.
   *
   * @throws {Error} Nothing sleeps any more and it has not settled; or what it rejected with.
   */
  async runUntil<T>(awaited: Promise<T>): Promise<T> {
    let isSettled = false;
    const end = (): void => void (isSettled = true);
    awaited.then(end, end);
    await rest();
    while (!isSettled) {
      const next = this.#pop();
      if (next === undefined) throw new Error("Nothing sleeps, and what was waited for does not come");
      if (next.wake === undefined) continue;
      this.#nowMs = next.dueMs;
      this.wakes++;
      next.wake();
      await rest();
    }
    return await awaited;
  }

  #push(sleeper: Sleeper): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(sleeper);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, sleeper)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = sleeper;
  }

  #pop(): Sleeper | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || first === last) return first;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      if (left === undefined) break;
      const isRight = right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (isBefore(last, child)) break;
      heap[at] = child;
      at = 2 * at + (isRight ? 2 : 1);
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(one: Sleeper, other: Sleeper): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.order < other.order);
}

/** Lets everything run that waits for nothing but promises. */
function rest(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
