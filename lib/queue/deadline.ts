/** The times that a sender set for a message: not before (RFC 4865), and not after (RFC 2852). */

import type { Envelope } from "../mail/envelope.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { ScheduleSettings } from "./schedule.ts";
import type { QueuedMessage } from "./spool.ts";

/** What the age of a message is known from. */
export type Aged = Pick<QueuedMessage, "envelope" | "recipients">;

/** What decides when a message is too old. */
export type Expiry = Pick<ScheduleSettings, "expireAfterMs" | "graceUntilMs">;

/** When delivery begins, and ages are counted from, milliseconds since 1970: on arrival, or when the hold ends. */
export function releaseMs({ arrived, holdUntil }: Envelope): number {
  return Math.max(Date.parse(arrived), holdUntil === undefined ? -Infinity : Date.parse(holdUntil));
}

/**
 * From when the age of a message counts, milliseconds since 1970: from its release. One that arrived while the clock was
 * ahead would be young for as long as that: there, its earliest attempt counts.
 */
export function bornMs({ envelope, recipients }: Aged): number {
  const arrivedMs = Date.parse(envelope.arrived);
  let earliestMs = arrivedMs;
  for (const { earliestAttemptMs } of recipients) {
    if (earliestAttemptMs !== undefined && earliestAttemptMs < earliestMs) earliestMs = earliestAttemptMs;
  }
  return earliestMs < arrivedMs ? earliestMs : releaseMs(envelope);
}

/** True while the sender wants the message held. */
export function isHeld({ holdUntil }: Envelope, nowMs: number): boolean {
  return holdUntil !== undefined && nowMs < Date.parse(holdUntil);
}

/** When a message goes back undelivered (BY with mode R), milliseconds since 1970; undefined where it does not. */
export function returnMs({ deliverBy }: Envelope): number | undefined {
  return deliverBy?.mode === "return" ? Date.parse(deliverBy.until) : undefined;
}

/** When the sender hears of a delay at the latest (BY with mode N), milliseconds since 1970. */
export function notifyMs({ deliverBy }: Envelope): number | undefined {
  return deliverBy?.mode === "notify" ? Date.parse(deliverBy.until) : undefined;
}

/** When a message is given up, by the settings or by its sender, milliseconds since 1970. */
export function expiryMs(message: Aged, { expireAfterMs, graceUntilMs }: Expiry): number {
  const ageMs = Math.max(bornMs(message) + expireAfterMs, graceUntilMs ?? -Infinity);
  return Math.min(ageMs, returnMs(message.envelope) ?? Infinity);
}

/** When its sender is to hear of a delay, milliseconds since 1970. */
export function warnMs(message: Aged, { warnAfterMs }: Pick<ScheduleSettings, "warnAfterMs">): number {
  return Math.min(bornMs(message) + warnAfterMs, notifyMs(message.envelope) ?? Infinity);
}

/** What becomes of a recipient when the time of BY is over (RFC 2852 §4.1.2); undefined while it is not. */
export function overdueOutcome(envelope: Envelope, nowMs: number): Outcome | undefined {
  const untilMs = returnMs(envelope);
  if (untilMs === undefined || nowMs < untilMs) return undefined;
  return {
    action: "failed",
    status: "5.4.7",
    text: "Not delivered within the time that the sender allowed",
    isRemoteReply: false,
  };
}
