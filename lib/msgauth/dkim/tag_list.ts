/** Tag=value lists: the syntax of DKIM-Signature and ARC fields and of key records (RFC 6376 §3.2). */

/** One tag of a list. */
export interface Tag {
  /** As written, without white space around it; white space inside, folds too, is kept. Octets as Latin-1. */
  readonly value: string;
  /** Offset of the first character after "=" and of the end of the value with the white space around it. */
  readonly start: number;
  /** Offset of the ";" or the end of the list. */
  readonly end: number;
}

/** A list that was read. */
export type TagList =
  | {
    readonly kind: "tags"; /** By name, as written: names are case-sensitive. In their order. */
    readonly tags: ReadonlyMap<string, Tag>;
  }
  | { readonly kind: "malformed"; /** In one line, for people. */ readonly problem: string };

const NAME = /^[A-Za-z][A-Za-z0-9_]*$/;
/** All of VALCHAR, white space, line ends (checked as folds below), and octets of UTF-8 (RFC 8616 §5). */
const FORBIDDEN_IN_VALUE = /[^\x21-\x3a\x3c-\x7e \t\r\n\x80-\xff]/;
/** A line end that is no fold. */
const NO_FOLD = /\r(?!\n[ \t])|(?<!\r)\n/;

/**
 * Reads a list. Tags that nobody knows are given like others, for the caller to ignore.
 *
 * ```
 * tag-list  = tag-spec *( ";" tag-spec ) [ ";" ]
 * tag-spec  = [FWS] tag-name [FWS] "=" [FWS] tag-value [FWS]
 * tag-name  = ALPHA *( ALPHA / DIGIT / "_" )
 * tag-value = [ tval *( 1*(WSP / FWS) tval ) ]   ; tval = 1*( %x21-3A / %x3C-7E )
 * FWS       = [*WSP CRLF] 1*WSP
 * ```
 *
 * White space after the last ";" is taken, because folded fields have it. Values of UTF-8 are, too (RFC 8616 §5).
 *
 * @param text Octets as Latin-1; a header field without its last line end.
 */
export function parseTagList(text: string): TagList {
  const fault = NO_FOLD.exec(text);
  if (fault !== null) return malformed("a line end that does not fold");
  const tags = new Map<string, Tag>();
  for (let at = 0; at < text.length;) {
    const semicolon = text.indexOf(";", at);
    const end = semicolon < 0 ? text.length : semicolon;
    const equals = text.indexOf("=", at);
    if (equals < 0 || equals >= end) {
      if (semicolon < 0 && tags.size > 0 && trimFws(text.slice(at)) === "") break;
      return malformed(`"${shown(text.slice(at, end))}" is no tag=value`);
    }
    const name = trimFws(text.slice(at, equals));
    if (!NAME.test(name)) return malformed(`"${shown(name)}" is no tag name`);
    const value = trimFws(text.slice(equals + 1, end));
    if (FORBIDDEN_IN_VALUE.test(value)) return malformed(`a control character in ${shown(name)}=`);
    if (tags.has(name)) return malformed(`${shown(name)}= stands there twice`);
    tags.set(name, { value, start: equals + 1, end });
    at = end + 1;
  }
  return tags.size > 0 ? { kind: "tags", tags } : malformed("it is empty");
}

/** Removes the white space inside a value: of base64 (RFC 6376 §3.5, b= and bh=) and of lists divided by colons. */
export function withoutFws(value: string): string {
  return value.replace(/[ \t\r\n]+/g, "");
}

/** Divides a value at its colons, without the white space around the parts (h=, q=, t=, s= of records). */
export function colonList(value: string): string[] {
  return value.split(":").map(trimFws);
}

/**
 * Decodes base64 with white space in it.
 *
 * ```
 * base64string = ALPHADIGITPS *([FWS] ALPHADIGITPS) [ [FWS] "=" [ [FWS] "=" ] ]
 * ```
 *
 * So the padding may be left out, as it is in some records that were copied by hand.
 *
 * @returns Undefined for anything else; no octets for an empty value.
 * @see RFC 6376 §2.10
 */
export function decodeBase64(value: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.fromBase64(withoutFws(value), { lastChunkHandling: "loose" });
  } catch {
    return undefined;
  }
}

/** Decodes a value that may hold UTF-8 (RFC 8616 §5). @param value Octets as Latin-1. @returns Undefined: malformed. */
export function decodeUtf8Value(value: string): string | undefined {
  if (!/[\x80-\xff]/.test(value)) return value;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(value, (octet) => octet.charCodeAt(0)));
  } catch {
    return undefined;
  }
}

/** No regular expression: one for white space at the end tries again at each octet of a long run in the middle. */
function trimFws(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isFws(text.charCodeAt(start))) start++;
  while (end > start && isFws(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isFws(code: number): boolean {
  return code === 32 || code === 9 || code === 13 || code === 10;
}

/** What strangers wrote, fit for a log line: short, printable ASCII. */
function shown(text: string): string {
  const start = text.length > 30 ? `${text.slice(0, 30)}…` : text;
  return start.replace(/[^\x20-\x7e…]/g, "?");
}

function malformed(problem: string): TagList {
  return { kind: "malformed", problem };
}
