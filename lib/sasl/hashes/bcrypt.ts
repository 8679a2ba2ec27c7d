/** bcrypt: `$2a$`, `$2b$` and `$2y$`, which are the same for what today's programs write. Derived on a thread. */

import { asciiOctets } from "./base64.ts";
import { type HashProblem, malformed, tooCostly } from "./password_hash.ts";

/** A parsed hash. */
export interface BcryptHash {
  /** Tells the kinds of hashes apart. */
  readonly kind: "bcrypt";
  /** Version, cost and salt: the first 29 characters. */
  readonly setting: string;
  /** The other 31, as ASCII. */
  readonly expected: Uint8Array;
}

/** Some five seconds of one core. */
const MAX_COST = 16;

/** Reads `$2y$10$` and 53 characters. */
export function parseBcrypt(text: string): BcryptHash | HashProblem {
  const [, setting = "", digits = "", hash = ""] =
    /^(\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{21}[.Oeu])([./A-Za-z0-9]{31})$/.exec(text) ?? [];
  const cost = Number(digits);
  if (cost < 4) return malformed("bcrypt", '"$2b$" (or 2a, 2y), a cost of two digits from 04, "$" and 53 characters');
  if (cost > MAX_COST) return tooCostly("bcrypt", "cost", cost, MAX_COST);
  return { kind: "bcrypt", setting, expected: asciiOctets(hash) };
}

/** Derives the characters of a password, of which the first 72 octets count: so have all programs made these hashes. */
export async function deriveBcrypt(password: string, { setting }: BcryptHash): Promise<Uint8Array> {
  const { hashSync } = await import("bcryptjs");
  return asciiOctets(hashSync(password, setting).slice(setting.length));
}
