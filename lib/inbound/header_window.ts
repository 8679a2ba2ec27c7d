/** Keeps the header section of a message that streams by, for checks that need it. */

const CR = 0x0d;
const LF = 0x0a;
/** What lies further back is not looked at; real header sections are a hundred times smaller. */
const MAX_OCTETS = 64 * 1024;

/** Collects octets up to the first empty line. */
export class HeaderWindow {
  #octets = new Uint8Array(2048);
  #length = 0;
  #isComplete = false;

  /** Takes the next octets of the content; they are copied. */
  push(piece: Uint8Array): void {
    if (this.#isComplete) return;
    const from = Math.max(0, this.#length - 3);
    const wanted = this.#length + Math.min(piece.length, MAX_OCTETS - this.#length);
    this.#reserve(wanted);
    this.#octets.set(piece.subarray(0, wanted - this.#length), this.#length);
    this.#length = wanted;
    const end = endOfHeaderSection(this.#octets, from, this.#length);
    if (end >= 0) this.#length = end;
    this.#isComplete = end >= 0 || this.#length === MAX_OCTETS;
  }

  /** True where the header section goes on behind what is kept. */
  get isCut(): boolean {
    return this.#length === MAX_OCTETS;
  }

  /** The header section, its last line end included. A view. */
  octets(): Uint8Array {
    return this.#octets.subarray(0, this.#length);
  }

  #reserve(octets: number): void {
    if (octets <= this.#octets.length) return;
    const larger = new Uint8Array(Math.max(octets, 2 * this.#octets.length));
    larger.set(this.octets());
    this.#octets = larger;
  }
}

/** The index behind the line end before the first empty line, or -1. */
function endOfHeaderSection(octets: Uint8Array, from: number, to: number): number {
  if (from === 0 && to >= 2 && octets[0] === CR && octets[1] === LF) return 0;
  for (let i = octets.indexOf(CR, from); i >= 0 && i + 3 < to; i = octets.indexOf(CR, i + 1)) {
    if (octets[i + 1] === LF && octets[i + 2] === CR && octets[i + 3] === LF) return i + 2;
  }
  return -1;
}
