/** Real and awkward messages, to see whether a mailbox gives them back octet for octet. */

import { latin1Octets } from "./maildir.ts";

/** One of them. */
export interface TortureMessage {
  readonly name: string;
  readonly content: Uint8Array<ArrayBuffer>;
  /** DATA cannot carry it: its last line has no CRLF. */
  readonly isChunkedOnly?: boolean;
}

const CRLF = "\r\n";

/** Multiparts in multiparts, a message in a message, encoded words, charsets, empty parts, boundaries that contain each other. */
const MIME = [
  "From: =?utf-8?Q?J=C3=BCrgen?= (comment \\) in (a comment)) <juergen@elsewhere.example>",
  "To: undisclosed-recipients:;",
  "Subject: =?iso-8859-1?B?5Pb8?= =?utf-8?B?4oKs?=\t  =?us-ascii?Q?_torture?=  ",
  "Date: Mon, 23 Nov 2026 12:00:00 +0000 (UTC)",
  "Message-ID: <torture@elsewhere.example>",
  "MIME-Version: 1.0 (made by hand)",
  'Content-Type: multipart/mixed; boundary="a b"; x*0="x'.concat("y".repeat(300), '";'),
  "\tx*1*=utf-8''%e2%82%ac",
  "X-Empty:",
  "X-Only-Blanks:   \t ",
  "",
  "preamble that nobody reads",
  "--a b",
  "",
  "a part without a header",
  "--a b",
  "Content-Type: multipart/alternative; boundary=a",
  "",
  "--a",
  "Content-Type: text/plain; charset=utf-8; format=flowed; delsp=yes",
  "Content-Transfer-Encoding: quoted-printable",
  "",
  "soft =",
  "break=20",
  "=E2=82=AC",
  "--a",
  "Content-Type: text/html",
  "",
  "<p>--a is no boundary here</p>",
  "--a--",
  "--a b",
  "Content-Type: message/rfc822",
  "",
  "From: inner@elsewhere.example",
  "Delivered-To: somebody@elsewhere.example",
  'Content-Type: multipart/digest; boundary="----=_x"',
  "",
  "------=_x",
  "",
  "Subject: in a digest",
  "",
  "text",
  "------=_x--",
  "--a b",
  'Content-Type: application/octet-stream; name="a/../b\\"c"',
  "Content-Transfer-Encoding: base64",
  "",
  "AAECAwQFBgcICQoLDA0ODw==",
  "--a b",
  "--a b--",
  "epilogue",
  "--a b",
  "",
].join(CRLF);

const HEADER = ["From: <x@elsewhere.example>", "Subject: torture", "Date: Mon, 23 Nov 2026 12:00:00 +0000", ""].join(
  CRLF,
);

/** All but the large one. */
export function tortureMessages(): TortureMessage[] {
  const octets = Array.from({ length: 256 }, (_, octet) => String.fromCharCode(octet)).join("").replace(
    /[\0\r\n]/g,
    "",
  );
  const texts: [name: string, text: string][] = [
    ["MIME torture", MIME],
    ["8-bit octets", `${HEADER}\r\n${`${octets}\r\n`.repeat(20)}`],
    ["nothing at all", ""],
    ["an empty line", CRLF],
    ["a header section only", HEADER],
    ["a header section and an empty line", HEADER + CRLF],
    ["a body only", `\r\nno header section, but an empty line\r\n`],
    ["no header section", "This is no header field, and nothing separates it\r\nfrom what follows.\r\n\r\nmore\r\n"],
    ["a line of 998 octets", `${HEADER}\r\n${"x".repeat(998)}\r\n`],
    ["a line of 300,000 octets", `${HEADER}\r\n${"x".repeat(300_000)}\r\n.\r\n`],
    ["dots", `${HEADER}\r\n${".\r\n..\r\n...\r\n. \r\n".repeat(500)}\r\n.\r\n`],
    ["empty lines", HEADER + CRLF.repeat(10_000)],
    ["From at the start of lines", `${HEADER}\r\n${"From a line\r\n>From a line\r\n".repeat(20)}`],
  ];
  return [
    ...texts.map(([name, text]) => ({ name, content: latin1Octets(text) })),
    { name: "a last line without CRLF", content: latin1Octets(`${HEADER}\r\nno end`), isChunkedOnly: true },
    { name: "a dot at the end without CRLF", content: latin1Octets(`${HEADER}\r\n.\r\n.`), isChunkedOnly: true },
  ];
}

/** An attachment of lines in base64, 50 MB in all. */
export function largeMessage(): TortureMessage {
  const line = latin1Octets("TWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsuTWFueSBoYW5kcyBtYWtlIGxpZ2h0IHdvcmsuTWFu\r\n");
  const header = latin1Octets(
    `${HEADER}Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n`,
  );
  const lines = Math.ceil((50_000_000 - header.length) / line.length);
  const content = new Uint8Array(header.length + lines * line.length);
  content.set(header);
  for (let at = header.length; at < content.length; at += line.length) content.set(line, at);
  return { name: "50 MB", content };
}
