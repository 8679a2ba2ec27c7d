/**
 * Password hashes: scrypt (RFC 7914) in the PHC string format, `$scrypt$ln=15,r=8,p=1$<salt>$<hash>`.
 *
 * Work is done on the thread pool of `node:crypto`. A hash costs 32 MiB and some 60 ms of one core, so only few run at a
 * time and a bounded number waits: a flood of logins can neither fill the memory nor starve the mail path.
 */

import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

/** Cost parameters (RFC 7914 §2). */
interface Cost {
  /** Binary logarithm of N. */
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

interface ParsedHash {
  readonly cost: Cost;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/** 32 MiB: what a server of 512 MiB can spend on a login. Stored with each hash, so it can be raised later. */
const DEFAULT_COST: Cost = { ln: 15, r: 8, p: 1 };
const SALT_OCTETS = 16;
const HASH_OCTETS = 32;
/** Hashes from elsewhere may cost up to this much memory; a larger one in the accounts file is refused, not tried. */
const MAX_MEMORY_OCTETS = 256 * 1024 * 1024;

/** Bounds of the hasher. */
export interface PasswordHasherOptions {
  /** Hashes at the same time, 32 MiB each. Default 2: more than the cores of a small machine gains nothing. */
  readonly concurrent?: number;
  /** Hashes that wait for their turn. Default 64: the last one waits about two seconds. */
  readonly waiting?: number;
}

/** What a check of a password says; `busy`: too many are waiting, so it was not checked. */
export type PasswordVerdict = "match" | "mismatch" | "busy";

/** Makes and checks password hashes, a few at a time. */
export class PasswordHasher {
  readonly #concurrent: number;
  readonly #waiting: number;
  readonly #line: (() => void)[] = [];
  #running = 0;
  /** Checked in place of the hash of an account that does not exist. */
  readonly #dummy: ParsedHash = {
    cost: DEFAULT_COST,
    salt: randomBytes(SALT_OCTETS),
    hash: randomBytes(HASH_OCTETS),
  };

  /** Takes the bounds. */
  constructor({ concurrent = 2, waiting = 64 }: PasswordHasherOptions = {}) {
    this.#concurrent = concurrent;
    this.#waiting = waiting;
  }

  /** Hashes a new password with a random salt. @throws {RangeError} For an empty password, or when too many wait. */
  async hash(password: string): Promise<string> {
    if (password === "") throw new RangeError("Cannot hash an empty password");
    const salt = randomBytes(SALT_OCTETS);
    const hash = await this.#inTurn(() => derive(password, salt, DEFAULT_COST, HASH_OCTETS));
    if (hash === undefined) throw new RangeError("Cannot hash the password: too many are waiting");
    const { ln, r, p } = DEFAULT_COST;
    return `$scrypt$ln=${ln},r=${r},p=${p}$${encodeUnpadded(salt)}$${encodeUnpadded(hash)}`;
  }

  /**
   * Checks a password.
   *
   * @param phc undefined (no such account, or one without login), or a hash that cannot be used, is a mismatch that takes
   *   as long as a real check, so that the time does not tell which accounts exist.
   */
  async verify(password: string, phc: string | undefined): Promise<PasswordVerdict> {
    const parsed = phc === undefined ? undefined : parseHash(phc);
    const { cost, salt, hash } = parsed ?? this.#dummy;
    const derived = await this.#inTurn(() => derive(password, salt, cost, hash.length));
    if (derived === undefined) return "busy";
    return timingSafeEqual(derived, hash) && parsed !== undefined ? "match" : "mismatch";
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
      if (next === undefined) this.#running--;
      else next();
    }
  }
}

/** True for a hash that `verify` can check; the accounts file is read with it. */
export function isUsableHash(phc: string): boolean {
  return parseHash(phc) !== undefined;
}

/**
 * Prepares a password for comparison: other spaces become the ASCII space, then NFC, so that the same password typed on
 * two systems is the same octets. Of OpaqueString (RFC 8265 §4.2.2) only the refusal of control characters is left out.
 */
function prepare(password: string): string {
  return password.replace(/\p{Zs}/gu, " ").normalize("NFC");
}

function derive(password: string, salt: Uint8Array, { ln, r, p }: Cost, octets: number): Promise<Uint8Array> {
  const options = { N: 2 ** ln, r, p, maxmem: MAX_MEMORY_OCTETS + 1024 * 1024 };
  return new Promise((resolve, reject) =>
    scrypt(prepare(password), salt, octets, options, (error, key) => error === null ? resolve(key) : reject(error))
  );
}

/** PHC string format: `$scrypt$ln=…,r=…,p=…$salt$hash`, base64 without padding. */
function parseHash(phc: string): ParsedHash | undefined {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(phc);
  if (match === null) return undefined;
  const [ln, r, p] = match.slice(1, 4).map(Number);
  const [salt, hash] = [decodeUnpadded(match[4]), decodeUnpadded(match[5])];
  if (!ln || !r || !p || salt === undefined || hash === undefined) return undefined;
  if (128 * r * (2 ** ln + p) > MAX_MEMORY_OCTETS || p > 16) return undefined;
  if (salt.length < 8 || salt.length > 64 || hash.length < 16 || hash.length > 64) return undefined;
  return { cost: { ln, r, p }, salt, hash };
}

function encodeUnpadded(octets: Uint8Array): string {
  return octets.toBase64({ omitPadding: true });
}

function decodeUnpadded(text = ""): Uint8Array | undefined {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    return undefined;
  }
}
