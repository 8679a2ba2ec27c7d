/** Writes message content the way DATA wants it (RFC 5321 §4.5.2). */

const LF = 0x0a;
const CR = 0x0d;
const DOT = 0x2e;

/**
 * Doubles the dot at the start of each line, and ends the content. One is used for one message, piece by piece.
 *
 * A line starts after LF, also after a bare one: then no peer, however it takes line ends, sees an end of data that is
 * not ours.
 */
export class DotStuffer {
  #previous = CR;
  #last = LF;

  /**
   * Copies a piece, stuffed; runs without a dot at a line start are copied whole.
   *
   * @param take Gives an array of exactly so many octets for the result; default: a new one.
   */
  stuff(piece: Uint8Array, take?: (octets: number) => Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const dots = this.#lineStarts(piece);
    this.#remember(piece);
    const octets = piece.length + dots.length;
    const stuffed = take?.(octets) ?? new Uint8Array(octets);
    copyStuffed(piece, dots, stuffed, 0);
    return stuffed;
  }

  /** The end of data: CRLF where the content does not end with it, then the final dot. */
  end(): Uint8Array {
    const isComplete = this.#previous === CR && this.#last === LF;
    return Uint8Array.of(...(isComplete ? [] : [CR, LF]), DOT, CR, LF);
  }

  /** A whole message, stuffed and with its end, in one piece: `head` is put in front of `content`. */
  whole(head: Uint8Array, content: Uint8Array): Uint8Array {
    const headDots = this.#lineStarts(head);
    this.#remember(head);
    const contentDots = this.#lineStarts(content);
    this.#remember(content);
    const end = this.end();
    const headOctets = head.length + headDots.length;
    const octets = new Uint8Array(headOctets + content.length + contentDots.length + end.length);
    copyStuffed(head, headDots, octets, 0);
    copyStuffed(content, contentDots, octets, headOctets);
    octets.set(end, octets.length - end.length);
    return octets;
  }

  /** Where the dots are that must be doubled. */
  #lineStarts(piece: Uint8Array): readonly number[] {
    const found: number[] = [];
    for (let at = piece.indexOf(DOT); at >= 0; at = piece.indexOf(DOT, at + 1)) {
      if ((at === 0 ? this.#last : piece[at - 1]) === LF) found.push(at);
    }
    return found;
  }

  #remember(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#previous = piece.length > 1 ? piece[piece.length - 2] ?? 0 : this.#last;
    this.#last = piece[piece.length - 1] ?? 0;
  }
}

function copyStuffed(piece: Uint8Array, dots: readonly number[], into: Uint8Array, offset: number): void {
  let from = 0;
  for (const dot of dots) {
    into.set(piece.subarray(from, dot), offset);
    offset += dot - from;
    into[offset++] = DOT;
    from = dot;
  }
  into.set(from === 0 ? piece : piece.subarray(from), offset);
}
