/** Time limits that many messages have at the same time, and hardly any reaches: one timer watches over all of them. */

import type { Clock } from "../system/clock.ts";

/** How often somebody looks; limits are as exact as that. */
const LOOK_MS = 1000;

/** The reason with which lookups end; made once: an exception with its trace for each message would cost more than a lookup. */
const TOO_LONG = new DOMException("The checks take too long", "TimeoutError");

/** Ends lookups that take too long. */
export class LookupLimits {
  readonly #clock: Clock;
  /** Monotonic time at which each is ended. */
  readonly #deadlines = new Map<AbortController, number>();
  #isWatching = false;

  /** Watches nothing yet. */
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Aborts after this time, with up to a second more; unless `stop` comes first. A second call counts anew. */
  start(lookups: AbortController, ms: number): void {
    this.#deadlines.set(lookups, this.#clock.monotonic() + ms);
    if (!this.#isWatching) this.#watch();
  }

  /** Forgets what has ended. */
  stop(lookups: AbortController): void {
    this.#deadlines.delete(lookups);
  }

  async #watch(): Promise<void> {
    this.#isWatching = true;
    while (this.#deadlines.size > 0) {
      await this.#clock.sleep(LOOK_MS);
      const nowMs = this.#clock.monotonic();
      for (const [lookups, deadlineMs] of this.#deadlines) {
        if (deadlineMs > nowMs) continue;
        this.#deadlines.delete(lookups);
        lookups.abort(TOO_LONG);
      }
    }
    this.#isWatching = false;
  }
}
