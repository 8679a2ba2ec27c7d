/** The line endings of files in Maildirs: LF as their readers expect, or CRLF as the message came. */

/** `lf`: CRLF is written as LF. `crlf`: octets are written as they came. */
export type LineEndings = "lf" | "crlf";

const CR = 0x0d;
const LF = 0x0a;

/**
 * Writes each CRLF of a content as LF. The content comes in pieces, cut anywhere. Nothing else changes: a CR that stands
 * alone stays. Content of ours has neither CR nor LF alone, so that LF as CRLF gives back the same octets.
 */
export class LfConverter {
  #holdsCr = false;

  /**
   * Converts the next piece. A CR at its end is kept back until what follows is known.
   *
   * @param into Takes the result from `at` on; has room for one octet more than the piece.
   * @returns The index in `into` behind the result.
   */
  convert(piece: Uint8Array, into: Uint8Array, at: number): number {
    const length = piece.length;
    if (length === 0) return at;
    if (this.#holdsCr && piece[0] !== LF) into[at++] = CR;
    this.#holdsCr = piece[length - 1] === CR;
    const end = this.#holdsCr ? length - 1 : length;
    // The inner loop passes over what cannot be a line end: a GB/s, which `indexOf` and `set` reach with long lines only.
    for (let i = 0; i < end; i++) {
      let octet = piece[i] as number;
      while (octet > CR) {
        into[at++] = octet;
        if (++i === end) return at;
        octet = piece[i] as number;
      }
      if (octet !== CR || piece[i + 1] !== LF) into[at++] = octet;
    }
    return at;
  }

  /** What was kept back, when no piece follows. */
  end(): Uint8Array {
    const rest = Uint8Array.from(this.#holdsCr ? [CR] : []);
    this.#holdsCr = false;
    return rest;
  }
}
