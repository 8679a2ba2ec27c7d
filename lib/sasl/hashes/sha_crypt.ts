/**
 * `$5$` and `$6$` of crypt(3): SHA-crypt of Ulrich Drepper, the default of most systems from 2008 to 2020. Derived on a
 * thread.
 */

import { createHash } from "node:crypto";
import { asciiOctets, encodeCrypt } from "./base64.ts";
import { type HashProblem, malformed, tooCostly } from "./password_hash.ts";

/** A parsed hash. */
export interface ShaCryptHash {
  /** Tells the kinds of hashes apart. */
  readonly kind: "sha256-crypt" | "sha512-crypt";
  /** 1,000 or more. */
  readonly rounds: number;
  /** Up to 16 octets. */
  readonly salt: Uint8Array;
  /** The characters of the hash, as ASCII. */
  readonly expected: Uint8Array;
}

/** The specification says so, for hashes that do not say anything. */
const DEFAULT_ROUNDS = 5000;
/** Some five seconds of one core; the specification goes to 999,999,999. */
const MAX_ROUNDS = 1_000_000;
const MIN_ROUNDS = 1000;

/** Reads `$6$<salt>$<hash>` or `$6$rounds=100000$<salt>$<hash>`. */
export function parseShaCrypt(text: string): ShaCryptHash | HashProblem {
  const [, prefix, digits, salt = "", hash = ""] =
    /^\$([56])\$(?:rounds=([1-9]\d{0,8})\$)?([^$:\n\0-\x20\x7f-\uffff]{0,16})\$([./A-Za-z0-9]+)$/.exec(text) ?? [];
  const kind = prefix === "5" ? "sha256-crypt" : "sha512-crypt";
  const rounds = digits === undefined ? DEFAULT_ROUNDS : Number(digits);
  if (prefix === undefined || hash.length !== (prefix === "5" ? 43 : 86) || rounds < MIN_ROUNDS) {
    const form = '"$5$" and 43 characters or "$6$" and 86 characters, with a salt of up to 16 characters between';
    return malformed("SHA-crypt", `${form}, and with ${MIN_ROUNDS} rounds or more`);
  }
  if (rounds > MAX_ROUNDS) return tooCostly("SHA-crypt", "rounds", rounds, MAX_ROUNDS);
  return { kind, rounds, salt: asciiOctets(salt), expected: asciiOctets(hash) };
}

/** Derives the characters of a password. The names of the parts are those of the specification. */
export function deriveShaCrypt(password: string, { kind, rounds, salt }: ShaCryptHash): Uint8Array {
  const algorithm = kind === "sha256-crypt" ? "sha256" : "sha512";
  const digestOf = (...parts: readonly Uint8Array[]): Uint8Array => {
    const digest = createHash(algorithm);
    for (const part of parts) digest.update(part);
    return digest.digest();
  };
  const key = new TextEncoder().encode(password);
  const b = digestOf(key, salt, key);
  const parts = [key, salt, repeated(b, key.length)];
  for (let bits = key.length; bits > 0; bits >>= 1) parts.push((bits & 1) === 1 ? b : key);
  const a = digestOf(...parts);
  const p = repeated(digestOf(...times(key, key.length)), key.length);
  const s = repeated(digestOf(...times(salt, 16 + (a[0] ?? 0))), salt.length);
  let c = a;
  for (let round = 0; round < rounds; round++) {
    const isOdd = round % 2 === 1;
    const digest = createHash(algorithm).update(isOdd ? p : c);
    if (round % 3 !== 0) digest.update(s);
    if (round % 7 !== 0) digest.update(p);
    c = digest.update(isOdd ? c : p).digest();
  }
  return encodeCrypt(c, algorithm === "sha256" ? SHA256_ORDER : SHA512_ORDER);
}

function times(octets: Uint8Array, count: number): readonly Uint8Array[] {
  return Array.from({ length: count }, () => octets);
}

/** Octets again and again until they are `length`. */
function repeated(octets: Uint8Array, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => octets[at % octets.length] ?? 0);
}

/** Each group takes one octet of each third of the digest; their order turns from group to group. */
const SHA256_ORDER: readonly (readonly number[])[] = [
  ...Array.from(
    { length: 10 },
    (_, at) => [[20, 10, 0], [11, 1, 21], [2, 22, 12]][at % 3]?.map((n) => n + at - at % 3) ?? [],
  ),
  [30, 31],
];
const SHA512_ORDER: readonly (readonly number[])[] = [
  ...Array.from(
    { length: 21 },
    (_, at) => [[42, 21, 0], [1, 43, 22], [23, 2, 44]][at % 3]?.map((n) => n + at - at % 3) ?? [],
  ),
  [63],
];
