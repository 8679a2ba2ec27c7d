/** Keeps the header section of a message that streams by, for what has to be decided before the rest goes on, and measures it. */

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
/** Kept of every message; real header sections are ten times smaller. */
const USUAL_OCTETS = 64 * 1024;

/** Memory that all sessions share. */
export class SharedMemory {
  #freeOctets: number;

  /**
   * All of it is free.
   *
   * @param octets How much there is.
   */
  constructor(octets: number) {
    this.#freeOctets = octets;
  }

  /** Takes some; false where there is not enough. @param octets Negative: gives it back. */
  reserve(octets: number): boolean {
    if (octets > this.#freeOctets) return false;
    this.#freeOctets -= octets;
    return true;
  }
}

/** Sees octets up to the first empty line. */
export class HeaderWindow implements Disposable {
  readonly #memory: SharedMemory;
  readonly #maxOctets: number;
  #reserved = 0;
  #kept = new Uint8Array(2048);
  #length = 0;
  #isComplete = false;
  #octetCount = 0;
  #fieldCount = 0;
  /** Octets of the line that is not complete. */
  #lineOctets = 0;
  /** Its first one. */
  #lineStart = 0;

  /**
   * Keeps nothing yet.
   *
   * @param memory For header sections that are longer than usual.
   * @param maxOctets How much is kept at most; what is longer is not accepted.
   */
  constructor(memory: SharedMemory, maxOctets: number) {
    this.#memory = memory;
    this.#maxOctets = maxOctets;
  }

  /**
   * Takes the next octets of the content; those of the header section are copied.
   *
   * @returns What is behind the header section, from the empty line on; undefined while that has not come.
   */
  push(piece: Uint8Array): Uint8Array | undefined {
    if (this.#isComplete) return piece;
    const isBehindCr = this.#lineOctets > 0;
    const end = this.#measure(piece);
    this.#octetCount += end;
    this.#keep(end === piece.length ? piece : piece.subarray(0, end));
    if (!this.#isComplete) return undefined;
    const rest = piece.subarray(end);
    return isBehindCr && rest[0] === LF ? behindCr(rest) : rest;
  }

  /** Gives memory back. */
  [Symbol.dispose](): void {
    this.#memory.reserve(-this.#reserved);
    this.#reserved = 0;
  }

  /** True once the empty line behind it was seen. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Octets of the header section, so far or in all; the empty line behind it is not counted once it was seen. */
  get octetCount(): number {
    return this.#octetCount;
  }

  /** Its fields: lines that do not begin with white space (RFC 5322 §2.2.3). */
  get fieldCount(): number {
    return this.#fieldCount;
  }

  /** True where some of the header section is not kept: it is too long, or there is no memory for it. */
  get isCut(): boolean {
    return this.#octetCount > this.#length;
  }

  /** The header section, its last line end included, or what is kept of it. A view. */
  octets(): Uint8Array {
    return this.#kept.subarray(0, this.#length);
  }

  /** Counts lines. @returns How many octets of the piece are before the empty line. */
  #measure(piece: Uint8Array): number {
    for (let from = 0; from < piece.length;) {
      if (this.#lineOctets === 0) this.#beginLine(piece[from] as number);
      const lf = piece.indexOf(LF, from);
      if (lf < 0) {
        this.#lineOctets += piece.length - from;
        break;
      }
      const isEmpty = this.#lineOctets + lf - from === 1 && this.#lineStart === CR;
      if (isEmpty) return this.#endSection(from);
      this.#lineOctets = 0;
      from = lf + 1;
    }
    return piece.length;
  }

  #beginLine(octet: number): void {
    this.#lineStart = octet;
    if (octet !== SPACE && octet !== TAB && octet !== CR) this.#fieldCount++;
  }

  /** The CR of the empty line may have come, and been kept, with the piece before. */
  #endSection(from: number): number {
    this.#isComplete = true;
    if (this.#lineOctets > 0) {
      this.#octetCount -= this.#lineOctets;
      this.#length = Math.min(this.#length, this.#octetCount);
    }
    return from;
  }

  #keep(piece: Uint8Array): void {
    // What was not kept once is lost.
    const isLost = this.#octetCount - piece.length > this.#length;
    const isLong = this.#reserved > 0 || (this.#octetCount > USUAL_OCTETS && !isLost && this.#takeMemory());
    const most = isLong ? this.#maxOctets : Math.min(USUAL_OCTETS, this.#maxOctets);
    const wanted = this.#length + Math.min(piece.length, most - this.#length);
    this.#reserve(wanted);
    this.#kept.set(piece.subarray(0, wanted - this.#length), this.#length);
    this.#length = wanted;
  }

  #takeMemory(): boolean {
    if (!this.#memory.reserve(this.#maxOctets)) return false;
    this.#reserved = this.#maxOctets;
    return true;
  }

  #reserve(octets: number): void {
    if (octets <= this.#kept.length) return;
    const larger = new Uint8Array(Math.max(octets, 2 * this.#kept.length));
    larger.set(this.octets());
    this.#kept = larger;
  }
}

/** The CR was kept with the piece before. */
function behindCr(rest: Uint8Array): Uint8Array {
  const whole = new Uint8Array(1 + rest.length);
  whole[0] = CR;
  whole.set(rest, 1);
  return whole;
}
