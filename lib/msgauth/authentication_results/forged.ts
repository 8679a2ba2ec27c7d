/**
 * Finds the Authentication-Results fields of an incoming message that claim to be ours. Whoever reads mail behind us
 * believes our name, and many look for it with less care than RFC 8601 asks for: so whatever one of them could take for
 * ours counts, readable or not. Taking out one too many harms nobody, as nobody believes it.
 */

import { domainToASCII } from "node:url";
import { fieldValue, type HeaderField, headerFields, isFieldNamed } from "../../mail/header.ts";

/** Longer heads are not converted; they are compared all the same. */
const MAX_CONVERTED = 1024;

/**
 * The fields to take out before a message is given to anybody (RFC 8601 §5).
 *
 * @param headerSection The whole header section.
 * @param authservId Ours.
 */
export function forgedFields(headerSection: Uint8Array, authservId: string): readonly HeaderField[] {
  const forged: HeaderField[] = [];
  for (const field of headerFields(headerSection)) {
    if (!isFieldNamed(headerSection, field, "authentication-results")) continue;
    if (isForged(fieldValue(headerSection, field), authservId)) forged.push(field);
  }
  return forged;
}

/**
 * Whether the value of a field could be read as one with our authserv-id: in any case, quoted or with escapes, behind or
 * among comments and folding, with something behind it, as U-labels; up to the first ";" of any reading.
 */
export function isForged(value: string, authservId: string): boolean {
  const id = authservId.toLowerCase();
  return heads(value).some((head) => {
    const plain = bared(withoutComments(head));
    return [head, plain, converted(plain), bared(head.replace(/[()]/g, " "))].some((text) => names(text, id));
  });
}

/** What stands before the results: up to the first ";", and up to the first one outside comments and quoted strings. */
function heads(value: string): readonly string[] {
  const lower = value.toLowerCase();
  const first = lower.indexOf(";");
  const real = headEnd(lower);
  return [lower.slice(0, first < 0 ? lower.length : first), lower.slice(0, real)];
}

/** The end of what never ends is that of the field. */
function headEnd(text: string): number {
  let depth = 0;
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "\\") at++;
    else if (character === '"' && depth === 0) isQuoted = !isQuoted;
    else if (isQuoted) continue;
    else if (character === "(") depth++;
    else if (character === ")") depth = Math.max(0, depth - 1);
    else if (character === ";" && depth === 0) return at;
  }
  return text.length;
}

/** Without blanks, quotes, backslashes, and characters that nobody sees. */
function bared(text: string): string {
  return text.replace(/[\s"\\\p{C}]+/gu, "");
}

function withoutComments(text: string): string {
  let bare = "";
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at] ?? "";
    if (character === "\\" && depth > 0) at++;
    else if (character === "(") depth++;
    else if (character === ")" && depth > 0) depth--;
    else if (depth === 0) bare += character;
  }
  return bare;
}

/** A-labels of U-labels. */
function converted(text: string): string {
  return text.length > MAX_CONVERTED || !/[^\x00-\x7f]/.test(text) ? "" : domainToASCII(text);
}

/** Whether the id stands in the text where a name can begin. What follows is not asked: some only look at the start. */
function names(text: string, id: string): boolean {
  for (let at = text.indexOf(id); at >= 0; at = text.indexOf(id, at + 1)) {
    if (at === 0 || !/[a-z0-9._-]/.test(text[at - 1] ?? "")) return true;
  }
  return false;
}
