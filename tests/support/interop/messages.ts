/** Messages that show whether content is carried octet for octet. */

import { latin1Octets } from "./maildir.ts";

/** A content to send, as octets with CRLF and as text with the same characters up to 255. */
export interface SampleMessage {
  readonly octets: Uint8Array<ArrayBuffer>;
  readonly text: string;
}

/**
 * A message with what transports like to damage: lines of dots, trailing spaces and tabs, empty lines at the end, 8-bit
 * octets, a folded header field, lines of 998 characters (RFC 5322 §2.1.1), "From " at the start of a line.
 */
export function awkwardMessage(options: {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  /** Octets above 127 in the body; default true. */
  readonly is8bit?: boolean;
}): SampleMessage {
  const lines = [
    `From: <${options.from}>`,
    `To: <${options.to}>`,
    `Subject: ${options.subject}`,
    "Date: Mon, 23 Nov 2026 12:00:00 +0000",
    `Message-ID: <${crypto.randomUUID()}@client.example>`,
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    options.is8bit === false ? "Content-Transfer-Encoding: 7bit" : "Content-Transfer-Encoding: 8bit",
    "X-Folded: first",
    "\tsecond  ",
    "X-Empty-ish: ",
    "",
    ".",
    "..",
    ".leading dot",
    "From the start of a line",
    "trailing spaces   ",
    "trailing tab\t",
    "x".repeat(998),
    ...(options.is8bit === false ? [] : ["Gr\u00c3\u00bc\u00c3\u009fe \u00e2\u0082\u00ac \u00ff\u00fe\u0080"]),
    "",
    "",
    "",
  ];
  const text = lines.join("\r\n");
  return { text, octets: latin1Octets(text) };
}
