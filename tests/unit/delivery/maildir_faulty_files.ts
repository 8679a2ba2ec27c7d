/** A disk that is full or broken when the test says so, and that remembers what was synced. */

import { type Files, type OpenFile, systemFiles } from "../../../lib/system/files.ts";

/** Operations that can be made to fail. */
export type FaultyOperation = "open" | "write" | "syncData" | "sync" | "rename" | "makeFolder" | "stat" | "list";

/** The error of a full disk, as Deno throws it. */
export function fullError(): Error {
  return Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
}

/** The error of a failing disk. */
export function brokenError(): Error {
  return Object.assign(new Error("Input/output error (os error 5)"), { code: "EIO" });
}

/** The files of the machine, with faults. */
export class FaultyFiles {
  /** Asked before each operation; an error that it returns is thrown. */
  fault: (operation: FaultyOperation, path: string) => Error | undefined = () => undefined;
  /** Operations done that change something, in order, e.g. `sync /x/new`. */
  readonly done: string[] = [];
  /** Operations done that only look, in order. */
  readonly looks: string[] = [];

  readonly files: Files = {
    ...systemFiles,
    open: async (path, options) => {
      // Opening to read is how a folder is opened for fsync.
      if (options.write) this.#enter("open", path);
      return this.#wrap(path, await systemFiles.open(path, options));
    },
    rename: async (from, to) => {
      this.#enter("rename", to);
      await systemFiles.rename(from, to);
    },
    makeFolder: async (path, mode) => {
      this.#enter("makeFolder", path);
      await systemFiles.makeFolder(path, mode);
    },
    stat: async (path) => {
      this.#look("stat", path);
      return await systemFiles.stat(path);
    },
    list: (path) => {
      this.#look("list", path);
      return systemFiles.list(path);
    },
  };

  #enter(operation: FaultyOperation, path: string): void {
    const error = this.fault(operation, path);
    if (error !== undefined) throw error;
    this.done.push(`${operation} ${path}`);
  }

  #look(operation: "stat" | "list", path: string): void {
    const error = this.fault(operation, path);
    if (error !== undefined) throw error;
    this.looks.push(`${operation} ${path}`);
  }

  #wrap(path: string, file: OpenFile): OpenFile {
    return {
      read: (into) => file.read(into),
      write: async (octets) => {
        const error = this.fault("write", path);
        // A full disk takes a part before it refuses.
        if (error !== undefined) await file.write(octets.subarray(0, octets.length / 2));
        this.#enter("write", path);
        // A short write: the rest has to be written by another call.
        return await file.write(octets.subarray(0, Math.max(1, octets.length - 3)));
      },
      seek: (offset, whence) => file.seek(offset, whence),
      syncData: async () => {
        this.#enter("syncData", path);
        await file.syncData();
      },
      sync: async () => {
        this.#enter("sync", path);
        await file.sync();
      },
      stat: () => file.stat(),
      truncate: (octets) => file.truncate(octets),
      close: () => file.close(),
    };
  }
}
