/** Reports to try things on. */

import type { Report } from "../../../lib/dsn/report.ts";
import { memoryContent } from "../../../lib/mail/content.ts";
import type { Envelope, EnvelopeRecipient } from "../../../lib/mail/envelope.ts";
import type { Outcome } from "../../../lib/mail/outcome.ts";

/** Time of the last attempt and of the report. */
export const NOW_MS = Date.UTC(2026, 10, 23, 12, 0, 0);

/** The message that is reported on. */
export const MESSAGE = "From: Alice <alice@example.org>\r\nTo: bob@example.net\r\nSubject: Lunch\r\n" +
  "Message-ID: <m1@example.org>\r\n\r\nSecret place at noon\r\n";

/** What may be changed of the sample. */
export interface Changes extends Partial<Omit<Report, "envelope" | "content" | "recipients">> {
  readonly envelope?: Partial<Envelope>;
  readonly message?: string | Uint8Array;
  readonly recipient?: Partial<EnvelopeRecipient>;
  readonly outcome?: Partial<Outcome>;
}

/** A report on one recipient that a remote server refused or put off. */
export function sampleReport({ envelope, message = MESSAGE, recipient, outcome, ...rest }: Changes = {}): Report {
  const isFailed = rest.kind !== "delayed";
  const reported = {
    recipient: { address: "bob@example.net", ...recipient },
    outcome: {
      action: isFailed ? "failed" as const : "delayed" as const,
      status: isFailed ? "5.1.1" : "4.2.2",
      text: isFailed ? "550 5.1.1 No such user" : "452 4.2.2 Mailbox full",
      isRemoteReply: true,
      remoteMta: "mx1.example.net",
      ...outcome,
    },
    lastAttemptMs: NOW_MS - 1000,
  };
  return {
    kind: "failed",
    hostname: "mail.example.org",
    queueId: "q1abc",
    envelope: {
      reversePath: "alice@example.org",
      arrived: "2026-11-23T08:00:00.000Z",
      body: "8BITMIME",
      smtpUtf8: false,
      trace: "Received: from client (192.0.2.7) by mail.example.org; Mon, 23 Nov 2026 08:00:00 +0000\r\n",
      session: { service: "submission" },
      recipients: [reported.recipient],
      ...envelope,
    },
    content: memoryContent(typeof message === "string" ? new TextEncoder().encode(message) : message),
    recipients: [reported],
    nowMs: NOW_MS,
    random: Uint8Array.from({ length: 24 }, (_, i) => i),
    ...rest,
  };
}
