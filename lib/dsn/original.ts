/** The part of a report that shows the reported message: its header section, or all of it where it is small and asked for. */

import { joinOctets } from "../mail/octets.ts";
import type { Content } from "../mail/content.ts";
import type { Envelope } from "../mail/envelope.ts";
import { fieldValue, headerFields, isFieldNamed, readHeaderSection } from "../mail/header.ts";

/** A larger message is never given back whole, whatever RET says; RFC 3461 §4.3 lets us decide. */
const MAX_FULL_OCTETS = 64 * 1024;
/** Bound of the header section given back. */
const MAX_HEADER_OCTETS = 32 * 1024;
/** RFC 5322 §2.1.1, without CRLF. */
const MAX_LINE_OCTETS = 998;

/** What of the reported message goes into its report. */
export interface Original {
  /** Media type of the part (RFC 6522 §4, RFC 6533 §4). */
  readonly type: "text/rfc822-headers" | "message/rfc822" | "message/global-headers" | "message/global";
  /** Lines of at most 998 octets, without NUL, bare CR and bare LF. */
  readonly octets: Uint8Array;
  /** Decoded Subject, if there is one; not yet cleaned. */
  readonly subject?: string;
  /** Message-ID with its angle brackets, if there is a well-formed one. */
  readonly messageId?: string;
}

/**
 * Reads what of the message its report gives back, our trace field in front.
 *
 * @param isFullAllowed Else only the header section, even where RET is FULL: in a warning.
 * @throws What reading the content throws.
 */
export async function readOriginal(envelope: Envelope, content: Content, isFullAllowed: boolean): Promise<Original> {
  const trace = new TextEncoder().encode(envelope.trace);
  const section = (await readHeaderSection(content, MAX_HEADER_OCTETS)).octets;
  const facts = readFacts(section);
  const isGlobal = envelope.smtpUtf8 && hasEightBit(section);
  const mayBeFull = isFullAllowed && envelope.ret === "FULL" && envelope.body !== "BINARYMIME" && !envelope.requireTls;
  if (mayBeFull && content.octets <= MAX_FULL_OCTETS) {
    const octets = joinOctets([trace, await readAll(content)]);
    const clean = cleanLines(octets);
    const isWhole = clean.length === octets.length && clean.every((octet, at) => octet === octets[at]);
    if (isWhole) return { type: isGlobal ? "message/global" : "message/rfc822", octets, ...facts };
  }
  const octets = cleanLines(joinOctets([trace, section]));
  return { type: isGlobal ? "message/global-headers" : "text/rfc822-headers", octets, ...facts };
}

/** True where an octet is not US-ASCII: the part needs 8bit, its message 8BITMIME (RFC 6152). */
export function hasEightBit(octets: Uint8Array): boolean {
  return octets.some((octet) => octet > 127);
}

async function readAll(content: Content): Promise<Uint8Array> {
  if (content.inMemory !== undefined) return content.inMemory;
  const parts: Uint8Array[] = [];
  for await (const chunk of content.chunks()) parts.push(chunk.slice());
  return joinOctets(parts);
}

/** Cuts lines at 998 octets, writes NUL and bare CR as `?` and bare LF as CRLF: an 8bit part holds none of them (RFC 2045 §2.8). */
function cleanLines(octets: Uint8Array): Uint8Array {
  const lines: Uint8Array[] = [];
  const lineEnd = Uint8Array.of(13, 10);
  for (let start = 0; start < octets.length;) {
    const lf = octets.indexOf(10, start);
    const next = lf < 0 ? octets.length : lf + 1;
    const end = lf > start && octets[lf - 1] === 13 ? lf - 1 : lf < 0 ? octets.length : lf;
    lines.push(
      octets.slice(start, Math.min(end, start + MAX_LINE_OCTETS)).map((octet) =>
        octet === 0 || octet === 13 ? 63 : octet
      ),
    );
    if (lf >= 0) lines.push(lineEnd);
    start = next;
  }
  return joinOctets(lines);
}

function readFacts(section: Uint8Array): { subject?: string; messageId?: string } {
  const facts: { subject?: string; messageId?: string } = {};
  for (const field of headerFields(section)) {
    if (isFieldNamed(section, field, "subject")) {
      facts.subject ??= decodeWords(fieldValue(section, field).slice(0, 500));
    }
    if (!isFieldNamed(section, field, "message-id")) continue;
    const messageId = fieldValue(section, field);
    if (/^<[!-;=?-~]{1,250}>$/.test(messageId)) facts.messageId ??= messageId;
  }
  if (facts.subject === "") delete facts.subject;
  return facts;
}

/** Decodes encoded words (RFC 2047); those of an unknown charset stay as they are. */
function decodeWords(text: string): string {
  const joined = text.replace(/(\?=)\s+(?==\?)/g, "$1");
  return joined.replace(/=\?([^?\s]{1,40})\?([bq])\?([^?\s]*)\?=/gi, (word: string, ...groups: string[]) => {
    const [charset = "", encoding = "", data = ""] = groups;
    try {
      const binary = /b/i.test(encoding) ? atob(data) : decodeQ(data);
      const octets = Uint8Array.from(binary, (character) => character.charCodeAt(0));
      return new TextDecoder(charset.split("*")[0]).decode(octets);
    } catch {
      return word;
    }
  });
}

function decodeQ(data: string): string {
  return data.replaceAll("_", " ").replace(
    /=([0-9a-f]{2})/gi,
    (_, digits: string) => String.fromCharCode(parseInt(digits, 16)),
  );
}
