/** `$1$` of crypt(3): MD5-crypt of Poul-Henning Kamp, with its fixed 1,000 rounds. Derived on a thread. */

import { createHash } from "node:crypto";
import { asciiOctets, encodeCrypt } from "./base64.ts";
import { type HashProblem, malformed } from "./password_hash.ts";

/** A parsed hash. */
export interface Md5CryptHash {
  /** Tells the kinds of hashes apart. */
  readonly kind: "md5-crypt";
  /** Up to 8 octets. */
  readonly salt: Uint8Array;
  /** The 22 characters of the hash, as ASCII. */
  readonly expected: Uint8Array;
}

const ROUNDS = 1000;
const ORDER = [[12, 6, 0], [13, 7, 1], [14, 8, 2], [15, 9, 3], [5, 10, 4], [11]];

/** Reads `$1$<salt>$<hash>`. */
export function parseMd5Crypt(text: string): Md5CryptHash | HashProblem {
  const [, salt, hash = ""] = /^\$1\$([^$:\n\0-\x20\x7f-\uffff]{0,8})\$([./A-Za-z0-9]{22})$/.exec(text) ?? [];
  if (salt === undefined) return malformed("MD5-crypt", '"$1$", a salt of up to 8 characters, "$" and 22 characters');
  return { kind: "md5-crypt", salt: asciiOctets(salt), expected: asciiOctets(hash) };
}

/** Derives the characters of a password. */
export function deriveMd5Crypt(password: string, { salt }: Md5CryptHash): Uint8Array {
  const key = new TextEncoder().encode(password);
  const inner = createHash("md5").update(key).update(salt).update(key).digest();
  const outer = createHash("md5").update(key).update("$1$").update(salt);
  for (let left = key.length; left > 0; left -= 16) outer.update(inner.subarray(0, Math.min(16, left)));
  // A slip of the first program that has become the specification: NUL, or the first octet of the password.
  for (let bits = key.length; bits > 0; bits >>= 1) {
    outer.update((bits & 1) === 1 ? new Uint8Array(1) : key.subarray(0, 1));
  }
  let digest = outer.digest();
  for (let round = 0; round < ROUNDS; round++) {
    const isOdd = round % 2 === 1;
    const next = createHash("md5").update(isOdd ? key : digest);
    if (round % 3 !== 0) next.update(salt);
    if (round % 7 !== 0) next.update(key);
    digest = next.update(isOdd ? digest : key).digest();
  }
  return encodeCrypt(digest, ORDER);
}
