/** How many messages go to one destination in a time: a configured rate, and the ramp of a sender that is new to it. */

/** So many messages in a time. */
export interface SendRate {
  /** At least one. */
  readonly count: number;
  /** Milliseconds. */
  readonly perMs: number;
}

/**
 * A ramp for an address that receivers do not know yet: they trust new senders with little, and with more day by day.
 * It depends on the date alone, so that a restart does not begin it anew.
 */
export interface WarmUp {
  /** The first day, milliseconds since 1970. */
  readonly startMs: number;
  /** Messages on the first day; each day after it has half as many again. */
  readonly perDay: number;
}

const DAY_MS = 24 * 3600 * 1000;
/** What large receivers advise for new addresses lies between a third more and twice as many each day. */
const GROWTH = 1.5;
/** A ramp this far up is over: 1.5^40 is ten million. */
const LAST_DAY = 40;
/** The part of the rate's time that may be used up at once after a rest. */
const BURST = 1 / 20;

/** The rate of the day; undefined when the ramp is over. Before the first day it is that of the first day. */
export function warmUpRate({ startMs, perDay }: WarmUp, nowMs: number): SendRate | undefined {
  const day = Math.max(0, Math.floor((nowMs - startMs) / DAY_MS));
  return day > LAST_DAY ? undefined : { count: Math.floor(perDay * GROWTH ** day), perMs: DAY_MS };
}

/** The lower of two rates; undefined: no limit. */
export function lowerRate(a: SendRate | undefined, b: SendRate | undefined): SendRate | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a.count / a.perMs <= b.count / b.perMs ? a : b;
}

/**
 * Keeps a rate with one number (GCRA): messages are spread evenly, and after a rest a twentieth of the time's
 * messages, at least one, may go at once.
 */
export class RateKeeper {
  /** When the next message would go if all were spread evenly; a time of the caller's clock. */
  #evenMs = -Infinity;

  /** Milliseconds until one more may go; 0: now. */
  waitMs(rate: SendRate, nowMs: number): number {
    return Math.max(0, this.#evenMs - burstMs(rate) - nowMs);
  }

  /** How many may go within a time from now on. */
  turns(rate: SendRate, nowMs: number, withinMs: number): number {
    const leftMs = nowMs + withinMs + burstMs(rate) - Math.max(this.#evenMs, nowMs);
    return leftMs < 0 ? 0 : Math.floor(leftMs * rate.count / rate.perMs) + 1;
  }

  /** One goes now. */
  take({ count, perMs }: SendRate, nowMs: number): void {
    this.#evenMs = Math.max(this.#evenMs, nowMs) + perMs / count;
  }

  /** True where nothing is remembered that matters. */
  isAtRest(nowMs: number): boolean {
    return this.#evenMs <= nowMs;
  }
}

function burstMs({ count, perMs }: SendRate): number {
  return Math.max(0, perMs * BURST - perMs / count);
}
