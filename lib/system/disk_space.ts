/** The low-water mark of a file system: tells in time, and once, that it is getting full. */

import type { Logger } from "../log/logger.ts";
import type { Clock } from "./clock.ts";
import type { FreeSpace, ReadFreeSpace } from "./free_space.ts";

/** How much has to stay free: the smaller one where both are given. `octets: 0` switches everything off. */
export interface SpaceLimit {
  /** Octets. */
  readonly octets?: number;
  /** Of the file system, 0 to 100. */
  readonly percent?: number;
}

/** Whether something may be written. */
export interface Room {
  /**
   * Tells whether this many octets more leave as much free as has to stay. True where nothing is known: then the write
   * itself will tell.
   *
   * @returns At once, while the last answer of the system is not older than a second; else soon.
   */
  hasRoomFor(octets: number): boolean | Promise<boolean>;
}

/** What a {@link DiskSpace} needs. */
export interface DiskSpaceOptions {
  /** A folder on the file system. It may be missing. */
  readonly folder: string;
  /** Asks the system. */
  readonly read: ReadFreeSpace;
  /** The limit now; a reload may change it. */
  readonly limit: () => SpaceLimit;
  /** This part of the limit counts, 1 by default: who empties the disk goes on for longer than who fills it. */
  readonly share?: number;
  /** Measures the age of answers, and bounds the wait for one. */
  readonly clock: Clock;
  /** Hears when the room gets low, and when there is enough again. */
  readonly logger: Logger;
  /** What happens while the room is low, for the log. */
  readonly effect: string;
  /** What happens again afterwards, for the log. */
  readonly recovery: string;
}

const FRESH_MS = 1_000;
/** A disk that does not answer is no reason to let a session wait. */
const MAX_WAIT_MS = 1_000;
/** The room counts as enough again when it is so much more than the limit: the log would fill with ends and beginnings. */
const RECOVERY_FACTOR = 1.1;
/** So many files have to be possible on a file system with many inodes. */
const MAX_FILES_LIMIT = 1_000;
/** The part of all inodes, where the limit names octets only. */
const FILES_PERCENT = 2;

const NO_LIMIT = { octets: 0, files: 0 };

/** Watches one file system, whenever it is asked. */
export class DiskSpace implements Room {
  readonly #options: DiskSpaceOptions;
  #free: FreeSpace | undefined;
  #askedMs = -Infinity;
  #asking: Promise<void> | undefined;
  /** The system was asked and has not answered in time. */
  #isStuck = false;
  #isLow = false;
  #cannotTell = false;

  /** Asks nothing yet. */
  constructor(options: DiskSpaceOptions) {
    this.#options = options;
  }

  hasRoomFor(octets: number): boolean | Promise<boolean> {
    const isFresh = this.#options.clock.monotonic() - this.#askedMs < FRESH_MS;
    if (isFresh || this.#isStuck) return this.#answer(octets);
    this.#asking ??= this.#ask();
    return this.#asking.then(() => this.#answer(octets));
  }

  #answer(octets: number): boolean {
    if (this.#free === undefined) return true;
    const limit = this.#limit(this.#free);
    if (limit === NO_LIMIT) return true;
    return !this.#isLow && this.#free.octets - octets >= limit.octets;
  }

  async #ask(): Promise<void> {
    const { clock, folder, read } = this.#options;
    const answered = new AbortController();
    const asking = read(folder).then((free) => this.#note(free), (error) => this.#noteFailure(error)).finally(() => {
      this.#isStuck = false;
      this.#askedMs = clock.monotonic();
      answered.abort();
    });
    const waiting = clock.sleep(MAX_WAIT_MS, answered.signal).then(() => {
      this.#isStuck = true;
      this.#free = undefined;
    }, () => {});
    await Promise.race([asking, waiting]);
    this.#asking = undefined;
  }

  #note(free: FreeSpace): void {
    const { logger, folder, effect, recovery } = this.#options;
    this.#free = free;
    this.#cannotTell = false;
    const limit = this.#limit(free);
    const factor = this.#isLow ? RECOVERY_FACTOR : 1;
    const isLow = free.octets < Math.floor(limit.octets * factor) ||
      (free.files ?? Infinity) < Math.floor(limit.files * factor);
    if (isLow === this.#isLow) return;
    this.#isLow = isLow;
    const fields = { folder, free: spaceText(free), limit: spaceText(limit) };
    if (isLow) {
      logger.warning("Little room on the disk of {folder}: {free} left, the limit is {limit}; {effect}", {
        ...fields,
        effect,
      });
    } else {
      logger.info("Room again on the disk of {folder}: {free} left, the limit is {limit}; {recovery}", {
        ...fields,
        recovery,
      });
    }
  }

  #noteFailure(error: unknown): void {
    const { logger, folder } = this.#options;
    this.#free = undefined;
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (this.#cannotTell || isMissing) return;
    this.#cannotTell = true;
    logger.warning("Cannot tell how much room is left on the disk of {folder}, going on without: {reason}", {
      folder,
      reason: error instanceof Error ? error.message : String(error),
    });
  }

  /** What has to stay free on this file system. */
  #limit({ totalOctets, totalFiles }: FreeSpace): { readonly octets: number; readonly files: number } {
    const { limit, share = 1 } = this.#options;
    const { octets = Infinity, percent = 100 } = limit();
    if (octets === 0) return NO_LIMIT;
    const filesPercent = limit().percent ?? FILES_PERCENT;
    return {
      octets: Math.floor(Math.min(octets, totalOctets * percent / 100) * share),
      files: Math.floor(Math.min(MAX_FILES_LIMIT, (totalFiles ?? 0) * filesPercent / 100) * share),
    };
  }
}

/** `1.5 MiB and 300 files`. */
function spaceText({ octets, files }: { readonly octets: number; readonly files?: number }): string {
  const exponent = Math.min(3, Math.max(0, Math.floor(Math.log2(Math.max(1, octets)) / 10)));
  const size = `${+(octets / 1024 ** exponent).toFixed(1)} ${["octets", "KiB", "MiB", "GiB"][exponent]}`;
  return files === undefined ? size : `${size} and ${files} files`;
}
