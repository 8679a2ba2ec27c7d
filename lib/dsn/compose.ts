/**
 * Writes delivery status notifications: the report to the sender about recipients that failed, are
 * late, or were reached where the sender asked for that
 * (RFC 3464 in the multipart/report of RFC 6522; RFC 6533 where addresses are not US-ASCII). Whether and when a report
 * is due is the queue's decision.
 */

import { joinOctets } from "../mail/octets.ts";
import { memoryContent } from "../mail/content.ts";
import type { Content } from "../mail/content.ts";
import type { Envelope } from "../mail/envelope.ts";
import { formatDate, makeMessageId } from "../mail/header.ts";
import { formatDeliveryStatus } from "./delivery_status.ts";
import { encodedField, hasNonAscii, plainField } from "./field.ts";
import { hasEightBit, type Original, readOriginal } from "./original.ts";
import { type Report, reportedAddress, type ReportKind } from "./report.ts";
import { formatWords } from "./words.ts";

/** A report, ready for the spool. */
export interface Dsn {
  /** Null reverse-path, one recipient: the sender of the reported message. */
  readonly envelope: Envelope;
  /** The whole message, CRLF line ends. */
  readonly content: Content & { readonly inMemory: Uint8Array };
}

interface Part {
  readonly type: string;
  readonly description: string;
  readonly octets: Uint8Array;
}

const SUBJECTS: Readonly<Record<ReportKind, string>> = {
  failed: "Undelivered mail",
  delayed: "Delayed mail",
  succeeded: "Mail was passed on",
};

const encoder = new TextEncoder();

/**
 * Writes one report on all the recipients given.
 *
 * @throws {TypeError} There is nobody to report to (null reverse-path, RFC 5321 §4.5.5) or on.
 * @throws What reading the content throws.
 */
export async function composeDsn(report: Report): Promise<Dsn> {
  const { envelope, recipients, nowMs, hostname } = report;
  if (envelope.reversePath === "") throw new TypeError("Cannot report to the null reverse-path");
  if (recipients.length === 0) throw new TypeError("Cannot report on no recipients");
  const original = await readOriginal(envelope, report.content, report.kind === "failed");
  const parts = makeParts(report, original);
  const boundary = makeBoundary(report.random, parts);
  const octets = joinOctets([
    encoder.encode(formatHeader(report, original, boundary)),
    ...parts.flatMap((part) => formatPart(part, boundary)),
    encoder.encode(`\r\n--${boundary}--\r\n`),
  ]);
  return {
    envelope: {
      reversePath: "",
      arrived: new Date(nowMs).toISOString(),
      body: hasEightBit(octets) ? "8BITMIME" : "7BIT",
      // Our header section holds UTF-8 only in To (RFC 6531 §3.2).
      smtpUtf8: hasNonAscii(envelope.reversePath),
      trace: plainField("Received", `by ${hostname} (posthorn, report on ${report.queueId}); ${formatDate(nowMs)}`),
      session: { service: "local" },
      // RFC 3461 §6.1: no report is asked for on a report.
      recipients: [{ address: envelope.reversePath, notify: "never" }],
    },
    content: { ...memoryContent(octets), inMemory: octets },
  };
}

function formatHeader(report: Report, { messageId }: Original, boundary: string): string {
  const { hostname, nowMs, envelope, recipients } = report;
  const first = recipients[0] === undefined ? "" : reportedAddress(recipients[0]);
  const others = recipients.length > 1 ? ` and ${recipients.length - 1} more` : "";
  const subject = `${SUBJECTS[report.kind]}: ${first}${others}`;
  let header = plainField("From", `Mail Delivery System <MAILER-DAEMON@${hostname}>`);
  header += plainField("To", envelope.reversePath);
  header += encodedField("Subject", subject);
  header += plainField("Date", formatDate(nowMs));
  header += plainField("Message-ID", makeMessageId(nowMs, report.random.subarray(0, 8), hostname));
  // RFC 3834 §3.1.5; lets mail programs show the report beside the message.
  if (messageId !== undefined) header += `In-Reply-To: ${messageId}\r\nReferences: ${messageId}\r\n`;
  header += "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n";
  header += `Content-Type: multipart/report; report-type=delivery-status;\r\n boundary="${boundary}"\r\n`;
  return `${header}\r\nThis is a report in MIME format (RFC 3464).\r\n`;
}

function makeParts(report: Report, original: Original): Part[] {
  const isGlobal = needsUtf8(report);
  return [
    {
      type: "text/plain; charset=utf-8",
      description: "Notification",
      octets: encoder.encode(formatWords(report, original.subject)),
    },
    {
      type: isGlobal ? "message/global-delivery-status" : "message/delivery-status",
      description: "Delivery report",
      octets: encoder.encode(formatDeliveryStatus(report, isGlobal)),
    },
    {
      type: original.type,
      description: original.type.endsWith("headers") ? "Header of the message" : "The message",
      octets: original.octets,
    },
  ];
}

/** Only an address outside US-ASCII needs the types of RFC 6533, which few bounce parsers know; replies can do without. */
function needsUtf8({ recipients }: Report): boolean {
  return recipients.some((one) => hasNonAscii(reportedAddress(one)) || hasNonAscii(one.recipient.orcpt ?? ""));
}

function formatPart({ type, description, octets }: Part, boundary: string): Uint8Array[] {
  const head = `\r\n--${boundary}\r\nContent-Type: ${type}\r\nContent-Description: ${description}\r\n` +
    `Content-Transfer-Encoding: ${hasEightBit(octets) ? "8bit" : "7bit"}\r\n\r\n`;
  return [encoder.encode(head), octets];
}

/** A boundary that is in no part (RFC 2046 §5.1.1). Nobody can guess it, but looking is cheap. */
function makeBoundary(random: Uint8Array, parts: readonly Part[]): string {
  const digits = Array.from(random.subarray(8, 24), (octet) => octet.toString(16).padStart(2, "0")).join("");
  const decoder = new TextDecoder("latin1");
  const texts = parts.map(({ octets }) => decoder.decode(octets));
  for (let count = 0;; count++) {
    const boundary = `=_posthorn_${digits}_${count}`;
    if (!texts.some((text) => text.includes(boundary))) return boundary;
  }
}
