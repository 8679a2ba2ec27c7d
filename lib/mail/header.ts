/**
 * The header section of a message, on octets: where it ends, its fields, and the texts that posthorn itself puts into
 * fields. It reads what is there and never refuses: what is not a field is passed over (RFC 5322 §2.2, §4.5).
 */

import type { Content } from "./content.ts";

const LF = 10;
const CR = 13;
const SPACE = 32;
const TAB = 9;
const COLON = 58;

/** One header field as offsets into the octets it was found in. */
export interface HeaderField {
  /** First octet of the name. */
  readonly start: number;
  /** End of the name; white space may come before the colon (RFC 5322 §4.5). */
  readonly nameEnd: number;
  /** First octet after the colon. */
  readonly valueStart: number;
  /** After the line end of the last line of the field. */
  readonly end: number;
}

/**
 * Finds the end of the header section: the offset of the empty line, just after the line end of the last field.
 *
 * @returns 0 where the message begins with its empty line; undefined where the octets hold no empty line.
 */
export function headerSectionEnd(octets: Uint8Array): number | undefined {
  let start = 0;
  while (start < octets.length) {
    const lf = octets.indexOf(LF, start);
    if (lf < 0) return undefined;
    if (isEmptyLine(octets, start, lf)) return start;
    start = lf + 1;
  }
  return undefined;
}

function isEmptyLine(octets: Uint8Array, start: number, lf: number): boolean {
  return lf === start || (lf === start + 1 && octets[start] === CR);
}

/**
 * Yields the fields of a header section in order. Stops at the empty line, so that a whole message may be given.
 * Lines that are neither a field nor the continuation of one are passed over.
 */
export function* headerFields(octets: Uint8Array): Generator<HeaderField> {
  let start = 0;
  while (start < octets.length) {
    let end = lineEnd(octets, start);
    if (isEmptyLine(octets, start, end - 1)) return;
    // A continuation line may hold white space only (RFC 5322 §4.2); it does not end the section.
    while (end < octets.length && isWhiteSpace(octets[end])) end = lineEnd(octets, end);
    const field = fieldAt(octets, start, end);
    if (field !== undefined) yield field;
    start = end;
  }
}

function lineEnd(octets: Uint8Array, start: number): number {
  const lf = octets.indexOf(LF, start);
  return lf < 0 ? octets.length : lf + 1;
}

function isWhiteSpace(octet: number | undefined): boolean {
  return octet === SPACE || octet === TAB;
}

/** field-name = 1*ftext; ftext = %d33-57 / %d59-126 (RFC 5322 §3.6.8). */
function fieldAt(octets: Uint8Array, start: number, end: number): HeaderField | undefined {
  let at = start;
  while (at < end && isNameOctet(octets[at])) at++;
  const nameEnd = at;
  while (at < end && isWhiteSpace(octets[at])) at++;
  if (nameEnd === start || at >= end || octets[at] !== COLON) return undefined;
  return { start, nameEnd, valueStart: at + 1, end };
}

function isNameOctet(octet: number | undefined): boolean {
  return octet !== undefined && octet > SPACE && octet < 127 && octet !== COLON;
}

/** True where the field has this name. @param name In lower case. */
export function isFieldNamed(octets: Uint8Array, field: HeaderField, name: string): boolean {
  if (field.nameEnd - field.start !== name.length) return false;
  for (let i = 0; i < name.length; i++) {
    const octet = octets[field.start + i] ?? 0;
    const lower = octet >= 65 && octet <= 90 ? octet + 32 : octet;
    if (lower !== name.charCodeAt(i)) return false;
  }
  return true;
}

/** Counts the fields of this name, e.g. `received` to find a loop (RFC 5321 §6.3). @param name In lower case. */
export function countFields(octets: Uint8Array, name: string): number {
  let count = 0;
  for (const field of headerFields(octets)) if (isFieldNamed(octets, field, name)) count++;
  return count;
}

/** Returns the value of a field, unfolded (RFC 5322 §2.2.3) and without white space around it; malformed UTF-8 as U+FFFD. */
export function fieldValue(octets: Uint8Array, field: HeaderField): string {
  let { valueStart: start, end } = field;
  // No regular expression: one for white space at the end tries again at each octet of a long run in the middle.
  while (start < end && isBlank(octets[start])) start++;
  while (end > start && isBlank(octets[end - 1])) end--;
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(octets.subarray(start, end)).replace(
    /\r?\n(?=[ \t])/g,
    "",
  );
}

function isBlank(octet: number | undefined): boolean {
  return isWhiteSpace(octet) || octet === CR || octet === LF;
}

/** The header section of some content, or its beginning. */
export interface HeaderSection {
  /** Whole lines: the fields, without the empty line. */
  readonly octets: Uint8Array;
  /** False where it was longer than the bound. */
  readonly isComplete: boolean;
}

/**
 * Reads the header section of content and no more than needed.
 *
 * @param maxOctets Bound of what is kept in memory; a longer section is cut after its last whole line.
 * @throws What reading the content throws.
 */
export async function readHeaderSection(content: Content, maxOctets: number): Promise<HeaderSection> {
  if (content.inMemory !== undefined) return sectionOf(content.inMemory, maxOctets, true);
  let kept = new Uint8Array(0);
  for await (const chunk of content.chunks()) {
    const joined = new Uint8Array(kept.length + chunk.length);
    joined.set(kept);
    joined.set(chunk, kept.length);
    kept = joined;
    if (kept.length > maxOctets || headerSectionEnd(kept) !== undefined) return sectionOf(kept, maxOctets, false);
  }
  return sectionOf(kept, maxOctets, true);
}

function sectionOf(octets: Uint8Array, maxOctets: number, isWhole: boolean): HeaderSection {
  const bounded = octets.subarray(0, maxOctets);
  const end = headerSectionEnd(bounded);
  if (end !== undefined) return { octets: bounded.subarray(0, end), isComplete: true };
  if (isWhole && octets.length <= maxOctets) return { octets, isComplete: true };
  return { octets: bounded.subarray(0, bounded.lastIndexOf(LF) + 1), isComplete: false };
}

/** Formats a time as date-time in UTC, e.g. `Mon, 23 Nov 2026 10:00:00 +0000` (RFC 5322 §3.3). @param ms Since 1970. */
export function formatDate(ms: number): string {
  // ECMA-262 fixes the text of toUTCString: "Mon, 23 Nov 2026 10:00:00 GMT". RFC 5322 §4.3 makes "GMT" obsolete.
  return new Date(ms).toUTCString().replace("GMT", "+0000");
}

/**
 * Makes a msg-id (RFC 5322 §3.6.4).
 *
 * @param ms The time, which makes ids of one host differ and sort.
 * @param random At least 8 octets from a good source.
 * @param hostname Ours.
 */
export function makeMessageId(ms: number, random: Uint8Array, hostname: string): string {
  let digits = "";
  for (const octet of random) digits += octet.toString(16).padStart(2, "0");
  return `<${ms.toString(36)}.${digits}@${hostname}>`;
}
