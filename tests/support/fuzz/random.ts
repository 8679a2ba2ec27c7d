/** Random numbers that a seed determines: any case of a campaign can be made again alone. */

/** A source of choices (mulberry32: fast, and good enough to choose test cases). */
export class Random {
  #state: number;

  /** The same seed and index give the same choices. */
  constructor(seed: number, index = 0) {
    this.#state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35)) | 0;
    this.#next();
  }

  /** A number from 0 to `bound - 1`. */
  below(bound: number): number {
    return Math.floor(this.#next() / 0x1_0000_0000 * bound);
  }

  /** A number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True in so many of 100 cases. */
  percent(chance: number): boolean {
    return this.below(100) < chance;
  }

  /** One of these. */
  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  /** Octets, one a character. */
  octets(most: number): string {
    let text = "";
    for (let left = this.below(most + 1); left > 0; left--) text += String.fromCharCode(this.below(256));
    return text;
  }

  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
}
