/** How often something may happen for one name, e.g. a recipient for an account. */

import type { Clock } from "../system/clock.ts";

/** So many in so long a time; also so many at once, after a time of rest. */
export interface Rate {
  /** At least 1. */
  readonly count: number;
  /** More than 0. */
  readonly perMs: number;
}

/** What `take` says: `over` for the first refusal after something was allowed, which is the one to log. */
export type RateVerdict = "within" | "over" | "still over";

interface Bucket {
  /** What may happen at once; a fraction of one counts for nothing yet. */
  tokens: number;
  /** When `tokens` was right. */
  atMs: number;
  isOver: boolean;
}

/** Counts by name, in token buckets. Memory is bounded by the number of names: give it names of ours only. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #buckets = new Map<string, Bucket>();

  /** Takes the clock whose monotonic time counts. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts one more, if the rate allows it; what it refuses is not counted. The rate may change from call to call. */
  take(name: string, { count, perMs }: Rate): RateVerdict {
    const nowMs = this.#clock.monotonic();
    const bucket = this.#buckets.get(name) ?? { tokens: count, atMs: nowMs, isOver: false };
    this.#buckets.set(name, bucket);
    bucket.tokens = Math.min(count, bucket.tokens + (nowMs - bucket.atMs) * count / perMs);
    bucket.atMs = nowMs;
    const wasOver = bucket.isOver;
    bucket.isOver = bucket.tokens < 1;
    if (bucket.isOver) return wasOver ? "still over" : "over";
    bucket.tokens--;
    return "within";
  }
}
