/** Reads a DNS message from the front, never beyond its end. */

import { labelText } from "./name.ts";

/** A message that breaks RFC 1035. The only error that decoding throws. */
export class DnsMessageError extends Error {
  /** Tells this error from others. */
  override readonly name = "DnsMessageError";
}

/** A name has at most 128 labels, so more pointers than that serve only to waste time. */
const MAX_POINTERS = 128;
const MAX_NAME_OCTETS = 255;

/** A position in a message and what can be read there. */
export class WireReader {
  readonly #octets: Uint8Array;
  readonly #end: number;
  #at: number;

  /** Reads `octets` from `start` up to `end`; names may point to anything before them. */
  constructor(octets: Uint8Array, start = 0, end: number = octets.length) {
    this.#octets = octets;
    this.#at = start;
    this.#end = end;
  }

  /** Octets that are left. */
  get left(): number {
    return this.#end - this.#at;
  }

  /** One octet. */
  uint8(): number {
    const octet = this.#at < this.#end ? this.#octets[this.#at++] : undefined;
    if (octet === undefined) throw new DnsMessageError("Message ends too early");
    return octet;
  }

  /** Two octets, most significant first. */
  uint16(): number {
    return this.uint8() * 0x100 + this.uint8();
  }

  /** Four octets, most significant first. */
  uint32(): number {
    return this.uint16() * 0x1_0000 + this.uint16();
  }

  /** A copy of the next `count` octets. */
  octets(count: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#octets.slice(this.#take(count), this.#at));
  }

  /** A reader of the next `count` octets, which sees the octets before them for names. */
  part(count: number): WireReader {
    return new WireReader(this.#octets, this.#take(count), this.#at);
  }

  /** Fails unless all was read. */
  expectEnd(what: string): void {
    if (this.left !== 0) throw new DnsMessageError(`${what} is followed by ${this.left} octets too many`);
  }

  /**
   * A name in lower case without final dot; empty for the root.
   *
   * Pointers (RFC 1035 §4.1.4) must lead back to before the part of the name that they end, which excludes loops, and
   * are limited in number, so that a message with many names cannot take more than linear time.
   */
  name(): string {
    const labels: string[] = [];
    let nameOctets = 1;
    let pointers = 0;
    let partStart = this.#at;
    let at = this.#at;
    let limit = this.#end;
    for (;;) {
      const length = at < limit ? this.#octets[at] : undefined;
      if (length === undefined) throw new DnsMessageError("Message ends inside a name");
      if (length === 0) break;
      if (length < 0x40) {
        nameOctets += length + 1;
        if (nameOctets > MAX_NAME_OCTETS) throw new DnsMessageError("Name is longer than 255 octets");
        if (at + 1 + length > limit) throw new DnsMessageError("Message ends inside a name");
        labels.push(labelText(this.#octets.subarray(at + 1, at + 1 + length)));
        at += 1 + length;
        continue;
      }
      if (length < 0xc0) throw new DnsMessageError("Label type is not in use");
      const low = at + 1 < limit ? this.#octets[at + 1] : undefined;
      if (low === undefined) throw new DnsMessageError("Message ends inside a name");
      const target = (length & 0x3f) * 0x100 + low;
      if (pointers === 0) this.#at = at + 2;
      if (target >= partStart) throw new DnsMessageError("Compression pointer does not lead back");
      if (++pointers > MAX_POINTERS) throw new DnsMessageError("Name has too many compression pointers");
      limit = this.#octets.length;
      partStart = target;
      at = target;
    }
    if (pointers === 0) this.#at = at + 1;
    return labels.join(".");
  }

  #take(count: number): number {
    const start = this.#at;
    if (count > this.left) throw new DnsMessageError("Message ends too early");
    this.#at += count;
    return start;
  }
}
