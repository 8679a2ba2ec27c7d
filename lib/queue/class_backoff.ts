/** How the class of a reply changes waiting: of the message that it was about, and of all that goes to the same place. */

import type { ReplyClass } from "../mail/outcome.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** Few greylist for less (RFC 6647 §5 names 5 minutes as usual). */
const GREYLISTED_AT_LEAST_MS = 5 * MINUTE_MS;
const GREYLISTED_AT_MOST_MS = 15 * MINUTE_MS;
/** About six hours: who greylists for longer takes nothing soon. */
const GREYLISTED_ATTEMPTS = 24;
/** Nobody empties a mailbox within minutes. */
const MAILBOX_FULL_AT_LEAST_MS = HOUR_MS;

/** A wait of the schedule, and what it stands among. */
export interface ScheduledWait {
  /** What the schedule says, milliseconds. */
  readonly waitMs: number;
  /** The first wait of the schedule. */
  readonly firstMs: number;
  /** The longest wait of the schedule; nothing waits longer. */
  readonly longestMs: number;
  /** Attempts so far, at least one. */
  readonly attempts: number;
}

/**
 * Adapts the wait of a message. Greylisting: 5 to 15 minutes, and no longer with each attempt, because the next one is
 * likely to be the last; a full mailbox: an hour at least. A schedule that is shorter throughout is left alone: its
 * operator wanted it so. Nothing gets shorter than the first wait, or longer than the longest.
 */
export function classWaitMs(replyClass: ReplyClass | undefined, scheduled: ScheduledWait): number {
  const { waitMs, firstMs, longestMs, attempts } = scheduled;
  switch (replyClass) {
    case "greylisting": {
      const atLeastMs = Math.min(GREYLISTED_AT_LEAST_MS, longestMs);
      if (attempts > GREYLISTED_ATTEMPTS) return Math.max(waitMs, atLeastMs);
      return Math.max(atLeastMs, Math.min(waitMs, Math.max(GREYLISTED_AT_MOST_MS, firstMs)));
    }
    case "mailboxFull":
      return Math.max(waitMs, Math.min(MAILBOX_FULL_AT_LEAST_MS, longestMs));
    default:
      return waitMs;
  }
}

/**
 * How long a whole destination is left alone after a delay with a reply of the class. `rate`: from 1 minute up to 30;
 * `block` and `reputation`: from 15 minutes up to 4 hours; doubled each time in a row.
 *
 * @param timesInARow Such delays without a success between, this one included; 1 at least.
 * @returns Milliseconds; undefined for a class that says nothing about the destination.
 */
export function destinationPauseMs(replyClass: ReplyClass | undefined, timesInARow: number): number | undefined {
  const factor = 2 ** Math.min(20, Math.max(0, timesInARow - 1));
  switch (replyClass) {
    case "rate":
      return Math.min(MINUTE_MS * factor, 30 * MINUTE_MS);
    case "block":
    case "reputation":
      return Math.min(15 * MINUTE_MS * factor, 4 * HOUR_MS);
    default:
      return undefined;
  }
}
