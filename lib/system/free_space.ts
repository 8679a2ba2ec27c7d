/** How much room is left on a file system. */

import { promises } from "node:fs";

/** What a file system has left for us. What it keeps for root does not count. */
export interface FreeSpace {
  /** Octets. */
  readonly octets: number;
  /** Octets of the whole file system. */
  readonly totalOctets: number;
  /** How many files can be made; absent where no fixed number of inodes limits that. */
  readonly files?: number;
  /** Inodes of the whole file system; there with `files`. */
  readonly totalFiles?: number;
}

/** Asks the file system that a folder is on. @throws {Error} With the system's `code`, e.g. `ENOENT`. */
export type ReadFreeSpace = (folder: string) => Promise<FreeSpace>;

/** What Deno's `node:fs` gives. */
interface StatFs {
  readonly bsize: number;
  /** The unit of the counts; absent before Deno 2.8, where `bsize` has to do. */
  readonly frsize?: number;
  readonly blocks: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
}

/** Asks this machine; undefined where the runtime cannot. */
export const systemFreeSpace: ReadFreeSpace | undefined = typeof promises.statfs === "function"
  ? async (folder): Promise<FreeSpace> => {
    const { bsize, frsize = bsize, blocks, bavail, files, ffree }: StatFs = await promises.statfs(folder);
    const space = { octets: bavail * frsize, totalOctets: blocks * frsize };
    // btrfs and others have no table of inodes and say 0 of 0.
    return files > 0 ? { ...space, files: ffree, totalFiles: files } : space;
  }
  : undefined;
