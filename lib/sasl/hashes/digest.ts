/**
 * One digest of the password and a salt, as LDAP servers (RFC 2307 §5.3, userPassword) and Dovecot keep them. Such hashes
 * cost next to nothing to guess; they are read so that a site can move, not for new passwords.
 */

import { createHash } from "node:crypto";
import { decodeBase64, decodeHex } from "./base64.ts";
import { type HashProblem, malformed } from "./password_hash.ts";

/** Name of a digest, as `node:crypto` has it. */
export type DigestAlgorithm = "md5" | "sha1" | "sha256" | "sha512";

/** A parsed hash. */
export interface DigestHash {
  /** Tells the kinds of hashes apart. */
  readonly kind: "digest";
  /** What is computed over the password and then the salt. */
  readonly algorithm: DigestAlgorithm;
  /** Empty for schemes without one. */
  readonly salt: Uint8Array;
  /** As long as the algorithm says. */
  readonly expected: Uint8Array;
}

/** How a scheme writes a digest. */
export interface DigestScheme {
  /** In braces before the hash. */
  readonly name: string;
  /** What is computed. */
  readonly algorithm: DigestAlgorithm;
  /** True where the salt stands behind the digest. */
  readonly isSalted: boolean;
}

const OCTETS: Readonly<Record<DigestAlgorithm, number>> = { md5: 16, sha1: 20, sha256: 32, sha512: 64 };
const MAX_SALT_OCTETS = 64;

/**
 * Reads a digest and its salt.
 *
 * @param encoding As Dovecot has it behind the name of a scheme: `hex`, `b64`, or nothing. Without it an unsalted digest
 *   of the right length may be hexadecimal too.
 */
export function parseDigest(
  text: string,
  scheme: DigestScheme,
  encoding: "hex" | "b64" | "",
): DigestHash | HashProblem {
  const { name, algorithm, isSalted } = scheme;
  const octets = OCTETS[algorithm];
  const isHex = encoding === "hex" || (encoding === "" && !isSalted && text.length === 2 * octets);
  const decoded = isHex ? decodeHex(text) : decodeBase64(text);
  const saltOctets = (decoded?.length ?? 0) - octets;
  if (decoded === undefined || (isSalted ? saltOctets < 1 || saltOctets > MAX_SALT_OCTETS : saltOctets !== 0)) {
    const found = isSalted ? `${octets} octets and a salt of 1 to ${MAX_SALT_OCTETS}` : `${octets} octets`;
    return malformed(`{${name}}`, `${found}, in ${isHex ? "hexadecimal digits" : "base64"}`);
  }
  return { kind: "digest", algorithm, salt: decoded.subarray(octets), expected: decoded.subarray(0, octets) };
}

/** Computes the digest of a password. */
export function deriveDigest(password: string, { algorithm, salt }: DigestHash): Uint8Array {
  return createHash(algorithm).update(password).update(salt).digest();
}
