/**
 * Looks through the chunks of a message that came with BDAT (RFC 3030 §2) for what DATA refuses too: a bare CR, a bare LF
 * or a NUL. There is no dot-stuffing, and the last line may lack its CRLF. Where bare LFs are repaired, each becomes CRLF;
 * the length of a chunk still counts what was on the wire.
 */

import { type BareLf, type ContentProblem, LINE_END } from "./content_reader.ts";

const CR = 0x0d;
const LF = 0x0a;

/** Checks one message's content, piece by piece; a CRLF may be cut between two pieces or two chunks. */
export class ChunkChecker {
  #offset = 0;
  #isAfterCr = false;
  #problem: ContentProblem | undefined;
  readonly #repairs: boolean;

  /** Has seen nothing yet. */
  constructor(bareLf: BareLf = "refuse") {
    this.#repairs = bareLf === "repair";
  }

  /** The first thing that is wrong so far. Its offset counts over all chunks. */
  get problem(): ContentProblem | undefined {
    return this.#problem;
  }

  /**
   * Looks at the next octets.
   *
   * @param emit Takes the content, in order, as views of `octets`, and `LINE_END` for each bare LF that was repaired.
   *   Nothing more comes once something is wrong.
   */
  push(octets: Uint8Array, emit: (content: Uint8Array) => void): void {
    if (this.#problem !== undefined) return;
    const length = octets.length;
    let isAfterCr = this.#isAfterCr;
    let from = 0; // what lies before is emitted
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
      else if (octet === LF) {
        if (!this.#repairs) return this.#report("bareLf", i);
        if (i > from) emit(octets.subarray(from, i));
        emit(LINE_END);
        from = i + 1;
      } else if (octet === 0) return this.#report("nul", i);
    }
    if (length > from) emit(from === 0 ? octets : octets.subarray(from));
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
