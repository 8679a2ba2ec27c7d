/**
 * Folder fsync that concurrent callers share. A rename is durable only once its folder is synced; with many messages
 * at a time one fsync serves them all. Spool and Maildir use one instance each, or the same one.
 */

import { type Clock, systemClock } from "./clock.ts";
import { errorAt, type Files, type OpenFile } from "./files.ts";

/** Bounds of a {@link FolderSync}. */
export interface FolderSyncOptions {
  /** Idle folders kept open, at most; 256 by default. Busy ones may exceed it until they are done. */
  readonly maxOpenFolders?: number;
  /**
   * A folder is opened anew after this time, 1 s by default: fsync on a folder that was removed or replaced meanwhile
   * reports no error.
   */
  readonly maxOpenMs?: number;
  /** The clock of the machine by default. */
  readonly clock?: Clock;
}

interface Folder {
  readonly path: string;
  handle?: OpenFile | undefined;
  openedMs: number;
  /** The round under way. */
  running?: Promise<void> | undefined;
  /** The round that begins when the running one is over; everybody who asks meanwhile joins it. */
  waiting?: Promise<void> | undefined;
  /** Set while a round runs on a handle that must not serve the next one. */
  isStale: boolean;
}

/** What is known of the fsyncs of a folder at some time. */
export type SyncMark = number;

/** Folders whose last failure is remembered, each by itself. */
const MAX_FAILURES = 1_000;

/** Syncs folders: for each, at most one fsync runs and one waits. */
export class FolderSync implements AsyncDisposable {
  readonly #files: Files;
  readonly #maxOpenFolders: number;
  readonly #maxOpenMs: number;
  readonly #clock: Clock;
  /** In the order of last use. */
  readonly #folders = new Map<string, Folder>();
  /** When an fsync of a folder failed last: the how-manieth failure it was. */
  readonly #failures = new Map<string, number>();
  #failureCount = 0;
  /** The last failure that is not remembered by its folder. */
  #forgotten = 0;
  #isClosed = false;

  /** Opens nothing yet. */
  constructor(files: Files, options: FolderSyncOptions = {}) {
    this.#files = files;
    this.#maxOpenFolders = options.maxOpenFolders ?? 256;
    this.#maxOpenMs = options.maxOpenMs ?? 1000;
    this.#clock = options.clock ?? systemClock;
  }

  /** To be taken before something is changed in the folder, for `sync`. */
  mark(folder: string): SyncMark {
    return this.#failures.get(folder) ?? this.#forgotten;
  }

  /**
   * Makes durable what was renamed, created or removed in the folder before the call: when it resolves, an fsync that
   * began after the call has succeeded.
   *
   * @param mark From before the change. An fsync that was under way then, and failed before this call, may have lost the change,
   * and the kernel tells that once: then this fails, too. Absent: the caller has seen no change that it could have lost.
   * @throws {Deno.errors} What the disk said, to everybody who waited for that fsync or for the one behind it. The next
   * call opens the folder anew.
   */
  sync(folder: string, mark?: SyncMark): Promise<void> {
    if (this.#isClosed) return Promise.reject(new TypeError(`Cannot sync folder "${folder}": closed`));
    if (mark !== undefined && mark !== this.mark(folder)) {
      return Promise.reject(
        new Error(`Cannot sync folder "${folder}": an fsync failed meanwhile, and may have lost the change`),
      );
    }
    const entry = this.#use(folder);
    if (entry.waiting !== undefined) return entry.waiting;
    if (entry.running === undefined) return this.#start(entry);
    entry.waiting = entry.running.then(() => this.#start(entry), (error) => {
      // The kernel reports an error once: a second fsync that succeeds proves nothing about what was lost before it.
      entry.waiting = undefined;
      throw error;
    });
    return entry.waiting;
  }

  /** Tells that the folder was made anew or removed: an older handle is not used for any later call of `sync`. */
  forget(folder: string): void {
    const entry = this.#folders.get(folder);
    if (entry === undefined) return;
    if (entry.running !== undefined) entry.isStale = true;
    else this.#close(entry);
  }

  /** Waits for the rounds under way and closes the folders. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    for (const entry of this.#folders.values()) {
      while (entry.waiting !== undefined || entry.running !== undefined) {
        await Promise.allSettled([entry.waiting, entry.running]);
      }
      this.#close(entry);
    }
    this.#folders.clear();
  }

  #use(path: string): Folder {
    const known = this.#folders.get(path);
    const entry = known ?? { path, openedMs: 0, isStale: false };
    if (known !== undefined) this.#folders.delete(path);
    this.#folders.set(path, entry);
    return entry;
  }

  #start(entry: Folder): Promise<void> {
    entry.waiting = undefined;
    entry.running = this.#round(entry);
    return entry.running;
  }

  async #round(entry: Folder): Promise<void> {
    try {
      if (this.#clock.monotonic() - entry.openedMs >= this.#maxOpenMs) this.#close(entry);
      if (entry.handle === undefined) {
        entry.handle = await this.#files.open(entry.path, { read: true });
        entry.openedMs = this.#clock.monotonic();
      }
      await entry.handle.sync();
    } catch (error) {
      // After a failed fsync the kernel may call the pages clean: only a new handle, asked again, can be believed.
      entry.isStale = true;
      this.#noteFailure(entry.path);
      throw errorAt(entry.path, "sync folder", error);
    } finally {
      entry.running = undefined;
      if (entry.isStale) this.#close(entry);
      this.#trim();
    }
  }

  #noteFailure(folder: string): void {
    this.#failureCount++;
    if (this.#failures.size >= MAX_FAILURES) {
      this.#failures.clear();
      this.#forgotten = this.#failureCount;
    }
    this.#failures.set(folder, this.#failureCount);
  }

  #close(entry: Folder): void {
    entry.handle?.close();
    entry.handle = undefined;
    entry.isStale = false;
  }

  /** Closes the folders used longest ago, down to the bound. */
  #trim(): void {
    if (this.#folders.size <= this.#maxOpenFolders) return;
    for (const entry of this.#folders.values()) {
      if (entry.running !== undefined || entry.waiting !== undefined) continue;
      this.#close(entry);
      this.#folders.delete(entry.path);
      if (this.#folders.size <= this.#maxOpenFolders) return;
    }
  }
}
