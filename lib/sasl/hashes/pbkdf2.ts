/** PBKDF2 (RFC 8018 §5.2) with HMAC-SHA-1 as Dovecot writes it. Derived on the thread pool of `node:crypto`. */

import { pbkdf2 } from "node:crypto";
import { asciiOctets, decodeHex } from "./base64.ts";
import { type HashProblem, malformed, tooCostly } from "./password_hash.ts";

/** A parsed hash. */
export interface Pbkdf2Hash {
  /** Tells the kinds of hashes apart. */
  readonly kind: "pbkdf2";
  /** Iterations. */
  readonly rounds: number;
  /** The characters of the salt; they are not decoded. */
  readonly salt: Uint8Array;
  /** 20 octets. */
  readonly expected: Uint8Array;
}

const MAX_ROUNDS = 2_000_000;

/** Reads `$1$<salt>$<rounds>$<40 hexadecimal digits>`. */
export function parsePbkdf2(text: string): Pbkdf2Hash | HashProblem {
  const [, salt = "", digits = "", hex = ""] = /^\$1\$([\w./+=-]{1,64})\$(\d{1,10})\$([0-9a-fA-F]{40})$/.exec(text) ??
    [];
  const [rounds, expected] = [Number(digits), decodeHex(hex)];
  if (salt === "" || rounds === 0 || expected === undefined) {
    return malformed(
      "{PBKDF2}",
      '"$1$", a salt, "$", a number of rounds, "$" and 40 hexadecimal digits, as Dovecot does',
    );
  }
  if (rounds > MAX_ROUNDS) return tooCostly("{PBKDF2}", "rounds", rounds, MAX_ROUNDS);
  return { kind: "pbkdf2", rounds, salt: asciiOctets(salt), expected };
}

/** Derives the octets of a password. */
export function derivePbkdf2(password: string, { salt, rounds, expected }: Pbkdf2Hash): Promise<Uint8Array> {
  return new Promise((resolve, reject) =>
    pbkdf2(
      password,
      salt,
      rounds,
      expected.length,
      "sha1",
      (error, key) => error === null ? resolve(key) : reject(error),
    )
  );
}
