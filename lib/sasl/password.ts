/**
 * Passwords against their hashes. New ones are scrypt (RFC 7914); those of other programs are read by `hashes/`.
 *
 * Work is done on other threads. A hash costs 32 MiB and some 60 ms of one core, those from elsewhere up to 256 MiB and
 * several seconds, so only few run at a time and a bounded number waits: a flood of logins can neither fill the memory
 * nor starve the mail path.
 */

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { derive } from "./hashes/derive.ts";
import { parsePasswordHash } from "./hashes/parse_hash.ts";
import type { PasswordHash } from "./hashes/password_hash.ts";
import { deriveScrypt, formatScrypt, type ScryptHash } from "./hashes/scrypt.ts";
import { HashThreads } from "./hashes/thread.ts";

/** 32 MiB: what a server of 512 MiB can spend on a login. Stored with each hash, so it can be raised later. */
const DEFAULT_COST = { ln: 15, r: 8, p: 1 };
const SALT_OCTETS = 16;
const HASH_OCTETS = 32;
/** What crypt(3) takes (CRYPT_MAX_PASSPHRASE_SIZE less its NUL); nobody can have made a hash of a longer one there. */
const MAX_CRYPT_OCTETS = 511;

/** Bounds of the hasher. */
export interface PasswordHasherOptions {
  /** Hashes at the same time, 32 MiB each for our own. Default 2: more than the cores of a small machine gains nothing. */
  readonly concurrent?: number;
  /** Hashes that wait for their turn. Default 64: the last one waits about two seconds, where they are our own. */
  readonly waiting?: number;
  /** The hashes of all accounts now: the check for an unknown name costs what one of them costs. Default none. */
  decoys?(): readonly string[];
  /** Chooses among them: the choice for a name should outlast a restart. Default random. */
  readonly secret?: Uint8Array;
}

/** What a check of a password says; `busy`: too many are waiting, so it was not checked. */
export type PasswordVerdict = "match" | "mismatch" | "busy";

/** Makes and checks password hashes, a few at a time. */
export class PasswordHasher {
  readonly #concurrent: number;
  readonly #waiting: number;
  readonly #decoys: () => readonly string[];
  readonly #line: (() => void)[] = [];
  #running = 0;
  readonly #threads = new HashThreads();
  readonly #secret: Uint8Array;

  /** Takes the bounds. */
  constructor({ concurrent = 2, waiting = 64, decoys, secret }: PasswordHasherOptions = {}) {
    this.#concurrent = concurrent;
    this.#waiting = waiting;
    this.#secret = secret ?? randomBytes(32);
    this.#decoys = decoys ?? ((): readonly string[] => []);
  }

  /** Hashes a new password with a random salt. @throws {RangeError} For an empty password, or when too many wait. */
  async hash(password: string): Promise<string> {
    if (password === "") throw new RangeError("Cannot hash an empty password");
    const setting = freshScrypt();
    const expected = await this.#inTurn(() => deriveScrypt(prepare(password), setting));
    if (expected === undefined) throw new RangeError("Cannot hash the password: too many are waiting");
    return formatScrypt({ ...setting, expected });
  }

  /**
   * Checks a password.
   *
   * @param text Hash of the account. Undefined (no such account, or one without login), or one that cannot be used, is a
   *   mismatch that takes as long as a real check, so that the time does not tell which accounts exist.
   * @param name Login name: one that is unknown costs the same each time, where accounts have hashes of several kinds.
   * @throws {Error} Where a hash cannot be computed, for lack of memory.
   */
  async verify(password: string, text: string | undefined, name = ""): Promise<PasswordVerdict> {
    const known = text === undefined ? undefined : usableHash(text);
    const hash = known ?? this.#decoy(name);
    const matches = await this.#inTurn(() => matchesHash(password, hash, this.#threads));
    if (matches === undefined) return "busy";
    return matches && known !== undefined ? "match" : "mismatch";
  }

  /** The same hash for the same name, which nobody outside can foretell. */
  #decoy(name: string): PasswordHash {
    const hashes = this.#decoys();
    const digest = createHmac("sha256", this.#secret).update(`cost of ${name}`).digest();
    const text = hashes[digest.readUInt32BE() % hashes.length];
    return (text === undefined ? undefined : usableHash(text)) ?? freshScrypt();
  }

  /** Runs the work when its turn comes; undefined when the line is full. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.#running >= this.#concurrent) {
      if (this.#line.length >= this.#waiting) return undefined;
      await new Promise<void>((resolve) => this.#line.push(resolve)); // Whoever is done hands its place over.
    } else this.#running++;
    try {
      return await work();
    } finally {
      const next = this.#line.shift();
      if (next !== undefined) next();
      else {
        // One that was just handed a place is about to take an idle thread.
        if (--this.#running === 0) this.#threads.endIdle();
      }
    }
  }
}

function freshScrypt(): ScryptHash {
  return { kind: "scrypt", cost: DEFAULT_COST, salt: randomBytes(SALT_OCTETS), expected: randomBytes(HASH_OCTETS) };
}

function usableHash(text: string): PasswordHash | undefined {
  const hash = parsePasswordHash(text);
  return "problem" in hash ? undefined : hash;
}

/**
 * Compares a password as it was typed, of which other programs made their hashes, and then, where that is something else,
 * as posthorn prepared it for its own.
 */
async function matchesHash(password: string, hash: PasswordHash, threads: HashThreads): Promise<boolean> {
  const prepared = prepare(password);
  for (const candidate of prepared === password ? [password] : [password, prepared]) {
    const canMatch = isPossible(candidate, hash);
    const derived = await derive(canMatch ? candidate : "", hash, threads);
    const isSame = derived.length === hash.expected.length && timingSafeEqual(derived, hash.expected);
    if (isSame && canMatch) return true;
  }
  return false;
}

/** False for a password that no program can have made such a hash of: crypt(3) ends at a NUL, so "a\0b" would be "a". */
function isPossible(password: string, { kind }: PasswordHash): boolean {
  const isCrypt = kind === "bcrypt" || kind.endsWith("-crypt");
  return !isCrypt || (!password.includes("\0") && new TextEncoder().encode(password).length <= MAX_CRYPT_OCTETS);
}

/**
 * Prepares a password for comparison: other spaces become the ASCII space, then NFC, so that the same password typed on
 * two systems is the same octets. Of OpaqueString (RFC 8265 §4.2.2) only the refusal of control characters is left out.
 */
function prepare(password: string): string {
  return password.replace(/\p{Zs}/gu, " ").normalize("NFC");
}
