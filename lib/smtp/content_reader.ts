/**
 * Reads the octets after DATA up to `CRLF.CRLF` (RFC 5321 §4.1.1.4): removes dot-stuffing, and finds what may not be
 * there. One pass, no copies: what passes is handed on as views.
 *
 * Only `CRLF.CRLF` ends the content. A bare CR, a bare LF or a NUL makes it unacceptable, because servers that disagree
 * on what ends a line can be made to see commands in the content of a message (SMTP smuggling, CVE-2023-51764). Reading
 * goes on to the real end all the same, so that nothing of such content is ever taken for a command here.
 *
 * Where bare LFs are repaired, each becomes a line end: CRLF goes on, and a dot behind it is removed as at the start of
 * any line, because who takes LF for a line end has stuffed there, too. Only the end of data does not follow from it: a
 * line of one dot ends the content if CRLF stands on both sides of the dot on the wire, and is an empty line otherwise.
 * So there is no octet sequence that we take for the end and a stricter server in front of us does not; and behind us no
 * bare LF is left about which another server could think otherwise.
 */

/** What is wrong with the content. `offset` counts octets on the wire from the first one after the DATA line. */
export interface ContentProblem {
  /** A NUL is refused because parsers end strings there; RFC 5321 §2.3.1 allows 1 to 127 only. */
  readonly kind: "bareCr" | "bareLf" | "nul";
  /** Of the CR, LF or NUL itself, counted from 0; a removed dot counts too. */
  readonly offset: number;
}

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;

/** What goes on in place of a bare LF. */
export const LINE_END: Uint8Array = Uint8Array.of(CR, LF);

/** What happens to a bare LF. */
export type BareLf = "refuse" | "repair";

// Where the reader is between two octets. Plain numbers, since this is the hottest loop of the server.
const LINE_START = 0;
const IN_LINE = 1;
/** After a CR inside or at the end of a line. */
const AFTER_CR = 2;
/** After a dot at the start of a line, which is not passed on (RFC 5321 §4.5.2). */
const AFTER_DOT = 3;
/** After CRLF.CR: the next octet decides. */
const AFTER_DOT_CR = 4;
/** After a bare LF that was repaired: a line starts, but not one that can end the content. */
const REPAIRED_LINE_START = 5;

/** Reads one message's content. */
export class ContentReader {
  #state = LINE_START;
  #offset = 0;
  #problem: ContentProblem | undefined;
  #isDone = false;
  readonly #repairs: boolean;

  /** Reads nothing yet. */
  constructor(bareLf: BareLf = "refuse") {
    this.#repairs = bareLf === "repair";
  }

  /** True once the final dot was read. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** The first thing that is wrong; nothing more is passed on after it. */
  get problem(): ContentProblem | undefined {
    return this.#problem;
  }

  /** Octets read from the wire. */
  get offset(): number {
    return this.#offset;
  }

  /**
   * Reads on.
   *
   * @param octets What has arrived.
   * @param emit Takes the content, in order, as views of `octets`, and `LINE_END` for each bare LF that was repaired.
   * @returns How many octets belong to the content: fewer than given only at its end.
   */
  push(octets: Uint8Array, emit: (content: Uint8Array) => void): number {
    const length = octets.length;
    let state = this.#state;
    let from = 0; // what lies before is emitted or dropped
    for (let i = 0; i < length; i++) {
      let octet = octets[i] as number;
      if (state === IN_LINE) {
        while (octet > CR && ++i < length) octet = octets[i] as number;
        if (i === length) break;
        if (octet === CR) state = AFTER_CR;
        else if (octet === LF && this.#repairs) {
          this.#repair(octets.subarray(from, i), emit);
          from = i + 1;
          state = REPAIRED_LINE_START;
        } else if (octet === LF) this.#report("bareLf", i);
        else if (octet === 0) this.#report("nul", i);
      } else if (state === AFTER_CR) {
        if (octet === LF) state = LINE_START;
        else {
          this.#report("bareCr", i - 1);
          state = octet === CR ? AFTER_CR : IN_LINE;
        }
      } else if (state === LINE_START && octet === DOT) {
        if (i > from) this.#pass(octets.subarray(from, i), emit);
        from = i + 1;
        state = AFTER_DOT;
      } else if (state === REPAIRED_LINE_START && octet === DOT) {
        from = i + 1;
        state = IN_LINE;
      } else if (state === AFTER_DOT && octet === CR) {
        // Not passed on: with the LF behind it, it ends the content; without, the content is refused.
        from = i + 1;
        state = AFTER_DOT_CR;
      } else if (state === AFTER_DOT_CR && octet === LF) {
        this.#isDone = true;
        this.#offset += i + 1;
        return i + 1;
      } else {
        // The first octet of a line, or what followed a dot: look at it again as part of the line.
        if (state === AFTER_DOT_CR) this.#report("bareCr", i - 1);
        state = IN_LINE;
        i--;
      }
    }
    if (length > from) this.#pass(octets.subarray(from), emit);
    this.#state = state;
    this.#offset += length;
    return length;
  }

  #pass(content: Uint8Array, emit: (content: Uint8Array) => void): void {
    if (this.#problem === undefined) emit(content);
  }

  #repair(before: Uint8Array, emit: (content: Uint8Array) => void): void {
    if (before.length > 0) this.#pass(before, emit);
    this.#pass(LINE_END, emit);
  }

  #report(kind: ContentProblem["kind"], index: number): void {
    this.#problem ??= { kind, offset: this.#offset + index };
  }
}
