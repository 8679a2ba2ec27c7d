/** When a delayed recipient is tried again. A pure function: time and chance are arguments. */

import type { ReplyClass } from "../mail/outcome.ts";
import { classWaitMs } from "./class_backoff.ts";

/** The `queue` section of the configuration. */
export interface ScheduleSettings {
  /** Waits after the first, second, … attempt; at least one, and the last repeats. */
  readonly retryMs: readonly number[];
  /** Age of a message at which its sender is warned of the delay. */
  readonly warnAfterMs: number;
  /** Age at which delivery is given up. */
  readonly expireAfterMs: number;
  /** Nothing is given up because of its age before this time, milliseconds since 1970: see `graceMs`. */
  readonly graceUntilMs?: number;
}

/** Where a recipient stands after an attempt that was delayed. */
export interface Attempted {
  /** From when its age counts, milliseconds since 1970. */
  readonly releaseMs: number;
  /** When it is given up whatever the settings say, milliseconds since 1970. */
  readonly returnMs?: number | undefined;
  /** When its sender is to hear of a delay, milliseconds since 1970. */
  readonly notifyMs?: number | undefined;
  /** Attempts so far, at least one. */
  readonly attempts: number;
  /** The present, milliseconds since 1970. */
  readonly nowMs: number;
  /** What the reply to the last one was about. */
  readonly replyClass?: ReplyClass | undefined;
}

/** What comes next. */
export type NextAttempt = { readonly kind: "retry"; readonly atMs: number } | { readonly kind: "expired" };

/** A wait is prolonged by up to this part of itself, so that messages deferred together do not come back together. */
const JITTER = 0.1;

/**
 * Says when to try again.
 *
 * The wait is the documented one, prolonged at random by up to a tenth and never shortened: many sites greylist for
 * exactly 5 minutes, and a retry a moment earlier is wasted. The last attempt is made when the message expires, not
 * before; one that is delayed again then is given up. What the last reply was about changes the wait (class_backoff.ts).
 *
 * @param random A number from 0 to below 1.
 * @see RFC 5321 §4.5.4.1 (which asks for 30 minutes at least; senders in practice start at 5 or less)
 */
export function nextAttempt(attempted: Attempted, settings: ScheduleSettings, random: number): NextAttempt {
  const { nowMs, returnMs = Infinity, notifyMs = -Infinity } = attempted;
  const ageMs = Math.max(attempted.releaseMs + settings.expireAfterMs, settings.graceUntilMs ?? -Infinity);
  const expiryMs = Math.min(ageMs, returnMs);
  if (nowMs >= expiryMs) return { kind: "expired" };
  const waits = settings.retryMs;
  const scheduledMs = Math.max(1, waits[Math.min(attempted.attempts, waits.length) - 1] ?? settings.expireAfterMs);
  const waitMs = classWaitMs(attempted.replyClass, {
    waitMs: scheduledMs,
    firstMs: waits[0] ?? scheduledMs,
    longestMs: Math.max(scheduledMs, ...waits),
    attempts: attempted.attempts,
  });
  const atMs = Math.ceil(nowMs + waitMs * (1 + JITTER * random));
  return { kind: "retry", atMs: Math.min(atMs, expiryMs, notifyMs > nowMs ? notifyMs : Infinity) };
}

/** The longest grace after a start. */
const LONGEST_GRACE_MS = 3600 * 1000;

/**
 * Until when a queue gives up nothing because of its age, in milliseconds from its start: an hour, or a part of the age
 * where that is short. A machine that was off for a week comes back with mail that is too old, perhaps before its network
 * does, or with a clock that is wrong for the moment: that mail is tried for a while before its senders are told.
 */
export function graceMs({ expireAfterMs }: Pick<ScheduleSettings, "expireAfterMs">): number {
  return Math.min(LONGEST_GRACE_MS, expireAfterMs / 24);
}

/** A held message is looked at again after this time at the latest. */
const LONGEST_HOLD_MS = 24 * 3600 * 1000;

/** Milliseconds to wait for the first attempt of a message that its sender wants held (RFC 4865). */
export function holdFor(releaseMs: number, nowMs: number): number {
  return Math.min(Math.max(0, releaseMs - nowMs), LONGEST_HOLD_MS);
}

/**
 * Milliseconds to wait for an attempt that was planned earlier, perhaps under a clock that has been set back since: never
 * longer than the longest wait of the schedule.
 */
export function waitFor(nextAttemptMs: number, nowMs: number, settings: ScheduleSettings): number {
  const longestMs = Math.max(...settings.retryMs) * (1 + JITTER);
  return Math.min(Math.max(0, nextAttemptMs - nowMs), longestMs);
}
