/** From events to the state of each recipient: the same rules for a journal read back and for what happens now. */

import type { Envelope } from "../mail/envelope.ts";
import { isFinal, type Outcome } from "../mail/outcome.ts";
import type { QueuedMessage, RecipientState, SpoolEvent } from "./spool.ts";

/** The state of the recipients of a message that was just accepted: due at once. */
export function initialStates(envelope: Envelope): RecipientState[] {
  const nextAttemptMs = Date.parse(envelope.arrived);
  return envelope.recipients.map((_, index) => ({
    index,
    attempts: 0,
    nextAttemptMs,
    isWarned: false,
    isReported: false,
  }));
}

/** Applies one event to the states of a message's recipients. */
export function applyEvent(envelope: Envelope, states: readonly RecipientState[], event: SpoolEvent): void {
  const atMs = Date.parse(event.at);
  if (event.event === "retry") {
    for (const state of states) {
      if (isPending(state)) state.nextAttemptMs = atMs;
    }
    return;
  }
  for (const index of event.recipients) {
    const state = states[index];
    if (state === undefined) continue;
    if (event.event === "reported") {
      if (event.kind === "failed") state.isReported = true;
      else state.isWarned = true;
      continue;
    }
    state.attempts++;
    state.lastAttemptMs = atMs;
    state.lastOutcome = event.outcome;
    if (isFinal(event.outcome)) state.isReported = !isFailureToReport(envelope, index, event.outcome);
    else state.nextAttemptMs = event.nextAttempt === undefined ? atMs : Date.parse(event.nextAttempt);
  }
}

/** True while delivery to the recipient is to be tried (again). */
export function isPending(state: RecipientState): boolean {
  return state.lastOutcome === undefined || !isFinal(state.lastOutcome);
}

/** True for a recipient that failed for good, of which the sender has yet to hear. */
export function isUnreported(state: RecipientState): boolean {
  return !isPending(state) && !state.isReported;
}

/** True when no recipient is left to deliver to or to report on. */
export function isDone(message: QueuedMessage): boolean {
  return message.recipients.every((state) => !isPending(state) && state.isReported);
}

/**
 * True where the sender has to be told of a failure: there is a sender (a DSN is never sent for a null reverse-path,
 * RFC 5321 §6.1) and NOTIFY does not forbid it.
 *
 * @see RFC 3461 §4.1, §6.2
 */
export function isFailureToReport(envelope: Envelope, index: number, outcome: Outcome): boolean {
  if (outcome.action !== "failed" || envelope.reversePath === "") return false;
  const notify = envelope.recipients[index]?.notify;
  return notify === undefined || (notify !== "never" && notify.includes("failure"));
}

/** True where the sender may be warned of a delay; without NOTIFY that is ours to decide (RFC 3461 §4.1), and we do. */
export function isDelayReportable(envelope: Envelope, index: number): boolean {
  if (envelope.reversePath === "") return false;
  const notify = envelope.recipients[index]?.notify;
  return notify === undefined || (notify !== "never" && notify.includes("delay"));
}
