/** The clock of programs under test, wall clock and monotonic one, moved on by libfaketime while they run. */

import { programPath } from "./peers.ts";
import { pause } from "./wait.ts";

const DAY_MS = 86_400_000;
/** So long the programs may go on by what they have read: libfaketime counts its one second in whole ones. */
const CACHE_MS = 2_300;

/** A clock that is right but for a number of seconds, which a file holds for each program. */
export class ShiftedClock {
  readonly #files: readonly string[];
  #shiftMs = 0;

  private constructor(files: readonly string[]) {
    this.#files = files;
  }

  /**
   * Starts at a time of tomorrow in UTC, `HH:MM`.
   *
   * @param files Do not exist yet; one for each program. Whose file comes first is moved first: a program that begins to work when
   * it is moved needs the others to be there, or they find that it was silent for hours.
   */
  static async startAt(files: readonly string[], time: string): Promise<ShiftedClock> {
    const clock = new ShiftedClock(files);
    // Tomorrow: certificates that were made just now are valid then.
    await clock.moveTo(time, 1);
    return clock;
  }

  /** For the environment of the program that follows this file. */
  envOf(file: string): Readonly<Record<string, string>> {
    if (!this.#files.includes(file)) throw new RangeError(`No clock in ${file}`);
    // Where it reads the file at each look at the clock, one start of Deno in forty ends with SIGSEGV.
    return { LD_PRELOAD: programPath("libfaketime"), FAKETIME_TIMESTAMP_FILE: file, FAKETIME_CACHE_DURATION: "1" };
  }

  /** Milliseconds since 1970, as the programs see it. */
  now(): number {
    return Date.now() + this.#shiftMs;
  }

  /** The day as the programs see it, `2026-01-31`. */
  today(): string {
    return new Date(this.now()).toISOString().slice(0, 10);
  }

  /** Moves to a time, so many days after the day that it is there. */
  async moveTo(time: string, days = 0): Promise<void> {
    const midnight = Math.floor(this.now() / DAY_MS) * DAY_MS;
    const wantedMs = midnight + days * DAY_MS + Date.parse(`1970-01-01T${time}:00Z`);
    await this.moveBy((wantedMs - this.now()) / 1000);
  }

  /** Moves on; all programs know it when this resolves. */
  async moveBy(seconds: number): Promise<void> {
    this.#shiftMs += Math.round(seconds) * 1000;
    const shift = this.#shiftMs / 1000;
    for (const file of this.#files) {
      // Never half of it: the programs read it once a second.
      await Deno.writeTextFile(`${file}.new`, `${shift < 0 ? "" : "+"}${shift}\n`);
      await Deno.rename(`${file}.new`, file);
      await pause(CACHE_MS);
    }
  }
}
