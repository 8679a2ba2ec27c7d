/** The mail that carries a report: words for people and the report as an attachment, 7-bit all of it. */

import { plainField, textField } from "../dsn/field.ts";
import { formatDate, makeMessageId } from "../mail/header.ts";

/** What the mail is made of. */
export interface ReportMail {
  /** Whose mailbox it comes from: its domain is one of ours, so that a signature is aligned. */
  readonly from: string;
  /** Our organization, in front of the address. */
  readonly organization: string;
  /** The recipient. */
  readonly to: string;
  /** US-ASCII. */
  readonly subject: string;
  /** Of the header section, each ended by CRLF. */
  readonly moreFields: string;
  /** Of the whole, without the boundary, e.g. `multipart/mixed`. */
  readonly type: string;
  /** For people, lines ended by CRLF, US-ASCII. */
  readonly words: string;
  /** The report. */
  readonly attachment: {
    /** Media type. */
    readonly type: string;
    /** Without white space and quotes. */
    readonly fileName: string;
    /** As they are. */
    readonly octets: Uint8Array;
  };
  /** Of the Message-ID. */
  readonly hostname: string;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  /** At least 16 octets from a good source. */
  readonly random: Uint8Array;
}

/** Octets of base64 on a line (RFC 2045 §6.8). */
const LINE_CHARACTERS = 76;

/** Writes the whole message, CRLF line ends. */
export function composeReportMail(mail: ReportMail): Uint8Array<ArrayBuffer> {
  const { from, to, subject, nowMs, random, hostname, attachment } = mail;
  const boundary = `=_posthorn_${hex(random.subarray(8, 16))}`;
  const header = plainField("From", `${quoted(mail.organization)} <${from}>`) + plainField("To", to) +
    textField("Subject", subject) + plainField("Date", formatDate(nowMs)) +
    plainField("Message-ID", makeMessageId(nowMs, random.subarray(0, 8), hostname)) +
    // RFC 3834 §5: nobody answers by machine.
    `Auto-Submitted: auto-generated\r\n${mail.moreFields}MIME-Version: 1.0\r\n` +
    `Content-Type: ${mail.type};\r\n boundary="${boundary}"\r\n`;
  const words = `--${boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n${mail.words}\r\n`;
  const name = attachment.fileName;
  const report = `--${boundary}\r\nContent-Type: ${attachment.type};\r\n name="${name}"\r\n` +
    `Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n filename="${name}"\r\n\r\n` +
    `${base64Lines(attachment.octets)}\r\n`;
  return new TextEncoder().encode(`${header}\r\n${words}${report}--${boundary}--\r\n`);
}

function hex(octets: Uint8Array): string {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/** A display name (RFC 5322 §3.4). What it cannot hold in US-ASCII becomes a question mark. */
function quoted(text: string): string {
  return `"${text.replaceAll(/[^\x20-\x7e]/g, "?").replaceAll(/["\\]/g, "\\$&")}"`;
}

function base64Lines(octets: Uint8Array): string {
  const lines: string[] = [];
  const perLine = LINE_CHARACTERS / 4 * 3;
  for (let at = 0; at < octets.length; at += perLine) {
    lines.push(btoa(String.fromCharCode(...octets.subarray(at, at + perLine))));
  }
  return lines.join("\r\n");
}
