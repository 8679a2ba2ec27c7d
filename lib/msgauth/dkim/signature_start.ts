/** Tells signatures of one message apart by the beginning of `b=` (RFC 6008 §4). */

/** At least so many characters (RFC 6008 §4). */
const MIN_CHARACTERS = 8;
/** No longer, whatever a hostile message has: it goes into a field of ours. */
const MAX_CHARACTERS = 64;

/**
 * Gives the beginning of each signature, long enough that it is the only one with it.
 *
 * @param signatures `b=` without white space; undefined where it cannot be read, which gives undefined. Few.
 * @returns In the same order, at most 64 characters; a signature that stands there twice cannot be told from itself.
 */
export function signatureStarts(signatures: readonly (string | undefined)[]): (string | undefined)[] {
  return signatures.map((signature, at) => {
    if (signature === undefined) return undefined;
    const others = signatures.filter((other, otherAt) => otherAt !== at && other !== undefined);
    const shared = Math.max(0, ...others.map((other) => commonLength(signature, other ?? "")));
    return signature.slice(0, Math.min(MAX_CHARACTERS, Math.max(MIN_CHARACTERS, shared + 1)));
  });
}

function commonLength(a: string, b: string): number {
  const max = Math.min(a.length, b.length);
  for (let at = 0; at < max; at++) if (a[at] !== b[at]) return at;
  return max;
}
