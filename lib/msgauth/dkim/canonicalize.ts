/** The two ways to bring header fields and bodies into a form that survives transport (RFC 6376 §3.4), on octets. */

const SPACE = 32;
const TAB = 9;
const CR = 13;
const LF = 10;
const COLON = 58;

/** `simple` tolerates almost nothing, `relaxed` changed white space and names in another case. */
export type Canonicalization = "simple" | "relaxed";

/** One for the header fields, one for the body (`c=`). */
export interface Canonicalizations {
  /** Of fields. */
  readonly header: Canonicalization;
  /** Of the body. */
  readonly body: Canonicalization;
}

/**
 * Brings one header field into canonical form (RFC 6376 §3.4.1, §3.4.2).
 *
 * @param field The whole field, from its name to its last line end.
 * @returns For `simple` the same octets; for `relaxed` new ones that end with CRLF. Octets without a colon are values only.
 */
export function canonicalizeField(field: Uint8Array, canonicalization: Canonicalization): Uint8Array {
  return canonicalization === "simple" ? field : relaxedField(field);
}

/** Name in lower case, no white space around the colon, folds removed, each run of white space one space, none at the end. */
function relaxedField(field: Uint8Array): Uint8Array {
  const out = new Uint8Array(field.length + 2);
  const colon = field.indexOf(COLON);
  let length = 0;
  for (let at = 0; at < colon; at++) {
    const octet = field[at] ?? 0;
    if (octet === SPACE || octet === TAB) continue;
    out[length++] = octet >= 65 && octet <= 90 ? octet + 32 : octet;
  }
  if (colon >= 0) out[length++] = COLON;
  const valueStart = length;
  let isAfterSpace = false;
  for (let at = colon + 1; at < field.length; at++) {
    const octet = field[at] ?? 0;
    if (octet === SPACE || octet === TAB) {
      isAfterSpace = true;
    } else if (!isLineEnd(field, at)) {
      if (isAfterSpace && length > valueStart) out[length++] = SPACE;
      isAfterSpace = false;
      out[length++] = octet;
    }
  }
  out[length++] = CR;
  out[length++] = LF;
  return out.subarray(0, length);
}

/** LF ends a line with and without CR, because `mail/header.ts` sees fields like that; CR alone is an octet like others. */
function isLineEnd(field: Uint8Array, at: number): boolean {
  return field[at] === LF || (field[at] === CR && field[at + 1] === LF);
}

/** Takes octets of a canonical body in their order; a piece is valid only during the call. */
export type OctetSink = (piece: Uint8Array) => void;

/** Brings a body into canonical form while it streams in, with little memory whatever comes. */
export interface BodyCanonicalizer {
  /** Takes the next octets, cut anywhere. */
  push(piece: Uint8Array): void;
  /** The body is over; nothing may be pushed after it. */
  end(): void;
}

/** Begins a body. */
export function canonicalizeBody(canonicalization: Canonicalization, sink: OctetSink): BodyCanonicalizer {
  return canonicalization === "simple" ? new SimpleBody(sink) : new RelaxedBody(sink);
}

const CRLF = Uint8Array.of(CR, LF);
const CR_ALONE = Uint8Array.of(CR);
/** Empty lines held back go out in blocks of this many. */
const LINES_OF_BLOCK = 1024;
const EMPTY_LINES = new Uint8Array(2 * LINES_OF_BLOCK).map((_, at) => at % 2 === 0 ? CR : LF);

/** Line ends that are not yet known to be followed by anything: counted, not kept. */
class HeldLines {
  count = 0;
  readonly #sink: OctetSink;

  constructor(sink: OctetSink) {
    this.#sink = sink;
  }

  release(): void {
    for (; this.count > LINES_OF_BLOCK; this.count -= LINES_OF_BLOCK) this.#sink(EMPTY_LINES);
    if (this.count > 0) this.#sink(EMPTY_LINES.subarray(0, 2 * this.count));
    this.count = 0;
  }
}

/** RFC 6376 §3.4.3: as it is, with exactly one CRLF at the end, also of an empty body. */
class SimpleBody implements BodyCanonicalizer {
  readonly #sink: OctetSink;
  readonly #held: HeldLines;
  #hasHeldCr = false;

  constructor(sink: OctetSink) {
    this.#sink = sink;
    this.#held = new HeldLines(sink);
  }

  push(piece: Uint8Array): void {
    let start = 0;
    if (piece.length === 0) return;
    if (this.#hasHeldCr) {
      this.#hasHeldCr = false;
      if (piece[0] === LF) {
        this.#held.count++;
        start = 1;
      } else {
        this.#held.release();
        this.#sink(CR_ALONE);
      }
    }
    // Backwards over the line ends, and the first half of one, at the end of the piece.
    let end = piece.length;
    const endsWithCr = end > start && piece[end - 1] === CR;
    if (endsWithCr) end--;
    let lines = 0;
    for (; end - 2 >= start && piece[end - 1] === LF && piece[end - 2] === CR; end -= 2) lines++;
    if (end > start) {
      this.#held.release();
      this.#sink(piece.subarray(start, end));
    }
    this.#held.count += lines;
    this.#hasHeldCr = endsWithCr;
  }

  end(): void {
    if (this.#hasHeldCr) {
      this.#held.release();
      this.#sink(CR_ALONE);
    }
    this.#sink(CRLF);
  }
}

/** What is gathered before it goes to the sink. */
const BUFFER_OCTETS = 8192;

/** RFC 6376 §3.4.4: runs of white space become one space, none at line ends; one CRLF at the end, none of an empty body. */
class RelaxedBody implements BodyCanonicalizer {
  readonly #sink: OctetSink;
  readonly #held: HeldLines;
  readonly #buffer = new Uint8Array(BUFFER_OCTETS);
  #length = 0;
  #hasHeldSpace = false;
  #hasHeldCr = false;
  #isEmpty = true;

  constructor(sink: OctetSink) {
    this.#sink = sink;
    this.#held = new HeldLines(sink);
  }

  push(piece: Uint8Array): void {
    const buffer = this.#buffer;
    let length = this.#length;
    for (let at = 0; at < piece.length; at++) {
      const octet = piece[at] as number;
      if (octet > SPACE && !this.#isHolding) {
        buffer[length++] = octet;
        if (length === BUFFER_OCTETS) {
          this.#sink(buffer);
          length = 0;
        }
        continue;
      }
      this.#length = length;
      this.#take(octet);
      length = this.#length;
    }
    this.#length = length;
  }

  /** True where something has to go out, or to be dropped, before the next octet. */
  #isHolding = true;

  #take(octet: number): void {
    if (this.#hasHeldCr) {
      this.#hasHeldCr = false;
      if (octet === LF) {
        this.#hasHeldSpace = false;
        this.#held.count++;
        return;
      }
      this.#put(CR);
    }
    if (octet === SPACE || octet === TAB) {
      this.#hasHeldSpace = this.#isHolding = true;
    } else if (octet === CR) {
      this.#hasHeldCr = this.#isHolding = true;
    } else {
      this.#put(octet);
    }
  }

  /** An octet that stays, and so does all before it. */
  #put(octet: number): void {
    if (this.#held.count === 1) {
      this.#add(CR);
      this.#add(LF);
      this.#held.count = 0;
    } else if (this.#held.count > 1) {
      this.#flush();
      this.#held.release();
    }
    if (this.#hasHeldSpace) this.#add(SPACE);
    this.#hasHeldSpace = this.#isHolding = this.#isEmpty = false;
    this.#add(octet);
  }

  #add(octet: number): void {
    this.#buffer[this.#length++] = octet;
    if (this.#length === BUFFER_OCTETS) this.#flush();
  }

  #flush(): void {
    if (this.#length > 0) this.#sink(this.#buffer.subarray(0, this.#length));
    this.#length = 0;
  }

  end(): void {
    if (this.#hasHeldCr) this.#put(CR);
    this.#flush();
    if (!this.#isEmpty) this.#sink(CRLF);
  }
}
