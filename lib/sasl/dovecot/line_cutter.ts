/** Cuts lines from octets that arrive in any pieces. */

import { DovecotProtocolError, MAX_LINE_OCTETS } from "./line.ts";

const LF = 0x0a;

/** Keeps what is not yet a line, in bounded memory. */
export class LineCutter {
  #rest: Uint8Array = new Uint8Array(0);

  /**
   * Takes octets and gives each line that is complete to `take`, without its LF.
   *
   * @throws {DovecotProtocolError} For a line that is too long, complete or not; and whatever `take` throws.
   */
  push(octets: Uint8Array, take: (line: Uint8Array) => void): void {
    let start = 0;
    for (let end = octets.indexOf(LF); end >= 0; end = octets.indexOf(LF, start)) {
      const line = this.#joined(octets.subarray(start, end));
      this.#rest = new Uint8Array(0);
      start = end + 1;
      take(line);
    }
    this.#rest = this.#joined(octets.slice(start));
  }

  #joined(octets: Uint8Array): Uint8Array {
    const length = this.#rest.length + octets.length;
    if (length >= MAX_LINE_OCTETS) throw new DovecotProtocolError("it sends a line that is too long");
    if (this.#rest.length === 0) return octets;
    const joined = new Uint8Array(length);
    joined.set(this.#rest);
    joined.set(octets, this.#rest.length);
    return joined;
  }
}
