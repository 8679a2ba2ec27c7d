/** Signs mail of our own users, while it comes in: the body is hashed as it passes. */

import { BodyHasher } from "../msgauth/dkim/body_hash.ts";
import { SIGNED_BODY, type SigningKey, signMessage } from "../msgauth/dkim/sign.ts";
import { readAuthors } from "../msgauth/dmarc/authors.ts";

/** The keys that sign for a domain now: none, or one of each algorithm. */
export type KeysFor = (domain: string) => Promise<readonly SigningKey[]>;

/** What is signed besides the body. */
export interface SignedHeader {
  /** Whole lines, without the empty one. */
  readonly headerSection: Uint8Array;
  /** The fields of ours that will stand in front of it, CRLF ended. */
  readonly trace: string;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** The signatures of one message. */
export class OutgoingSignature {
  readonly #keysFor: KeysFor;
  readonly #hasher: BodyHasher = new BodyHasher([SIGNED_BODY]);

  /**
   * Begins a message.
   *
   * @param keysFor Asked when the message is complete.
   */
  constructor(keysFor: KeysFor) {
    this.#keysFor = keysFor;
  }

  /** Takes the next octets of the body. */
  push(piece: Uint8Array): void {
    this.#hasher.push(piece);
  }

  /**
   * Signs for the domain of the author: that is what DMARC compares. A message of several authors, or of a domain without
   * keys, goes unsigned.
   *
   * @returns DKIM-Signature fields, CRLF ended, to put in front; empty where there are none.
   */
  async sign({ headerSection, trace, nowMs }: SignedHeader): Promise<string> {
    const { domains: [domain, ...others] } = readAuthors(headerSection);
    const keys = domain === undefined || others.length > 0 ? [] : await this.#keysFor(domain);
    const { sha256: bodyHash } = this.#hasher.hash(SIGNED_BODY);
    return keys.length === 0 || bodyHash === undefined
      ? ""
      : await signMessage({ headerSection, trace, bodyHash, keys, nowMs });
  }
}
