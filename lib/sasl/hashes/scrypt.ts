/** scrypt (RFC 7914) in the PHC string format: what posthorn writes. Derived on the thread pool of `node:crypto`. */

import { scrypt } from "node:crypto";
import { decodeBase64 } from "./base64.ts";
import { type HashProblem, malformed, tooCostly } from "./password_hash.ts";

/** Cost parameters (RFC 7914 §2). */
export interface ScryptCost {
  /** Binary logarithm of N. */
  readonly ln: number;
  /** Block size. */
  readonly r: number;
  /** Parallelization. */
  readonly p: number;
}

/** A parsed hash. */
export interface ScryptHash {
  /** Tells the kinds of hashes apart. */
  readonly kind: "scrypt";
  /** With which it was made. */
  readonly cost: ScryptCost;
  /** 8 to 64 octets. */
  readonly salt: Uint8Array;
  /** 16 to 64 octets. */
  readonly expected: Uint8Array;
}

/** More is refused when the accounts file is read, not tried. */
const MAX_MEMORY_MIB = 256;
const MAX_P = 16;

/** Reads `$scrypt$ln=15,r=8,p=1$<salt>$<hash>`, base64 without padding. */
export function parseScrypt(text: string): ScryptHash | HashProblem {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(text);
  const [ln = 0, r = 0, p = 0] = match?.slice(1, 4).map(Number) ?? [];
  const [salt, expected] = [decodeBase64(match?.[4] ?? ""), decodeBase64(match?.[5] ?? "")];
  if (ln === 0 || r === 0 || p === 0 || !isWithin(salt, 8, 64) || !isWithin(expected, 16, 64)) {
    return malformed(
      "scrypt",
      '"$scrypt$ln=15,r=8,p=1$", a salt of 8 to 64 octets, "$" and 16 to 64 octets, in base64',
    );
  }
  const memoryMiB = Math.ceil(128 * r * (2 ** ln + p) / 2 ** 20);
  // One block for each lane comes on top of N blocks.
  if (memoryMiB > MAX_MEMORY_MIB + 1) return tooCostly("scrypt", "MiB of memory", memoryMiB, MAX_MEMORY_MIB);
  if (p > MAX_P) return tooCostly("scrypt", "p", p, MAX_P);
  return { kind: "scrypt", cost: { ln, r, p }, salt, expected };
}

/** Writes it in that format. */
export function formatScrypt({ cost: { ln, r, p }, salt, expected }: ScryptHash): string {
  const [saltText, hashText] = [salt, expected].map((octets) => octets.toBase64({ omitPadding: true }));
  return `$scrypt$ln=${ln},r=${r},p=${p}$${saltText}$${hashText}`;
}

/** Derives as many octets as are expected. */
export function deriveScrypt(password: string, { cost, salt, expected }: ScryptHash): Promise<Uint8Array> {
  const options = { N: 2 ** cost.ln, r: cost.r, p: cost.p, maxmem: (MAX_MEMORY_MIB + 2) * 2 ** 20 };
  return new Promise((resolve, reject) =>
    scrypt(password, salt, expected.length, options, (error, key) => error === null ? resolve(key) : reject(error))
  );
}

function isWithin(octets: Uint8Array | undefined, least: number, most: number): octets is Uint8Array {
  return octets !== undefined && octets.length >= least && octets.length <= most;
}
