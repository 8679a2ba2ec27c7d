/** Argon2i and Argon2id (RFC 9106) in the PHC string format. Derived on a thread. */

import { decodeBase64 } from "./base64.ts";
import { type HashProblem, malformed, tooCostly } from "./password_hash.ts";

/** A parsed hash. */
export interface Argon2Hash {
  /** Tells the kinds of hashes apart. */
  readonly kind: "argon2i" | "argon2id";
  /** 19 (1.3), or 16 (1.0) of hashes from before 2016. */
  readonly version: number;
  /** Memory. */
  readonly memoryKiB: number;
  /** How often it is filled. */
  readonly passes: number;
  /** Lanes. */
  readonly lanes: number;
  /** 8 to 64 octets. */
  readonly salt: Uint8Array;
  /** 12 to 128 octets. */
  readonly expected: Uint8Array;
}

const MAX_MEMORY_MIB = 256;
/** Of all passes together: it bounds the time, to some five seconds of one core. */
const MAX_FILLED_MIB = 1024;
const MAX_LANES = 64;

/** Reads `$argon2id$v=19$m=65536,t=3,p=1$<salt>$<hash>`, base64 without padding; without `v` it is version 16. */
export function parseArgon2(text: string): Argon2Hash | HashProblem {
  const match =
    /^\$(argon2id?)(?:\$v=(16|19))?\$m=(\d{1,10}),t=(\d{1,10}),p=(\d{1,8})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/
      .exec(text);
  const [version = 0, memoryKiB = 0, passes = 0, lanes = 0] = [match?.[2] ?? 16, ...match?.slice(3, 6) ?? []].map(
    Number,
  );
  const [salt, expected] = [decodeBase64(match?.[6] ?? ""), decodeBase64(match?.[7] ?? "")];
  const hasRightLengths = salt !== undefined && salt.length >= 8 && salt.length <= 64 &&
    expected !== undefined && expected.length >= 12 && expected.length <= 128;
  // RFC 9106 §3.1: at least 8 KiB for each lane.
  if (match === null || passes === 0 || lanes === 0 || memoryKiB < 8 * lanes || !hasRightLengths) {
    return malformed("argon2", '"$argon2id$v=19$m=65536,t=3,p=1$" (or argon2i), a salt, "$" and a hash, in base64');
  }
  const memoryMiB = Math.ceil(memoryKiB / 1024);
  if (memoryMiB > MAX_MEMORY_MIB) return tooCostly("argon2", "MiB of memory", memoryMiB, MAX_MEMORY_MIB);
  const filledMiB = Math.ceil(memoryKiB * passes / 1024);
  if (filledMiB > MAX_FILLED_MIB) return tooCostly("argon2", "MiB to fill in all passes", filledMiB, MAX_FILLED_MIB);
  if (lanes > MAX_LANES) return tooCostly("argon2", "lanes", lanes, MAX_LANES);
  return { kind: match[1] === "argon2i" ? "argon2i" : "argon2id", version, memoryKiB, passes, lanes, salt, expected };
}

/** Derives as many octets as are expected. */
export async function deriveArgon2(password: string, hash: Argon2Hash): Promise<Uint8Array> {
  const { argon2i, argon2id } = await import("@noble/hashes/argon2");
  const { kind, version, memoryKiB, passes, lanes, salt, expected } = hash;
  const options = { version, m: memoryKiB, t: passes, p: lanes, dkLen: expected.length };
  return (kind === "argon2i" ? argon2i : argon2id)(new TextEncoder().encode(password), salt, options);
}
