/** Reads DER, the encoding of certificates (X.690 §8 and §10): just elements, lengths and object identifiers. */

/** One element. */
export interface DerElement {
  /** The identifier octet, e.g. 0x30 for a SEQUENCE. */
  readonly tag: number;
  /** The octets after tag and length. A view, not a copy. */
  readonly content: Uint8Array;
}

/**
 * Splits octets into the elements that stand in them one after the other.
 *
 * Certificates use tags of one octet and lengths of up to four; others, and a length beyond the end, are an error.
 *
 * @throws {RangeError}
 */
export function derElements(octets: Uint8Array): readonly DerElement[] {
  const elements: DerElement[] = [];
  for (let at = 0; at < octets.length;) {
    const tag = octets[at] ?? 0;
    const first = octets[at + 1];
    if (first === undefined || (tag & 0x1f) === 0x1f || first === 0x80 || first > 0x84) throw malformed();
    const lengthOctets = first < 0x80 ? 0 : first - 0x80;
    const start = at + 2 + lengthOctets;
    let length = lengthOctets === 0 ? first : 0;
    for (const octet of octets.subarray(at + 2, start)) length = length * 256 + octet;
    if (start + length > octets.length) throw malformed();
    elements.push({ tag, content: octets.subarray(start, start + length) });
    at = start + length;
  }
  return elements;
}

/**
 * Gives the dotted form of an OBJECT IDENTIFIER from its content octets (X.690 §8.19), e.g. `1.2.840.10045.4.3.2`.
 *
 * @throws {RangeError}
 */
export function derObjectIdentifier(content: Uint8Array): string {
  const arcs: number[] = [];
  let arc = 0;
  for (const octet of content) {
    if (arc >= 2 ** 45) throw malformed();
    arc = arc * 128 + (octet & 0x7f);
    if (octet & 0x80) continue;
    if (arcs.length === 0) arcs.push(Math.min(2, Math.floor(arc / 40)), arc - 40 * Math.min(2, Math.floor(arc / 40)));
    else arcs.push(arc);
    arc = 0;
  }
  return arcs.join(".");
}

function malformed(): RangeError {
  return new RangeError("Cannot read DER: an element does not end where it says");
}
