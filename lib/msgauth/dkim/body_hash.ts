/** SHA-256 of canonical bodies, computed while the body streams in (RFC 6376 §3.7), for any number of signatures at once. */

import { createHash, type Hash } from "node:crypto";
import { type BodyCanonicalizer, type Canonicalization, canonicalizeBody } from "./canonicalize.ts";

/** One hash that is wanted. */
export interface BodyHashRequest {
  /** How to canonicalize. */
  readonly canonicalization: Canonicalization;
  /** `l=`: octets of the canonical body to hash; absent: all. A whole number from 0 on. */
  readonly octets?: number;
}

/** The answer to a {@linkcode BodyHashRequest}. */
export interface BodyHash {
  /** SHA-256; absent where the canonical body has fewer octets than were to be hashed. */
  readonly sha256?: Uint8Array;
  /** Size of the whole canonical body. */
  readonly octets: number;
}

/**
 * Hashes a body for several signatures. Each canonicalization is computed and hashed once, whatever number of lengths is
 * asked for, so that the work has a bound of two passes.
 */
export class BodyHasher {
  readonly #canonical = new Map<Canonicalization, CanonicalHash>();

  /** @param requests What {@linkcode BodyHasher.hash} will be asked for; repetitions cost nothing. */
  constructor(requests: Iterable<BodyHashRequest>) {
    const lengths = new Map<Canonicalization, Set<number>>();
    for (const { canonicalization, octets } of requests) {
      const set = lengths.get(canonicalization) ?? new Set();
      if (octets !== undefined) set.add(octets);
      lengths.set(canonicalization, set);
    }
    for (const [canonicalization, set] of lengths) {
      this.#canonical.set(canonicalization, new CanonicalHash(canonicalization, set));
    }
  }

  /** Takes the next octets of the body, cut anywhere; they are not kept. */
  push(piece: Uint8Array): void {
    for (const canonical of this.#canonical.values()) canonical.push(piece);
  }

  /**
   * Ends the body, when asked for the first time, and gives one of the hashes.
   *
   * @throws {TypeError} For a request that the constructor did not have.
   */
  hash({ canonicalization, octets }: BodyHashRequest): BodyHash {
    const canonical = this.#canonical.get(canonicalization);
    if (canonical === undefined) {
      throw new TypeError(`Cannot give a ${canonicalization} body hash: it was not asked for`);
    }
    return canonical.hash(octets);
  }
}

/** One canonical form of the body, hashed as a whole and up to some lengths. */
class CanonicalHash {
  readonly #body: BodyCanonicalizer;
  readonly #hash = createHash("sha256");
  /** Lengths not yet reached, from small to large. */
  readonly #lengths: number[];
  readonly #prefixes = new Map<number, Uint8Array>();
  #octets = 0;
  #whole: Uint8Array | undefined;

  constructor(canonicalization: Canonicalization, lengths: ReadonlySet<number>) {
    this.#lengths = [...lengths].sort((a, b) => a - b);
    this.#body = canonicalizeBody(canonicalization, (piece) => this.#add(piece));
    this.#noteReachedLengths();
  }

  push(piece: Uint8Array): void {
    this.#body.push(piece);
  }

  #add(piece: Uint8Array): void {
    let rest = piece;
    for (
      let next = this.#lengths[0];
      next !== undefined && next <= this.#octets + rest.length;
      next = this.#lengths[0]
    ) {
      const part = rest.subarray(0, next - this.#octets);
      this.#hash.update(part);
      this.#octets += part.length;
      rest = rest.subarray(part.length);
      this.#noteReachedLengths();
    }
    this.#hash.update(rest);
    this.#octets += rest.length;
  }

  #noteReachedLengths(): void {
    if (this.#lengths[0] !== this.#octets) return;
    this.#lengths.shift();
    this.#prefixes.set(this.#octets, digest(this.#hash.copy()));
  }

  hash(octets: number | undefined): BodyHash {
    if (this.#whole === undefined) {
      this.#body.end();
      this.#whole = digest(this.#hash);
    }
    const sha256 = octets === undefined ? this.#whole : this.#prefixes.get(octets);
    return { octets: this.#octets, ...sha256 !== undefined && { sha256 } };
  }
}

function digest(hash: Hash): Uint8Array {
  return new Uint8Array(hash.digest());
}
