/**
 * The file system of the machine, without a thread for what takes some microseconds. Handing a call to a thread and back costs
 * more than opening, writing or renaming a small file in the memory of the kernel; what waits for the disk (fsync, long writes)
 * or may wait for another program (a pipe) goes to a thread always, and everything does where calls are slow, or a server far
 * away answers them.
 */

import type { Clock } from "./clock.ts";
import { type Files, type OpenFile, parentOf } from "./files.ts";

/** Calls that end before they return, and throw what the disk said. */
export interface BlockingCalls {
  /** As {@linkcode Files.open}. */
  open(path: string, options: Deno.OpenOptions): BlockingFile;
  /** As {@linkcode Files.rename}. */
  rename(from: string, to: string): void;
  /** As {@linkcode Files.remove}. */
  remove(path: string): void;
}

/** An open file that can also be written without a thread. `Deno.FsFile` is one. */
export interface BlockingFile extends OpenFile {
  /** Returns how many octets were taken. */
  writeSync(octets: Uint8Array): number;
  /** As `stat`. */
  statSync(): Awaited<ReturnType<OpenFile["stat"]>>;
}

/** The calls of the runtime. */
export const blockingCalls: BlockingCalls = {
  open: (path, options) => Deno.openSync(path, options),
  rename: (from, to) => Deno.renameSync(from, to),
  remove: (path) => Deno.removeSync(path),
};

/** What quick files are made of. */
export interface QuickFilesOptions {
  /** Each call in a thread of its own. */
  readonly files: Files;
  /** Calls without a thread. */
  readonly calls: BlockingCalls;
  /** Its monotonic time is used. */
  readonly clock: Pick<Clock, "monotonic">;
  /** Whether nobody far away answers for what is in this folder. */
  readonly isLocal: (folder: string) => boolean;
}

/** Longer writes go to a thread: the kernel makes who writes much wait for the disk. */
const MAX_QUICK_OCTETS = 64 * 1024;
/** Calls are slow when they take so long on average; usual are 0.01 to 0.1 ms, and some 20 ms where the machine is overloaded. */
const SLOW_MS = 5;
/** A single call that is this slow weighs as much as it takes to be slow on average. */
const WEIGHT = 1 / 32;
/** Then threads do them for so long. */
const SLOW_FOR_MS = 5_000;

/** Makes them. Nothing about errors, order or durability is other than in `files`. */
export function quickFiles({ files, calls, clock, isLocal }: QuickFilesOptions): Files {
  const pace = new Pace(clock);
  return {
    ...files,
    open(path, options): Promise<OpenFile> {
      if (!endsAtOnce(options) || !pace.isQuick() || !isLocal(parentOf(path))) return files.open(path, options);
      return pace.run(() => new QuickFile(calls.open(path, options), pace));
    },
    rename(from, to): Promise<void> {
      if (!pace.isQuick() || !isLocal(parentOf(from)) || !isLocal(parentOf(to))) return files.rename(from, to);
      return pace.run(() => calls.rename(from, to));
    },
    remove(path): Promise<void> {
      if (!pace.isQuick() || !isLocal(parentOf(path))) return files.remove(path);
      return pace.run(() => calls.remove(path));
    },
  };
}

/**
 * Whether opening waits for nobody even where there is a pipe: it must be new, or is opened at both ends (fifo(7)). Users can
 * put pipes into their mailboxes, in the moment between a look and the opening as well.
 */
function endsAtOnce({ createNew = false, read = false, write = false, append = false }: Deno.OpenOptions): boolean {
  return createNew || (read && (write || append));
}

/** How long calls without a thread take: they hold up everybody. */
class Pace {
  readonly #clock: Pick<Clock, "monotonic">;
  #averageMs = 0;
  #slowUntilMs = 0;

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  isQuick(): boolean {
    if (this.#slowUntilMs === 0) return true;
    if (this.#clock.monotonic() < this.#slowUntilMs) return false;
    this.#slowUntilMs = this.#averageMs = 0;
    return true;
  }

  run<T>(call: () => T): Promise<T> {
    const fromMs = this.#clock.monotonic();
    try {
      return Promise.resolve(call());
    } catch (error) {
      return Promise.reject(error);
    } finally {
      this.#note(fromMs);
    }
  }

  #note(fromMs: number): void {
    const nowMs = this.#clock.monotonic();
    this.#averageMs += (nowMs - fromMs - this.#averageMs) * WEIGHT;
    if (this.#averageMs > SLOW_MS) this.#slowUntilMs = nowMs + SLOW_FOR_MS;
  }
}

/** A file that was opened without a thread. */
class QuickFile implements OpenFile {
  readonly #file: BlockingFile;
  readonly #pace: Pace;
  readonly tryLock?: (exclusive: boolean) => Promise<boolean>;
  readonly lock?: (exclusive: boolean) => Promise<void>;

  constructor(file: BlockingFile, pace: Pace) {
    this.#file = file;
    this.#pace = pace;
    if (file.tryLock !== undefined) this.tryLock = file.tryLock.bind(file);
    if (file.lock !== undefined) this.lock = file.lock.bind(file);
  }

  write(octets: Uint8Array): Promise<number> {
    if (octets.length > MAX_QUICK_OCTETS || !this.#pace.isQuick()) return this.#file.write(octets);
    return this.#pace.run(() => this.#file.writeSync(octets));
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.#file.read(into);
  }

  seek(offset: number, whence: Deno.SeekMode): Promise<number> {
    return this.#file.seek(offset, whence);
  }

  syncData(): Promise<void> {
    return this.#file.syncData();
  }

  sync(): Promise<void> {
    return this.#file.sync();
  }

  stat(): ReturnType<OpenFile["stat"]> {
    return this.#pace.isQuick() ? this.#pace.run(() => this.#file.statSync()) : this.#file.stat();
  }

  truncate(octets: number): Promise<void> {
    return this.#file.truncate(octets);
  }

  close(): void {
    this.#file.close();
  }
}
