/** What a report is made from. */

import type { Content } from "../mail/content.ts";
import type { Envelope, EnvelopeRecipient } from "../mail/envelope.ts";
import type { Outcome } from "../mail/outcome.ts";

/** One recipient to report on. */
export interface ReportRecipient {
  /** As it stands in the envelope of the reported message. */
  readonly recipient: EnvelopeRecipient;
  /** Of the last attempt. A `delayed` outcome in a report of kind `failed` means: time is over. */
  readonly outcome: Outcome;
  /** Milliseconds since 1970. */
  readonly lastAttemptMs: number;
}

/**
 * What a report is about. `failed`: nothing more will be tried for these recipients; `delayed`: a warning, we go on
 * trying; `succeeded`: delivered, relayed or expanded, as the sender asked to hear (NOTIFY=SUCCESS, RFC 3461 §4.1).
 */
export type ReportKind = "failed" | "delayed" | "succeeded";

/** A report to be written. */
export interface Report {
  /** The same for all its recipients. */
  readonly kind: ReportKind;
  /** Ours: Reporting-MTA, From, Message-ID. */
  readonly hostname: string;
  /** Of the reported message. */
  readonly queueId: string;
  /** Of the reported message. Its reverse-path must not be null. */
  readonly envelope: Envelope;
  /** Of the reported message; its header section, and at most 64 KiB, are read. */
  readonly content: Content;
  /** At least one; all go into one report. */
  readonly recipients: readonly ReportRecipient[];
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** Until when a delayed message is tried, milliseconds since 1970. */
  readonly expiresMs?: number;
  /** At least 16 octets from a good source, for Message-ID and MIME boundary. */
  readonly random: Uint8Array;
}

/** The address that the sender knows: as given by the client, before aliases (RFC 3464 §2.3.2), which may be private. */
export function reportedAddress({ recipient }: ReportRecipient): string {
  return recipient.original ?? recipient.address;
}

/** The status of a recipient; a malformed one becomes the general code of the report's kind (RFC 3463 §2). */
export function reportedStatus(kind: ReportKind, { outcome: { status } }: ReportRecipient): string {
  const classes = kind === "succeeded" ? "2" : "45";
  if (classes.includes(status.charAt(0)) && /^\d\.\d{1,3}\.\d{1,3}$/.test(status)) return status;
  return { failed: "5.0.0", delayed: "4.0.0", succeeded: "2.0.0" }[kind];
}
