/**
 * Looks through the header section of a message that came with BODY=BINARYMIME (RFC 3030 §3). Only the body of such a
 * message is binary: its header section is lines as ever.
 */

import { ChunkChecker } from "./chunk_checker.ts";
import type { ContentProblem } from "./content_reader.ts";

const CR = 0x0d;
const LF = 0x0a;

/** Checks one message's content up to the first empty line; that may be cut between two pieces or two chunks. */
export class BinaryChecker {
  readonly #header = new ChunkChecker();
  /** How much of CRLF CRLF has come last; a message may begin with its empty line. */
  #matched = 2;
  #isInBody = false;

  /** The first thing that is wrong with the header section so far. */
  get problem(): ContentProblem | undefined {
    return this.#header.problem;
  }

  /** Looks at the next octets. @param emit Takes all of them as they are: nothing of binary content is ever mended. */
  push(octets: Uint8Array, emit: (content: Uint8Array) => void): void {
    if (!this.#isInBody) this.#checkHeader(octets);
    emit(octets);
  }

  /** Tells it that no octets follow. */
  end(): void {
    if (!this.#isInBody) this.#header.end();
  }

  #checkHeader(octets: Uint8Array): void {
    let end = 0;
    while (end < octets.length && this.#matched < 4) {
      const octet = octets[end++];
      const expected = this.#matched % 2 === 0 ? CR : LF;
      this.#matched = octet === expected ? this.#matched + 1 : octet === CR ? 1 : 0;
    }
    this.#header.push(octets.subarray(0, end), () => {});
    this.#isInBody = this.#matched === 4;
  }
}
