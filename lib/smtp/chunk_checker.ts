/**
 * Looks through the chunks of a message that came with BDAT (RFC 3030 §2) for what DATA refuses too: a bare CR, a bare LF
 * or a NUL. There is no dot-stuffing, and the last line may lack its CRLF.
 */

import type { ContentProblem } from "./content_reader.ts";

const CR = 0x0d;
const LF = 0x0a;

/** Checks one message's content, piece by piece; a CRLF may be cut between two pieces or two chunks. */
export class ChunkChecker {
  #offset = 0;
  #isAfterCr = false;
  #problem: ContentProblem | undefined;

  /** The first thing that is wrong so far. Its offset counts over all chunks. */
  get problem(): ContentProblem | undefined {
    return this.#problem;
  }

  /** Looks at the next octets. */
  push(octets: Uint8Array): void {
    if (this.#problem !== undefined) return;
    const length = octets.length;
    let isAfterCr = this.#isAfterCr;
    for (let i = 0; i < length; i++) {
      let octet = octets[i] as number;
      if (isAfterCr) {
        if (octet !== LF) return this.#report("bareCr", i - 1);
        isAfterCr = false;
        continue;
      }
      while (octet > CR && ++i < length) octet = octets[i] as number;
      if (i === length) break;
      if (octet === CR) isAfterCr = true;
      else if (octet === LF) return this.#report("bareLf", i);
      else if (octet === 0) return this.#report("nul", i);
    }
    this.#isAfterCr = isAfterCr;
    this.#offset += length;
  }

  /** Tells it that no octets follow: a CR at the very end is a bare one. */
  end(): void {
    if (this.#isAfterCr) this.#report("bareCr", -1);
  }

  #report(kind: ContentProblem["kind"], index: number): void {
    this.#problem ??= { kind, offset: this.#offset + index };
  }
}
