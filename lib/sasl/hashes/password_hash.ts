/**
 * Password hashes as data: each kind that an account may have, read from text and not yet checked against a password.
 * One file of this folder reads and derives each kind; `parse_hash.ts` tells the kinds apart.
 */

import type { Argon2Hash } from "./argon2.ts";
import type { BcryptHash } from "./bcrypt.ts";
import type { DigestHash } from "./digest.ts";
import type { Md5CryptHash } from "./md5_crypt.ts";
import type { Pbkdf2Hash } from "./pbkdf2.ts";
import type { ScryptHash } from "./scrypt.ts";
import type { ShaCryptHash } from "./sha_crypt.ts";

/** A hash that keeps one core busy for long, in our process: it is derived on a thread of its own. */
export type SlowHash = Argon2Hash | BcryptHash | Md5CryptHash | ShaCryptHash;

/** A hash of any kind; `expected` of each is what deriving the right password gives. */
export type PasswordHash = ScryptHash | Pbkdf2Hash | DigestHash | SlowHash;

/** Why text is no hash that can be checked: a message for people, which shows nothing of the hash. */
export interface HashProblem {
  /** What is wrong, or what to write instead. */
  readonly problem: string;
}

/** The problem of a hash that does not have the form of its kind. */
export function malformed(kind: string, form: string): HashProblem {
  return { problem: `this ${kind} hash is malformed or cut off: expected ${form}` };
}

/** The problem of a hash over a bound: whoever logs in would make the server pay for it. */
export function tooCostly(kind: string, what: string, found: number | string, most: number | string): HashProblem {
  return { problem: `this ${kind} hash costs too much to check: ${what} ${found}, at most ${most}` };
}
