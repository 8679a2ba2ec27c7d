/** Looks at the header section of a message that streams by: keeps its begin for checks that need it, and measures it. */

const CR = 0x0d;
const LF = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
/** What lies further back is not looked at; real header sections are a hundred times smaller. */
const MAX_KEPT_OCTETS = 64 * 1024;

/** Sees octets up to the first empty line. */
export class HeaderWindow {
  #kept = new Uint8Array(2048);
  #length = 0;
  #isComplete = false;
  #octetCount = 0;
  #fieldCount = 0;
  /** Octets of the line that is not complete. */
  #lineOctets = 0;
  /** Its first one. */
  #lineStart = 0;

  /** Takes the next octets of the content; they are copied. */
  push(piece: Uint8Array): void {
    if (this.#isComplete) return;
    const end = this.#measure(piece);
    this.#octetCount += end;
    this.#keep(end === piece.length ? piece : piece.subarray(0, end));
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

  /** True where the header section goes on behind what is kept. */
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
    const wanted = this.#length + Math.min(piece.length, MAX_KEPT_OCTETS - this.#length);
    this.#reserve(wanted);
    this.#kept.set(piece.subarray(0, wanted - this.#length), this.#length);
    this.#length = wanted;
  }

  #reserve(octets: number): void {
    if (octets <= this.#kept.length) return;
    const larger = new Uint8Array(Math.max(octets, 2 * this.#kept.length));
    larger.set(this.octets());
    this.#kept = larger;
  }
}
