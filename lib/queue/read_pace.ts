/**
 * How very many small files are read fast, while the server goes on with its other work.
 *
 * A file that the system has in memory is read in less time than it takes to hand the work to another thread. So files are
 * read one by one, in short slices, between which others have their turn. Where the disk has to be waited for, many files
 * at the same time are faster, and nobody else must stand still meanwhile.
 */

import type { Clock } from "../system/clock.ts";

/** The longest time for which everything else stands still, but for the reading of one file. */
const SLICE_MS = 3;
/** A reading that takes so long waited for the disk; from memory it takes a fifth of that. */
const SLOW_READ_MS = 0.08;
/** What one reading counts among those before it. */
const WEIGHT = 0.1;
/** Files read in the background before the disk gets another chance. */
const SLOW_BATCH = 512;

/** Says what to read at once, and what in the background. */
export class ReadPace {
  readonly #clock: Pick<Clock, "monotonic">;
  #sliceEndMs = -Infinity;
  /** The part of late readings that were slow. One alone says little: the whole process may have had to wait. */
  #slowPart = 0;

  /** Takes the time. */
  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  /** True while another file may be read at once. */
  get isQuick(): boolean {
    return this.#slowPart < 0.5 && this.#clock.monotonic() < this.#sliceEndMs;
  }

  /** Files to read in the background now: one is a pause for the others, many mean that the disk is waited for. */
  get inBackground(): number {
    return this.#slowPart < 0.5 ? 1 : SLOW_BATCH;
  }

  /** Reads a file at once. */
  read<T>(read: () => T): T {
    const beganMs = this.#clock.monotonic();
    try {
      return read();
    } finally {
      const isSlow = this.#clock.monotonic() - beganMs > SLOW_READ_MS;
      this.#slowPart += WEIGHT * ((isSlow ? 1 : 0) - this.#slowPart);
    }
  }

  /** Begins another slice: where the disk was slow until now, its first file tells whether it still is. */
  resume(): void {
    this.#slowPart = Math.min(this.#slowPart, 0.5 - WEIGHT / 4);
    this.#sliceEndMs = this.#clock.monotonic() + SLICE_MS;
  }
}
