/** Finds what may be a report in a mail: leaves of the MIME structure (RFC 2045, RFC 2046), decoded. */

import { fieldValue, headerFields, headerSectionEnd, isFieldNamed } from "../../mail/header.ts";

const MAX_DEPTH = 6;
const MAX_PARTS = 50;
const LF = 10;
const CR = 13;
const DASH = 45;

interface Part {
  readonly octets: Uint8Array<ArrayBuffer>;
  readonly depth: number;
}

/**
 * The decoded parts of a message that are no multipart and no plain text, at most 50. A message that is itself a file
 * (Microsoft sends such ones) is its own part.
 */
export function attachmentsOf(message: Uint8Array<ArrayBuffer>): readonly Uint8Array<ArrayBuffer>[] {
  const found: Uint8Array<ArrayBuffer>[] = [];
  const waiting: Part[] = [{ octets: message, depth: 0 }];
  for (let seen = 0; seen < MAX_PARTS; seen++) {
    const part = waiting.shift();
    if (part === undefined) break;
    const end = headerSectionEnd(part.octets);
    if (end === undefined) continue;
    const header = part.octets.subarray(0, end);
    const body = bodyAfter(part.octets, end);
    const type = field(header, "content-type");
    const boundary = boundaryOf(type);
    if (boundary !== undefined) {
      if (part.depth < MAX_DEPTH) {
        for (const octets of split(body, boundary)) waiting.push({ octets, depth: part.depth + 1 });
      }
    } else if (!/^text\/(?:plain|html)\b/i.test(type) || /attachment/i.test(field(header, "content-disposition"))) {
      found.push(decode(body, field(header, "content-transfer-encoding").toLowerCase()));
    }
  }
  return found;
}

function bodyAfter(octets: Uint8Array<ArrayBuffer>, headerEnd: number): Uint8Array<ArrayBuffer> {
  return octets.subarray(octets.indexOf(LF, headerEnd) + 1);
}

function field(header: Uint8Array, name: string): string {
  for (const one of headerFields(header)) {
    if (isFieldNamed(header, one, name)) return fieldValue(header, one).slice(0, 1000);
  }
  return "";
}

function boundaryOf(type: string): string | undefined {
  if (!/^multipart\//i.test(type)) return undefined;
  const [, quoted, token] = /;\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(type) ?? [];
  return quoted ?? token;
}

/** The parts between the delimiter lines, without the line end in front of a delimiter (RFC 2046 §5.1.1). */
function* split(body: Uint8Array<ArrayBuffer>, boundary: string): Generator<Uint8Array<ArrayBuffer>> {
  const delimiter = new TextEncoder().encode(`--${boundary}`);
  let start: number | undefined;
  let parts = 0;
  for (let line = 0; line < body.length && parts < MAX_PARTS;) {
    const lf = body.indexOf(LF, line);
    const next = lf < 0 ? body.length : lf + 1;
    if (startsWith(body, line, delimiter)) {
      if (start !== undefined) {
        yield body.subarray(start, Math.max(start, withoutLineEnd(body, line)));
        parts++;
      }
      const after = line + delimiter.length;
      if (body[after] === DASH && body[after + 1] === DASH) return;
      start = next;
    }
    line = next;
  }
  // A message that was cut off: what there is of the last part.
  if (start !== undefined && parts < MAX_PARTS) yield body.subarray(start);
}

function startsWith(octets: Uint8Array, at: number, wanted: Uint8Array): boolean {
  if (octets[at] !== DASH) return false;
  return wanted.every((octet, i) => octets[at + i] === octet);
}

function withoutLineEnd(octets: Uint8Array, end: number): number {
  if (octets[end - 1] !== LF) return end;
  return octets[end - 2] === CR ? end - 2 : end - 1;
}

function decode(body: Uint8Array<ArrayBuffer>, encoding: string): Uint8Array<ArrayBuffer> {
  if (encoding === "base64") return decodeBase64(body);
  return encoding === "quoted-printable" ? decodeQuotedPrintable(body) : body;
}

/** What is no base64 is passed over (RFC 2045 §6.8). */
function decodeBase64(body: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(Math.ceil(body.length / 4) * 3);
  let length = 0;
  let bits = 0;
  let count = 0;
  for (const octet of body) {
    const value = BASE64[octet] ?? 64;
    if (octet === 0x3d) break;
    if (value > 63) continue;
    bits = (bits << 6 | value) & 0xffffff;
    if (++count % 4 === 1) continue;
    out[length++] = bits >> (2 * (3 - (count - 1) % 4)) & 0xff;
  }
  return out.subarray(0, length);
}

const BASE64 = ((): Uint8Array => {
  const values = new Uint8Array(256).fill(64);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (let i = 0; i < alphabet.length; i++) values[alphabet.charCodeAt(i)] = i;
  return values;
})();

function decodeQuotedPrintable(body: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(body.length);
  let length = 0;
  for (let at = 0; at < body.length; at++) {
    const octet = body[at] ?? 0;
    if (octet !== 0x3d) {
      out[length++] = octet;
      continue;
    }
    const hex = String.fromCharCode(body[at + 1] ?? 0, body[at + 2] ?? 0);
    if (/^[0-9a-f]{2}$/i.test(hex)) {
      out[length++] = parseInt(hex, 16);
      at += 2;
    } else at += hex === "\r\n" ? 2 : hex.startsWith("\n") ? 1 : 0;
  }
  return out.subarray(0, length);
}
