/** From events to the state of each recipient: the same rules for a journal read back and for what happens now. */

import { type Envelope, reversePathOf } from "../mail/envelope.ts";
import { isFinal, type Outcome } from "../mail/outcome.ts";
import { releaseMs } from "./deadline.ts";
import type { QueuedMessage, RecipientState, SpoolEvent } from "./spool.ts";

/** What events change of a message. */
export type MessageState = Pick<QueuedMessage, "envelope" | "recipients" | "isHeld">;

/** RFC 3464 §2.3.3. */
const EXPANDED: Outcome = { action: "expanded", status: "2.1.5", text: "", isRemoteReply: false };
/** The same section: a list is delivered to, what its members get is another message. */
const LIST_DELIVERED: Outcome = { ...EXPANDED, action: "delivered" };

/** The state of the recipients of a message that was just accepted: due at once or when it is released, and those that were expanded done. */
export function initialStates(envelope: Envelope): RecipientState[] {
  const nextAttemptMs = releaseMs(envelope);
  return envelope.recipients.map(({ isExpanded, list }, index) => {
    const outcome = list === "itself" ? LIST_DELIVERED : EXPANDED;
    return {
      index,
      attempts: 0,
      nextAttemptMs,
      isWarned: false,
      isReported: isExpanded === true && !isToBeReported(envelope, index, outcome),
      ...(isExpanded && { lastOutcome: outcome, lastAttemptMs: Date.parse(envelope.arrived) }),
    };
  });
}

/** Applies one event to a message's state. */
export function applyEvent(message: MessageState, event: SpoolEvent): void {
  const { envelope, recipients } = message;
  const atMs = Date.parse(event.at);
  if (event.event === "held" || event.event === "released") message.isHeld = event.event === "held";
  if (event.event === "held") return;
  if (event.event === "retry" || event.event === "released") {
    for (const state of recipients) {
      if (isPending(state)) state.nextAttemptMs = atMs;
    }
    return;
  }
  for (const index of event.recipients) {
    const state = recipients[index];
    if (state === undefined) continue;
    if (event.event === "reported") {
      if (event.kind === "delayed") state.isWarned = true;
      else state.isReported = true;
      continue;
    }
    state.earliestAttemptMs = Math.min(state.earliestAttemptMs ?? atMs, atMs);
    if (event.event === "postponed") {
      state.lastOutcome = event.outcome;
      state.lastAttemptMs ??= atMs;
      state.nextAttemptMs = Date.parse(event.nextAttempt);
      if (event.fallback !== undefined) state.fallback = event.fallback;
      continue;
    }
    state.attempts++;
    state.lastAttemptMs = atMs;
    state.lastOutcome = event.outcome;
    noteFailure(state, event.outcome);
    if (event.fallback !== undefined) state.fallback = event.fallback;
    if (isFinal(event.outcome)) state.isReported = !isToBeReported(envelope, index, event.outcome);
    else state.nextAttemptMs = event.nextAttempt === undefined ? atMs : Date.parse(event.nextAttempt);
  }
}

function noteFailure(state: RecipientState, { action, replyClass }: Outcome): void {
  if (replyClass === undefined || (action !== "delayed" && action !== "failed")) return;
  state.failures = { ...state.failures, [replyClass]: (state.failures?.[replyClass] ?? 0) + 1 };
}

/** True while delivery to the recipient is to be tried (again). */
export function isPending(state: RecipientState): boolean {
  return state.lastOutcome === undefined || !isFinal(state.lastOutcome);
}

/** True for a recipient that nothing more is tried for, and of which the sender has yet to hear. */
export function isUnreported(state: RecipientState): boolean {
  return !isPending(state) && !state.isReported;
}

/** What an unreported recipient is to be reported as. */
export function reportKindOf({ lastOutcome }: RecipientState): "failed" | "succeeded" {
  return lastOutcome?.action === "failed" ? "failed" : "succeeded";
}

/** True when no recipient is left to deliver to or to report on. */
export function isDone(message: QueuedMessage): boolean {
  return message.recipients.every((state) => !isPending(state) && state.isReported);
}

/**
 * True where the sender has to be told of a final outcome: there is a sender (a DSN is never sent for a null
 * reverse-path, RFC 5321 §6.1), and of a failure unless NOTIFY forbids it, of success where NOTIFY asks for it and the
 * next hop will not tell it.
 *
 * @see RFC 3461 §4.1, §5.2, §6.2
 */
export function isToBeReported(envelope: Envelope, index: number, outcome: Outcome): boolean {
  if (reversePathOf(envelope, envelope.recipients[index]) === "") return false;
  const { notify, list } = envelope.recipients[index] ?? {};
  if (outcome.action === "failed") return notify === undefined || (notify !== "never" && notify.includes("failure"));
  if (notify === "never") return false;
  // RFC 2852 §4.1.4: each relay that takes the message is shown to its sender, whatever else was asked for.
  if (outcome.action === "relayed" && list !== "member" && envelope.deliverBy?.isTraced) return true;
  return notify !== undefined && notify.includes("success") && !outcome.isDsnPassedOn;
}

/** True where the sender may be warned of a delay; without NOTIFY that is ours to decide (RFC 3461 §4.1), and we do. */
export function isDelayReportable(envelope: Envelope, index: number): boolean {
  if (reversePathOf(envelope, envelope.recipients[index]) === "") return false;
  const notify = envelope.recipients[index]?.notify;
  return notify === undefined || (notify !== "never" && notify.includes("delay"));
}
