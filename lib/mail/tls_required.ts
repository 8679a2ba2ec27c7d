/** The header field TLS-Required: a sender to whom it matters more that a message arrives than that nobody reads it (RFC 8689 §5). */

import { fieldValue, type HeaderField, headerFields, isFieldNamed } from "./header.ts";

/** Comments, but not one within the other. */
const COMMENTS = /\([^()]{0,200}\)/g;
const MAX_OCTETS = 1000;
const LF = 10;
const T = 0x74;

/**
 * Whether a message asks that what receivers publish about TLS is not kept to: `TLS-Required: No`, once. REQUIRETLS of its
 * envelope goes before it.
 *
 * @param header The header section.
 */
export function isTlsOptional(header: Uint8Array): boolean {
  if (!hasLineLikeIt(header)) return false;
  let field: HeaderField | undefined;
  for (const found of headerFields(header)) {
    if (!isFieldNamed(header, found, "tls-required")) continue;
    if (field !== undefined) return false;
    field = found;
  }
  if (field === undefined || field.end - field.valueStart > MAX_OCTETS) return false;
  return fieldValue(header, field).replace(COMMENTS, " ").trim().toLowerCase() === "no";
}

/** A quick look at the beginning of lines, because nearly no message has the field and every message is asked. */
function hasLineLikeIt(header: Uint8Array): boolean {
  let start = 0;
  do {
    // "T", and the "-" behind "TLS".
    if (((header[start] ?? 0) | 0x20) === T && header[start + 3] === 0x2d) return true;
    start = header.indexOf(LF, start) + 1;
  } while (start > 0);
  return false;
}
