/** A strict reader of reports: it refuses what a lenient mail program would repair. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Dsn } from "../../../lib/dsn/compose.ts";

/** Field names in lower case with their unfolded values, in order. */
export type Fields = [string, string][];

/** One body part. */
export interface MimePart {
  readonly header: Fields;
  readonly octets: Uint8Array;
  readonly text: string;
}

/** A parsed report. */
export interface ParsedDsn {
  readonly header: Fields;
  readonly words: MimePart;
  readonly status: MimePart;
  readonly original: MimePart;
  /** Groups of delivery-status fields: the message, then one for each recipient. */
  readonly groups: Fields[];
}

/** The one value of a field; undefined where it is missing, an error where it comes twice. */
export function valueOf(fields: Fields, name: string): string | undefined {
  const values = fields.filter(([key]) => key === name);
  assert(values.length <= 1, `${name} comes ${values.length} times`);
  return values[0]?.[1];
}

/** Parses a report, and checks line ends, line lengths, octets against their declaration, and structure. */
export function parseDsn({ content, envelope }: Dsn): ParsedDsn {
  const octets = content.inMemory;
  assertEquals(content.octets, octets.length);
  const binary = latin1(octets);
  assert(!binary.includes("\0"), "NUL");
  assert(!/\r(?!\n)|(?<!\r)\n/.test(binary), "bare CR or LF");
  for (const line of binary.split("\r\n")) assert(line.length <= 998, `line of ${line.length} octets`);
  assertEquals(envelope.body, /[^\x00-\x7f]/.test(binary) ? "8BITMIME" : "7BIT");

  const [header, body] = splitEntity(octets);
  if (!envelope.smtpUtf8) assert(!/[^\x00-\x7f]/.test(header.flat().join("")), "8-bit header");
  const type = valueOf(header, "content-type") ?? "";
  assertMatch(type, /^multipart\/report; report-type=delivery-status; boundary="[^"]{1,70}"$/);
  const parts = splitParts(body, /boundary="([^"]+)"/.exec(type)?.[1] ?? "");
  assertEquals(parts.length, 3);
  const [words, status, original] = parts;
  assert(words !== undefined && status !== undefined && original !== undefined);
  assertEquals(valueOf(words.header, "content-type"), "text/plain; charset=utf-8");
  assertMatch(valueOf(status.header, "content-type") ?? "", /^message\/(global-)?delivery-status$/);
  const groups = status.text.split("\r\n\r\n").map((group) => parseFields(group.replace(/\r\n$/, "")));
  return { header, words, status, original, groups };
}

function splitEntity(octets: Uint8Array): [Fields, Uint8Array] {
  const end = latin1(octets).indexOf("\r\n\r\n");
  assert(end > 0, "no empty line after the header");
  return [parseFields(utf8(octets.subarray(0, end))), octets.subarray(end + 4)];
}

/** Every line is a field or the continuation of one; a continuation is never blank. */
function parseFields(text: string): Fields {
  const fields: Fields = [];
  for (const line of text.split("\r\n")) {
    if (/^[ \t]/.test(line)) {
      const last = fields.at(-1);
      assert(last !== undefined && line.trim() !== "", `stray continuation "${line}"`);
      last[1] += line;
      continue;
    }
    const match = /^([!-9;-~]+): ?(.*)$/u.exec(line);
    assert(match !== null, `no field: "${line}"`);
    fields.push([(match[1] ?? "").toLowerCase(), match[2] ?? ""]);
  }
  return fields;
}

function splitParts(body: Uint8Array, boundary: string): MimePart[] {
  const binary = latin1(body);
  const pieces = `\r\n${binary}`.split(`\r\n--${boundary}`);
  assertEquals(binary.split(boundary).length, pieces.length, "boundary inside a part");
  assertEquals(pieces.at(-1), "--\r\n");
  return pieces.slice(1, -1).map((piece) => {
    assert(piece.startsWith("\r\n"));
    const octets = Uint8Array.from(piece.slice(2), (character) => character.charCodeAt(0));
    const [header, content] = splitEntity(octets);
    const encoding = valueOf(header, "content-transfer-encoding");
    assertEquals(encoding, /[^\x00-\x7f]/.test(latin1(content)) ? "8bit" : "7bit");
    return { header, octets: content, text: new TextDecoder().decode(content) };
  });
}

function latin1(octets: Uint8Array): string {
  let text = "";
  for (const octet of octets) text += String.fromCharCode(octet);
  return text;
}

function utf8(octets: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(octets);
}
