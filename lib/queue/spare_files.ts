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

/** Kept at most, so that they take little of the disk. */
const MAX_FILES = 512;
/** With the content of a longer message they would take too much of it. */
const MAX_CONTENT_OCTETS = 32 * 1024;
/** Folders are synced for so many together. */
const BATCH = 16;
/** So many are at hand before more are made ready. */
const AT_HAND = 64;
/** What nobody wanted from one look to the next is removed: mail that was delivered does not lie about. */
const LOOK_MS = 60_000;

/** A file that was put away. */
interface PutAway {
  readonly path: string;
  /** It had its name there. */
  readonly from: string;
  /** Of that folder, before. */
  readonly mark: SyncMark;
}

/** Keeps them. */
export class SpareFiles implements AsyncDisposable {
  readonly #options: SpareFilesOptions;
  /** Durably without their old names. */
  #ready: string[] = [];
  #waiting: PutAway[] = [];
  #preparing: Promise<void> | undefined;
  #count = 0;
  /** No name comes twice, not even of a start before: somebody may still want to remove that one. */
  #name: number;
  /** The least that were ready since the last look. */
  #unused = 0;
  #sweeping: Promise<void> | undefined;
  readonly #end = new AbortController();

  /** There are none yet. */
  constructor(options: SpareFilesOptions) {
    this.#options = options;
    this.#name = options.clock.now();
  }

  /** True where a file with so much content is worth keeping. */
  wants(contentOctets: number): boolean {
    return contentOctets <= MAX_CONTENT_OCTETS && this.#count < MAX_FILES && !this.#end.signal.aborted;
  }

  /**
   * Takes a file out of its folder, whose message is done. Nobody may read it any more.
   *
   * @param from The folder.
   * @throws {Deno.errors} What the disk said; the file is where it was.
   */
  async keep(path: string, from: string): Promise<void> {
    const { files, folder, sync } = this.#options;
    const mark = sync.mark(from);
    const spare = `${folder}/${this.#name++}`;
    this.#count++;
    try {
      await files.rename(path, spare);
    } catch (error) {
      this.#count--;
      throw error;
    }
    this.#waiting.push({ path: spare, from, mark });
    if (this.#waiting.length >= BATCH && this.#ready.length < AT_HAND) this.#preparing ??= this.#prepare();
    this.#sweeping ??= this.#sweep();
  }

  /** Gives a file away, with whatever is in it; undefined where there is none. */
  take(): string | undefined {
    const path = this.#ready.pop();
    if (path !== undefined) this.#count--;
    this.#unused = Math.min(this.#unused, this.#ready.length);
    return path;
  }

  /** Removes all of them. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await Promise.all([this.#preparing, this.#sweeping]);
    await this.#discard([...this.#ready, ...this.#waiting.map(({ path }) => path)]);
    this.#ready = [];
    this.#waiting = [];
  }

  /** Never rejects. */
  async #prepare(): Promise<void> {
    const { sync } = this.#options;
    const batch = this.#waiting;
    this.#waiting = [];
    const synced = batch.map(async ({ path, from, mark }) => {
      await sync.sync(from, mark);
      this.#ready.push(path);
    });
    const lost = (await Promise.allSettled(synced)).flatMap(({ status }, at) =>
      status === "rejected" ? batch[at]?.path ?? [] : []
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
        this.#unused = this.#ready.length;
        await clock.sleep(LOOK_MS, this.#end.signal);
        const isIdle = this.#unused === this.#ready.length;
        await this.#discard(this.#ready.splice(0, this.#unused));
        if (isIdle) await this.#discard(this.#waiting.splice(0).map(({ path }) => path));
      }
    } catch {
      // The end.
    }
    this.#sweeping = undefined;
  }

  async #discard(paths: readonly string[]): Promise<void> {
    for (const path of paths) await this.#options.discard(path);
    this.#count -= paths.length;
  }
}
