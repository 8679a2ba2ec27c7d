/**
 * Reads Authentication-Results fields of others, in time that grows with their length alone. Real ones often break the
 * grammar of RFC 8601 in their values ("/" and "=" without quotes, properties without a type): these are read, too.
 */

import type { AuthenticationResults, MethodResult, ResultProperty } from "./results.ts";

/** Characters of a field that is read at all. */
const MAX_CHARACTERS = 64 * 1024;
/** Results of one field; further ones are passed over. */
const MAX_RESULTS = 100;
/** Properties of one result; further ones are passed over. */
const MAX_PROPERTIES = 50;

const SPACE = /[ \t\r\n]+/y;
const QUOTED = /"(?:[^"\\]|\\[^])*"/y;
/** A name, up to what ends it: blanks, "=", ".", "/", a comment, the next result. */
const NAME = /[A-Za-z0-9_-]+/y;
const BARE = /[^ \t\r\n;("]+/y;
const DIGITS = /\d+/y;

/**
 * Reads the value of a field; names come out in lower case, comments are dropped. A result that cannot be read is passed
 * over; so are properties behind one that cannot.
 *
 * @param text Without the name of the field; for ARC without `i=1;`. Folded or not.
 * @returns Undefined where there is no authserv-id, a version other than 1, or a comment or quoted string without end.
 * @see RFC 8601 §2.2; the grammar stands in format.ts
 */
export function parseResults(text: string): AuthenticationResults | undefined {
  if (text.length > MAX_CHARACTERS) return undefined;
  const clauses = splitClauses(text);
  const [head, ...rest] = clauses ?? [];
  if (head === undefined) return undefined;
  const reader = new Reader(head);
  reader.blanks();
  const authservId = reader.value();
  if (authservId === undefined || authservId === "") return undefined;
  reader.blanks();
  const version = reader.take(DIGITS);
  reader.blanks();
  if (!reader.isAtEnd() || (version !== undefined && Number(version) !== 1)) return undefined;
  const results = rest.map(readResult).filter((result) => result !== undefined).slice(0, MAX_RESULTS);
  return { authservId, results };
}

/** Cuts at each ";" outside comments and quoted strings; undefined where one of these has no end. */
function splitClauses(text: string): readonly string[] | undefined {
  const clauses: string[] = [];
  let start = 0;
  let depth = 0;
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "\\" && (isQuoted || depth > 0)) at++;
    else if (isQuoted) isQuoted = character !== '"';
    else if (character === "(") depth++;
    else if (character === ")" && depth > 0) depth--;
    else if (depth > 0) continue;
    else if (character === '"') isQuoted = true;
    else if (character === ";") {
      clauses.push(text.slice(start, at));
      start = at + 1;
    }
  }
  if (isQuoted || depth > 0) return undefined;
  clauses.push(text.slice(start));
  return clauses;
}

/** One resinfo; undefined for `none`, for an empty one, and for what is none. */
function readResult(clause: string): MethodResult | undefined {
  const reader = new Reader(clause);
  reader.blanks();
  const method = reader.take(NAME);
  reader.blanks();
  if (reader.skip("/")) {
    reader.blanks();
    const version = reader.take(DIGITS);
    reader.blanks();
    if (Number(version) !== 1) return undefined;
  }
  if (method === undefined || !reader.skip("=")) return undefined;
  reader.blanks();
  const result = reader.take(NAME);
  if (result === undefined) return undefined;
  return { method: method.toLowerCase(), result: result.toLowerCase(), ...readProperties(reader) };
}

function readProperties(reader: Reader): Pick<MethodResult, "reason" | "properties"> {
  const properties: ResultProperty[] = [];
  let reason: string | undefined;
  while (properties.length < MAX_PROPERTIES) {
    reader.blanks();
    const type = reader.take(NAME);
    reader.blanks();
    const name = reader.skip(".") ? (reader.blanks(), reader.take(NAME)) : "";
    reader.blanks();
    if (type === undefined || name === undefined || !reader.skip("=")) break;
    reader.blanks();
    const value = reader.value();
    if (value === undefined) break;
    if (name !== "") properties.push({ type: type.toLowerCase(), name: name.toLowerCase(), value });
    else if (type.toLowerCase() === "reason") reason ??= value;
  }
  return { ...(reason === undefined ? {} : { reason }), properties };
}

/** Reads one clause from left to right. */
class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  skip(character: string): boolean {
    const isThere = this.#text[this.#at] === character;
    if (isThere) this.#at++;
    return isThere;
  }

  /** White space and comments, which nest. */
  blanks(): void {
    let depth = 0;
    for (; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at];
      if (character === "\\" && depth > 0) this.#at++;
      else if (character === "(") depth++;
      else if (character === ")" && depth > 0) depth--;
      else if (depth === 0 && this.take(SPACE) !== undefined) this.#at--;
      else if (depth === 0) return;
    }
  }

  /** A quoted string, what stands bare up to a blank, or both without a blank between: `"a b"@example.org`. */
  value(): string | undefined {
    let value: string | undefined;
    for (;;) {
      const quoted = this.take(QUOTED);
      const part = quoted?.slice(1, -1).replace(/\r?\n(?=[ \t])/g, "").replace(/\\([^])/g, "$1") ?? this.take(BARE);
      if (part === undefined) return value;
      value = (value ?? "") + part;
    }
  }
}
