/**
 * RSA public keys and the check of their signatures (RSASSA-PKCS1-v1_5 with SHA-256, RFC 8017 §8.2.2), on whole numbers.
 *
 * The runtime could do it, but `crypto.subtle` takes six times the processor time (for 2,048 bits 0.4 ms against 0.06 ms), and
 * what of it is on the event loop, importing the key above all, is no less (0.06 ms). Node's interface does not leave the event
 * loop at all. And nobody tells the size of a key before it is used. All that is computed here is public, so no time of it can
 * give a secret away.
 */

import { createHash } from "node:crypto";
import { type DerElement, derElements, derObjectIdentifier } from "../../tls/der.ts";

/** A public key of a size that is worth computing with. */
export interface RsaPublicKey {
  /** For `switch`. */
  readonly algorithm: "rsa-sha256";
  /** Size of the modulus, 1,024 to 4,096. */
  readonly bits: number;
  /** The modulus, odd. */
  readonly modulus: bigint;
  /** The public exponent, odd, from 3 on, below 2^32. */
  readonly exponent: number;
}

/** A key, or why there is none. */
export type ParsedRsaKey =
  | { readonly kind: "key"; readonly key: RsaPublicKey }
  /** RFC 8301 §3.2: fewer than 1,024 bits do not count, more than 4,096 need not. Nothing was computed with it. */
  | { readonly kind: "badSize"; readonly bits: number }
  | { readonly kind: "malformed" };

/** RFC 8301 §3.2. */
const MIN_BITS = 1024;
const MAX_BITS = 4096;
const RSA_ENCRYPTION = "1.2.840.113549.1.1.1";
const SEQUENCE = 0x30;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OBJECT_IDENTIFIER = 0x06;
/** DigestInfo of SHA-256 without the digest (RFC 8017 §9.2, note 1). */
const DIGEST_INFO = "3031300d060960864801650304020105000420";

/**
 * Reads an RSA key in DER: a SubjectPublicKeyInfo, as everybody publishes it, or an RSAPublicKey, of which RFC 6376 §3.6.1
 * speaks.
 */
export function parseRsaPublicKey(der: Uint8Array): ParsedRsaKey {
  try {
    const elements = sequence(derElements(der));
    const numbers = elements[0]?.tag === SEQUENCE ? sequence(keyOctets(elements)) : elements;
    const [modulus, exponent] = numbers;
    if (modulus === undefined || exponent === undefined || numbers.length !== 2) return { kind: "malformed" };
    return rsaKey(positiveInteger(modulus), positiveInteger(exponent));
  } catch (error) {
    if (error instanceof RangeError) return { kind: "malformed" };
    throw error;
  }
}

/**
 * Checks a signature over a message.
 *
 * @param message What was signed, before it is hashed.
 * @returns False also for a signature of another length than the key.
 */
export function verifyRsaSha256(key: RsaPublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  const octets = Math.ceil(key.bits / 8);
  if (signature.length !== octets) return false;
  const number = BigInt(`0x${signature.toHex()}`);
  if (number >= key.modulus) return false;
  const digest = createHash("sha256").update(message).digest("hex");
  const tail = `00${DIGEST_INFO}${digest}`;
  // The whole of what must have been signed is compared, so that nothing can hide in the padding.
  const expected = `0001${"f".repeat(2 * octets - 4 - tail.length)}${tail}`;
  return power(number, key).toString(16).padStart(2 * octets, "0") === expected;
}

/** Square and multiply, from the highest bit of the exponent on. */
function power(base: bigint, { modulus, exponent }: RsaPublicKey): bigint {
  let result = base;
  for (const bit of exponent.toString(2).slice(1)) {
    result = result * result % modulus;
    if (bit === "1") result = result * base % modulus;
  }
  return result;
}

/** What is in the one SEQUENCE that the octets are. */
function sequence(elements: readonly DerElement[]): readonly DerElement[] {
  const [only] = elements;
  if (only === undefined || only.tag !== SEQUENCE || elements.length > 1) throw new RangeError("No SEQUENCE");
  return derElements(only.content);
}

/** SubjectPublicKeyInfo = SEQUENCE { AlgorithmIdentifier, BIT STRING } (RFC 5280 §4.1). */
function keyOctets([algorithm, key, ...more]: readonly DerElement[]): readonly DerElement[] {
  const [identifier] = derElements(algorithm?.content ?? new Uint8Array(0));
  const isRsa = identifier?.tag === OBJECT_IDENTIFIER && derObjectIdentifier(identifier.content) === RSA_ENCRYPTION;
  // The first octet of a BIT STRING is the number of unused bits.
  if (!isRsa || key?.tag !== BIT_STRING || key.content[0] !== 0 || more.length > 0) throw new RangeError("No RSA key");
  return derElements(key.content.subarray(1));
}

/** The octets of a positive INTEGER, without zeros in front. */
function positiveInteger({ tag, content }: DerElement): Uint8Array {
  if (tag !== INTEGER || content.length === 0 || (content[0] ?? 0) >= 0x80) throw new RangeError("No positive INTEGER");
  const start = content.findIndex((octet) => octet !== 0);
  return start < 0 ? new Uint8Array(0) : content.subarray(start);
}

function rsaKey(modulus: Uint8Array, exponent: Uint8Array): ParsedRsaKey {
  const bits = modulus.length === 0 ? 0 : 8 * modulus.length - Math.clz32(modulus[0] ?? 0) + 24;
  if (bits < MIN_BITS || bits > MAX_BITS) return { kind: "badSize", bits };
  const publicExponent = exponent.length > 4 ? 0 : exponent.reduce((number, octet) => number * 256 + octet, 0);
  const isOdd = ((modulus.at(-1) ?? 0) & 1) === 1 && publicExponent % 2 === 1;
  if (!isOdd || publicExponent < 3) return { kind: "malformed" };
  const key = {
    algorithm: "rsa-sha256",
    bits,
    modulus: BigInt(`0x${modulus.toHex()}`),
    exponent: publicExponent,
  } as const;
  return { kind: "key", key };
}
