/** Which folders are on disks of this machine, and not on a file system that a server far away, or a program, answers for. */

import { promises } from "node:fs";
import type { Clock } from "./clock.ts";

/** Tells the type of the file system that a folder is on, as statfs(2) has it; in a thread, because it may take for ever. */
export type ReadFileSystemType = (folder: string) => Promise<number>;

/** What knowledge of folders comes from. */
export interface LocalFoldersOptions {
  /** Rejects where the folder is not there; undefined where the runtime cannot tell. */
  readonly readType: ReadFileSystemType | undefined;
  /** Its monotonic time is used. */
  readonly clock: Pick<Clock, "monotonic">;
}

/**
 * Asks this machine; undefined where the runtime cannot. Not `/proc/self/mountinfo`, which would name all mounts at once: Deno
 * gives it to programs with all permissions only.
 */
export const systemFileSystemType: ReadFileSystemType | undefined = typeof promises.statfs === "function"
  ? async (folder): Promise<number> => (await promises.statfs(folder)).type
  : undefined;

/** From statfs(2) and linux/magic.h. What is not among them may wait for somebody: NFS, FUSE, clusters, mounts on demand. */
const LOCAL_TYPES: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // xfs
  0x9123683e, // btrfs
  0x2fc12fc1, // zfs
  0xf2f52010, // f2fs
  0xca451a4e, // bcachefs
  0x01021994, // tmpfs
  0x858458f6, // ramfs
  0x794c7630, // overlayfs
  0x3153464a, // jfs
  0x52654973, // reiserfs
  0x3434, // nilfs2
  0x4d44, // vfat
  0x2011bab0, // exfat
]);
/** A folder is asked about again after this time: something may have been mounted there. */
const FRESH_MS = 60_000;
/** Folders that are remembered. */
const MAX_FOLDERS = 10_000;

/** Knows folders. */
export class LocalFolders {
  readonly #options: LocalFoldersOptions;
  readonly #folders = new Map<string, { readonly isLocal: boolean; readonly untilMs: number }>();
  /** It is being found out. One that never ends is not asked for again. */
  readonly #asked = new Set<string>();

  /** Asks nothing yet. */
  constructor(options: LocalFoldersOptions) {
    this.#options = options;
  }

  /** Whether a folder is surely on a disk of this machine. False also where that has still to be found out, which is done now. */
  isLocal(folder: string): boolean {
    const known = this.#folders.get(folder);
    if (known !== undefined && this.#options.clock.monotonic() < known.untilMs) return known.isLocal;
    if (!this.#asked.has(folder)) this.#findOut(folder);
    return false;
  }

  #findOut(folder: string): void {
    const { readType, clock } = this.#options;
    if (readType === undefined || this.#asked.size >= MAX_FOLDERS) return;
    this.#asked.add(folder);
    readType(folder).then((type) => {
      if (this.#folders.size >= MAX_FOLDERS) this.#folders.clear();
      this.#folders.set(folder, { isLocal: LOCAL_TYPES.has(type), untilMs: clock.monotonic() + FRESH_MS });
    }, () => undefined).finally(() => this.#asked.delete(folder));
  }
}
