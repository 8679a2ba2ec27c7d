/**
 * Files of messages that are done, to be written over for new ones. To make a file and to remove it is what a spool asks most of
 * a disk: each takes an inode and blocks, and gives them back, through the journal of the file system; and ext4 makes every
 * new file look through the inodes that were freed within the last minutes. Octets that are written over octets need none of it.
 *
 * The one danger is a power loss that brings the old name back: it would lead to octets of another message. So a file is spare
 * only once the folder is synced in which it had that name. And the file itself says whose it is (`spool_file.ts`).
 */

import type { Clock } from "../system/clock.ts";
import type { Files } from "../system/files.ts";
import type { FolderSync, SyncMark } from "../system/folder_sync.ts";

/** What spare files are kept with. */
export interface SpareFilesOptions {
  /** Where they are; empty at the start. On the disk of the queue. */
  readonly folder: string;
  /** The disk. */
  readonly files: Files;
  /** That of the queue. */
  readonly sync: FolderSync;
  /** For how long nobody wanted one. */
  readonly clock: Clock;
  /** Removes a file; logs what goes wrong. Never rejects. */
  readonly discard: (path: string) => Promise<void>;
}

/** Kept at most: as many as wait where mail comes faster than it goes on for some seconds. */
const MAX_FILES = 4_096;
/** Of all of them on disk, so that they take little of it. */
const MAX_OCTETS = 32 * 1024 * 1024;
/** With the content of a longer message they would take too much of it. */
const MAX_CONTENT_OCTETS = 128 * 1024;
/** Files of short messages and those of long ones are kept apart: to cut a file or to make it longer takes the disk's journal, too. */
const SHORT_OCTETS = 16 * 1024;
/** Disks give room in such pieces. */
const BLOCK_OCTETS = 4 * 1024;
/** So many are removed before others have their turn. */
const DISCARDED_TOGETHER = 64;
const DISCARD_PAUSE_MS = 5;
/** Folders are synced for so many together. */
const BATCH = 16;
/** So many of a length are at hand before more are made ready. */
const AT_HAND = 64;
/** What nobody wanted from one look to the next is removed: mail that was delivered does not lie about. */
const LOOK_MS = 60_000;

/** A file whose message is done. */
interface Spare {
  readonly path: string;
  /** About what it takes of the disk. */
  readonly octets: number;
}

/** Files of about the same length that are durably without their old names. */
interface Shelf {
  readonly spares: Spare[];
  /** The least that there were since the last look. */
  unused: number;
}

/** A file that was put away. */
interface PutAway extends Spare {
  /** It had its name there. */
  readonly from: string;
  /** Of that folder, before. */
  readonly mark: SyncMark;
}

/** Keeps them. */
export class SpareFiles implements AsyncDisposable {
  readonly #options: SpareFilesOptions;
  readonly #short: Shelf = { spares: [], unused: 0 };
  readonly #long: Shelf = { spares: [], unused: 0 };
  #waiting: PutAway[] = [];
  #preparing: Promise<void> | undefined;
  #count = 0;
  #octets = 0;
  /** No name comes twice, not even of a start before: somebody may still want to remove that one. */
  #name: number;
  #sweeping: Promise<void> | undefined;
  readonly #end = new AbortController();

  /** There are none yet. */
  constructor(options: SpareFilesOptions) {
    this.#options = options;
    this.#name = options.clock.now();
  }

  /** True where a file with so much content is worth keeping. */
  wants(contentOctets: number): boolean {
    const isRoom = this.#count < MAX_FILES && this.#octets + onDisk(contentOctets) <= MAX_OCTETS;
    return contentOctets <= MAX_CONTENT_OCTETS && isRoom && !this.#end.signal.aborted;
  }

  /**
   * Takes a file out of its folder, whose message is done. Nobody may read it any more.
   *
   * @param from The folder.
   * @param contentOctets Which it `wants`.
   * @throws {Deno.errors} What the disk said; the file is where it was.
   */
  async keep(path: string, from: string, contentOctets: number): Promise<void> {
    const { files, folder, sync } = this.#options;
    const mark = sync.mark(from);
    const spare = { path: `${folder}/${this.#name++}`, octets: onDisk(contentOctets) };
    this.#count++;
    this.#octets += spare.octets;
    try {
      await files.rename(path, spare.path);
    } catch (error) {
      this.#forget(spare);
      throw error;
    }
    this.#waiting.push({ ...spare, from, mark });
    if (this.#waiting.length >= BATCH && this.#shelfOf(spare).spares.length < AT_HAND) {
      this.#preparing ??= this.#prepare();
    }
    this.#sweeping ??= this.#sweep();
  }

  /**
   * Gives a file away, with whatever is in it; undefined where there is none.
   *
   * @param contentOctets What it is for; a file of about that length is preferred.
   */
  take(contentOctets: number): string | undefined {
    const shelves = contentOctets <= SHORT_OCTETS ? [this.#short, this.#long] : [this.#long, this.#short];
    for (const shelf of shelves) {
      const spare = shelf.spares.pop();
      shelf.unused = Math.min(shelf.unused, shelf.spares.length);
      if (spare === undefined) continue;
      this.#forget(spare);
      return spare.path;
    }
    return undefined;
  }

  /** Removes all of them. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await Promise.all([this.#preparing, this.#sweeping]);
    for (const spares of [this.#short.spares, this.#long.spares, this.#waiting]) await this.#discard(spares.splice(0));
  }

  /** Never rejects. */
  async #prepare(): Promise<void> {
    const { sync } = this.#options;
    const batch = this.#waiting;
    this.#waiting = [];
    const synced = batch.map(async ({ path, octets, from, mark }) => {
      await sync.sync(from, mark);
      const spare = { path, octets };
      this.#shelfOf(spare).spares.push(spare);
    });
    const lost = (await Promise.allSettled(synced)).flatMap(({ status }, at) =>
      status === "rejected" ? batch[at] ?? [] : []
    );
    // What the disk lost, it tells once: they can never be trusted again.
    await this.#discard(lost);
    this.#preparing = undefined;
  }

  /** Removes what was not needed between two looks, until there is nothing left. Never rejects. */
  async #sweep(): Promise<void> {
    const { clock } = this.#options;
    try {
      while (this.#count > 0) {
        const shelves = [this.#short, this.#long];
        for (const shelf of shelves) shelf.unused = shelf.spares.length;
        await clock.sleep(LOOK_MS, this.#end.signal);
        const isIdle = shelves.every(({ spares, unused }) => unused === spares.length);
        for (const { spares, unused } of shelves) await this.#discardFirst(unused, () => spares);
        if (isIdle) await this.#discardFirst(this.#waiting.length, () => this.#waiting);
      }
    } catch {
      // The end.
    }
    this.#sweeping = undefined;
  }

  /** Those that came first. Mail that comes meanwhile does not wait until all are removed. */
  async #discardFirst(count: number, spares: () => Spare[]): Promise<void> {
    for (let left = count; left > 0; left -= DISCARDED_TOGETHER) {
      await this.#discard(spares().splice(0, Math.min(left, DISCARDED_TOGETHER)));
      if (left > DISCARDED_TOGETHER) await this.#options.clock.sleep(DISCARD_PAUSE_MS, this.#end.signal);
    }
  }

  async #discard(spares: readonly Spare[]): Promise<void> {
    for (const spare of spares) {
      await this.#options.discard(spare.path);
      this.#forget(spare);
    }
  }

  #shelfOf({ octets }: Spare): Shelf {
    return octets <= onDisk(SHORT_OCTETS) ? this.#short : this.#long;
  }

  #forget({ octets }: Spare): void {
    this.#count--;
    this.#octets -= octets;
  }
}

function onDisk(contentOctets: number): number {
  // There is a block, or most of one, of head and envelope.
  return Math.ceil(contentOctets / BLOCK_OCTETS + 1) * BLOCK_OCTETS;
}
