/** What the outcomes of one attempt say about its destination. */

import { isFinal, type Outcome } from "../mail/outcome.ts";
import type { Verdict } from "./destination.ts";

/** Judges an attempt by its outcomes, one for each recipient. */
export function verdictOf(outcomes: readonly Outcome[]): Verdict {
  const down = outcomes.find(({ destination }) => destination === "down");
  if (down !== undefined) return { kind: "down", reason: down };
  const pushback = outcomes.find(({ destination }) => destination === "pushback");
  if (pushback !== undefined) return { kind: "pushback", reason: pushback };
  return { kind: outcomes.some(hasTalked) ? "took" : "neutral" };
}

/** A delay in our own words (no answer of DNS, a lost connection) says nothing. */
function hasTalked(outcome: Outcome): boolean {
  if (outcome.isRemoteReply) return true;
  return isFinal(outcome) && (outcome.action !== "failed" || outcome.remoteMta !== undefined);
}
