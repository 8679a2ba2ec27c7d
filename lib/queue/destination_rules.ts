/** What the configuration says about single destinations. */

import type { DestinationLimits } from "./destination.ts";
import { lowerRate, type SendRate, type WarmUp, warmUpRate } from "./send_rate.ts";

/** An entry of `destinations`. */
export interface DestinationRule {
  /** The name of a destination, `*.suffix` for those below it, or `*`. */
  readonly name: string;
  /** Deliveries at the same time; absent: as for all. */
  readonly concurrency?: number;
  /** Messages in a time; absent: no limit. */
  readonly rate?: SendRate;
  /** For a sender that is new there. */
  readonly warmUp?: WarmUp;
}

/** Deliveries at the same time to a destination that nothing is known about. */
const INITIAL_CONCURRENCY = 5;

/**
 * Says what a destination is allowed.
 *
 * @param perDestination Deliveries at the same time where no rule says another number.
 * @param nowMs Milliseconds since 1970, for warm-ups.
 */
export function limitsByRules(
  rules: readonly DestinationRule[],
  perDestination: number,
  name: string,
  nowMs: number,
): DestinationLimits {
  const rule = rules.find((candidate) => isMatch(candidate.name, name));
  const concurrency = rule?.concurrency ?? perDestination;
  const rate = lowerRate(rule?.rate, rule?.warmUp && warmUpRate(rule.warmUp, nowMs));
  return { concurrency, initial: Math.min(INITIAL_CONCURRENCY, concurrency), ...(rate !== undefined && { rate }) };
}

function isMatch(pattern: string, name: string): boolean {
  if (pattern === "*") return true;
  const wanted = pattern.toLowerCase();
  return wanted.startsWith("*.") ? name.endsWith(wanted.slice(1)) : name === wanted;
}
