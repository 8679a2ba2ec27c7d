/** How much mailboxes may hold, and how much of that they do: the arithmetic. */

import type { QuotaLimits } from "../../config/config.ts";

/** What a mailbox holds, or a change of that. */
export interface Usage {
  /** Sizes of the message files together. */
  readonly octets: number;
  /** How many there are. */
  readonly messages: number;
}

/** Nothing. */
export const NO_USAGE: Usage = { octets: 0, messages: 0 };

/** The sum. */
export function plus(one: Usage, other: Usage): Usage {
  return { octets: one.octets + other.octets, messages: one.messages + other.messages };
}

/**
 * The limits of an account: each of its own takes the place of the default one, and 0 means no limit.
 *
 * @returns Undefined where nothing is limited.
 */
export function effectiveLimits(defaults: QuotaLimits, own: QuotaLimits = {}): QuotaLimits | undefined {
  const { octets = 0, messages = 0 } = { ...defaults, ...own };
  if (octets === 0 && messages === 0) return undefined;
  return { ...(octets > 0 && { octets }), ...(messages > 0 && { messages }) };
}

/** Whether a mailbox may hold this. A mailbox that holds exactly its limit is within it. */
export function isWithin({ octets, messages }: QuotaLimits, usage: Usage): boolean {
  return usage.octets <= (octets ?? Infinity) && usage.messages <= (messages ?? Infinity);
}

/** Limits that are higher by a share, 0.1 for a tenth; for messages by one at least. */
export function raised({ octets, messages }: QuotaLimits, share: number): QuotaLimits {
  return {
    ...(octets !== undefined && { octets: octets + Math.floor(octets * share) }),
    ...(messages !== undefined && { messages: messages + Math.max(1, Math.floor(messages * share)) }),
  };
}

/** How full a mailbox is, in percent of the limit that is nearer; may be over 100. */
export function percentUsed({ octets = 0, messages = 0 }: QuotaLimits, usage: Usage): number {
  const share = (used: number, limit: number): number => limit > 0 ? used * 100 / limit : 0;
  return Math.max(share(usage.octets, octets), share(usage.messages, messages));
}

/**
 * The highest threshold that a mailbox has come up to, or passed, by a change.
 *
 * @param thresholds Percent, in any order.
 */
export function crossedThreshold(
  limits: QuotaLimits,
  before: Usage,
  after: Usage,
  thresholds: readonly number[],
): number | undefined {
  const [from, to] = [percentUsed(limits, before), percentUsed(limits, after)];
  const crossed = thresholds.filter((threshold) => from < threshold && threshold <= to);
  return crossed.length === 0 ? undefined : Math.max(...crossed);
}
