/** Messages as `queue list` shows them: the JSON of the contract, and lines for people. */

import type { EnvelopeRecipient } from "../../mail/envelope.ts";
import type { QueuedMessage, RecipientState } from "../../queue/spool.ts";
import { type StateName, stateNameOf } from "./filter.ts";
import { countText, durationText, printable, sizeText, timeText } from "./units.ts";

/** One recipient of a listed message. Times are RFC 3339 in UTC. */
export interface ListedRecipient {
  /** The forward-path. */
  readonly address: string;
  /** Where it stands. */
  readonly state: StateName;
  /** Deliveries tried. */
  readonly attempts: number;
  /** For `waiting`. */
  readonly nextAttempt: string | null;
  /** The last reply of the next hop, or our own words. */
  readonly lastReply: string | null;
  /** Enhanced status code of it. */
  readonly status: string | null;
  /** What it is about, where that is known. */
  readonly replyClass: string | null;
  /** The host that gave it. */
  readonly host: string | null;
}

/** One message as `queue list --json` shows it. */
export interface ListedMessage {
  /** Queue id. */
  readonly id: string;
  /** Empty for the null reverse-path. */
  readonly reversePath: string;
  /** When it was accepted. */
  readonly arrived: string;
  /** Of the content as received. */
  readonly octets: number;
  /** In the order of the envelope. */
  readonly recipients: readonly ListedRecipient[];
  /** An operator stopped it. */
  readonly held: boolean;
}

/** Recipients of one message that people are shown. */
const SHOWN_RECIPIENTS = 10;

/** The message as JSON shows it. */
export function listed({ queueId, envelope, content, recipients, isHeld }: QueuedMessage): ListedMessage {
  return {
    id: queueId,
    reversePath: envelope.reversePath,
    arrived: envelope.arrived,
    octets: content.octets,
    recipients: recipients.map((state) => listedRecipient(envelope.recipients[state.index], state)),
    held: isHeld,
  };
}

/** The line above the messages. */
export const LIST_HEADING = `${"ID".padEnd(16)} ${"AGE".padStart(7)} ${"SIZE".padStart(8)}  SENDER, RECIPIENTS`;

/** The message as lines for people. */
export function listedLines(message: QueuedMessage, nowMs: number): string[] {
  const { queueId, envelope, content, recipients, isHeld } = message;
  const age = durationText(nowMs - Date.parse(envelope.arrived)).padStart(7);
  const head = `${queueId} ${age} ${sizeText(content.octets).padStart(8)}  <${printable(envelope.reversePath)}>`;
  const shown = recipients.slice(0, SHOWN_RECIPIENTS).map((state) => recipientLine(message, state, nowMs));
  const more = recipients.length - shown.length;
  return [
    isHeld ? `${head} held` : head,
    ...shown,
    ...(more > 0 ? [`    and ${countText(more, "more recipient")}`] : []),
  ];
}

/** One recipient as a line for people. */
export function recipientLine({ envelope, isHeld }: QueuedMessage, state: RecipientState, nowMs: number): string {
  const address = `    <${printable(envelope.recipients[state.index]?.address ?? "")}>`;
  const { lastOutcome, attempts, nextAttemptMs } = state;
  const reply = lastOutcome === undefined || lastOutcome.text === "" ? "" : `: ${printable(lastOutcome.text)}`;
  const name = stateNameOf(state);
  if (name !== "waiting") return `${address} ${name}${reply}`;
  if (isHeld) return `${address} held after ${countText(attempts, "attempt")}${reply}`;
  const when = nextAttemptMs <= nowMs ? "now" : `at ${timeText(nextAttemptMs, nowMs)}`;
  return `${address} attempt ${attempts + 1} ${when}${reply}`;
}

function listedRecipient(recipient: EnvelopeRecipient | undefined, state: RecipientState): ListedRecipient {
  const { lastOutcome, attempts, nextAttemptMs } = state;
  const name = stateNameOf(state);
  return {
    address: recipient?.address ?? "",
    state: name,
    attempts,
    nextAttempt: name === "waiting" ? new Date(nextAttemptMs).toISOString() : null,
    lastReply: lastOutcome?.text ?? null,
    status: lastOutcome?.status ?? null,
    replyClass: lastOutcome?.replyClass ?? null,
    host: lastOutcome?.remoteMta ?? null,
  };
}
