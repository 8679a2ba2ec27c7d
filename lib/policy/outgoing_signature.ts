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
  readonly #mayHaveKeys: (domain: string) => boolean;
  #isDue = true;
  /** Made with the first octets: most mail on its way through is not ours. */
  #hasher: BodyHasher | undefined;

  /**
   * Begins a message.
   *
   * @param keysFor Asked when the message is complete.
   * @param mayHaveKeys False for a domain that has none, whose mail need not be hashed.
   */
  constructor(keysFor: KeysFor, mayHaveKeys: (domain: string) => boolean = () => true) {
    this.#keysFor = keysFor;
    this.#mayHaveKeys = mayHaveKeys;
  }

  /** False where it is known that the message goes unsigned. */
  get isDue(): boolean {
    return this.#isDue;
  }

  /** Looks who is the author, before the body comes. */
  header(section: Uint8Array): void {
    const author = authorOf(section);
    this.#isDue = author !== undefined && this.#mayHaveKeys(author);
  }

  /** Takes the next octets of the body. */
  push(piece: Uint8Array): void {
    if (this.#isDue) this.#ownHasher.push(piece);
  }

  get #ownHasher(): BodyHasher {
    return this.#hasher ??= new BodyHasher([SIGNED_BODY]);
  }

  /**
   * Signs for the domain of the author: that is what DMARC compares. A message of several authors, or of a domain without
   * keys, goes unsigned.
   *
   * @returns DKIM-Signature fields, CRLF ended, to put in front; empty where there are none.
   */
  async sign({ headerSection, trace, nowMs }: SignedHeader): Promise<string> {
    const author = this.#isDue ? authorOf(headerSection) : undefined;
    const keys = author === undefined ? [] : await this.#keysFor(author);
    if (keys.length === 0) return "";
    const { sha256: bodyHash } = this.#ownHasher.hash(SIGNED_BODY);
    return bodyHash === undefined ? "" : await signMessage({ headerSection, trace, bodyHash, keys, nowMs });
  }
}

/** The one domain that the message is from; undefined where there are several or none. */
function authorOf(headerSection: Uint8Array): string | undefined {
  const { domains: [domain, ...others] } = readAuthors(headerSection);
  return others.length > 0 ? undefined : domain;
}
