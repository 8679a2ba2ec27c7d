/** The values of parameters that say when: FUTURERELEASE (RFC 4865) and DELIVERBY (RFC 2852). */

import type { DeliverBy } from "../../mail/envelope.ts";
import { SmtpError } from "../reply.ts";

/** `date-time` of RFC 3339 §5.6 (RFC 4865 §3 with erratum 2040). */
const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/i;

/**
 * Reads HOLDFOR: seconds from now (RFC 4865 §3).
 *
 * @returns Milliseconds since 1970.
 * @throws {SmtpError} 501 5.5.4
 */
export function parseHoldFor(value: string | undefined, nowMs: number): number {
  if (value === undefined || !/^\d{1,9}$/.test(value)) {
    throw new SmtpError(501, "5.5.4", "HOLDFOR needs a number of seconds");
  }
  return nowMs + Number(value) * 1000;
}

/**
 * Reads HOLDUNTIL (RFC 4865 §3).
 *
 * @returns Milliseconds since 1970.
 * @throws {SmtpError} 501 5.5.4
 */
export function parseHoldUntil(value: string | undefined): number {
  // A leap second is the end of its minute: Date knows none.
  const time = value !== undefined && DATE_TIME.test(value) ? Date.parse(value.replace(/:60(?=[.Z+-])/i, ":59")) : NaN;
  if (Number.isNaN(time)) throw new SmtpError(501, "5.5.4", "HOLDUNTIL needs a time, e.g. 2030-01-31T12:00:00Z");
  return time;
}

/**
 * Reads BY: seconds from now, the mode, and whether it is traced (RFC 2852 §4).
 *
 * ```abnf
 * by-value = by-time ";" by-mode [by-trace]
 * by-time  = ["-" / "+"] 1*9digit
 * by-mode  = "N" / "R"
 * by-trace = "T"
 * ```
 *
 * @throws {SmtpError} 501 5.5.4
 */
export function parseBy(value: string | undefined, nowMs: number): DeliverBy {
  const [, seconds, mode, trace] = /^([-+]?\d{1,9});([NR])(T?)$/i.exec(value ?? "") ?? [];
  if (seconds === undefined || mode === undefined) {
    throw new SmtpError(501, "5.5.4", "BY is a number of seconds and a mode, e.g. 3600;R or 3600;N");
  }
  const isReturned = mode.toUpperCase() === "R";
  if (isReturned && Number(seconds) <= 0) {
    throw new SmtpError(501, "5.5.4", "BY with mode R needs a time of more than 0 seconds");
  }
  return {
    until: new Date(nowMs + Number(seconds) * 1000).toISOString(),
    mode: isReturned ? "return" : "notify",
    isTraced: trace !== "",
  };
}
