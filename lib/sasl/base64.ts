/** Base64 as SASL over SMTP uses it: canonical or refused (RFC 4954 §4, RFC 4648 §3.5 and §4). */

const CANONICAL = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/**
 * Decodes base64 strictly: no white space, padding where it belongs, unused bits zero.
 *
 * @returns undefined for anything else.
 */
export function decodeBase64(encoded: string): Uint8Array<ArrayBuffer> | undefined {
  if (!CANONICAL.test(encoded)) return undefined;
  try {
    return Uint8Array.fromBase64(encoded, { lastChunkHandling: "strict" });
  } catch {
    return undefined; // Unused bits that are not zero.
  }
}

/** Encodes with padding. */
export function encodeBase64(octets: Uint8Array): string {
  return octets.toBase64();
}

/**
 * Decodes the initial response in the argument of AUTH: `=` stands for the empty one (RFC 4954 §4).
 *
 * @returns undefined for what is not base64.
 */
export function decodeInitialResponse(argument: string): Uint8Array<ArrayBuffer> | undefined {
  return argument === "=" ? new Uint8Array(0) : decodeBase64(argument);
}
