/** The two alphabets in which hashes are written. */

const CRYPT_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** Reads standard base64, with padding or without (PHC string format); undefined where it is none. */
export function decodeBase64(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    return undefined;
  }
}

/** Reads hexadecimal digits; undefined where it is none. */
export function decodeHex(text: string): Uint8Array | undefined {
  try {
    return Uint8Array.fromHex(text);
  } catch {
    return undefined;
  }
}

/**
 * Writes octets as crypt(3) does: six bits a character, the lowest first.
 *
 * @param order Indexes of the octets in groups of three or fewer, the lowest octet of each group first.
 * @returns ASCII octets, the form in which crypt(3) hashes are compared.
 */
export function encodeCrypt(octets: Uint8Array, order: readonly (readonly number[])[]): Uint8Array {
  let text = "";
  for (const group of order) {
    const bits = group.reduceRight((sum, index) => sum << 8 | (octets[index] ?? 0), 0);
    const characters = Math.ceil(group.length * 8 / 6);
    for (let at = 0; at < characters; at++) text += CRYPT_ALPHABET[bits >> 6 * at & 63];
  }
  return asciiOctets(text);
}

/** The octets of ASCII text. */
export function asciiOctets(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
