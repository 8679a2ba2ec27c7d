/**
 * Makes renames durable: fsync of a folder, shared by all who ask for it at the same time. One sync runs, one waits, and
 * everybody who comes meanwhile joins the one that waits, because the running one may have begun before their rename.
 */

import type { Files, OpenFile } from "../system/files.ts";

interface Folder {
  handle?: OpenFile;
  running?: Promise<void> | undefined;
  waiting?: Promise<void> | undefined;
}

/** Recent folders stay open; older ones are closed once they are idle. */
const MAX_OPEN_FOLDERS = 8;

/** Syncs folders, one sync at a time for each. */
export class FolderSync implements Disposable {
  readonly #files: Files;
  readonly #folders: Map<string, Folder> = new Map();
  #isClosed = false;

  /** Takes the file system. */
  constructor(files: Files) {
    this.#files = files;
  }

  /**
   * Resolves when everything that happened in the folder before the call is durable.
   *
   * A sync that fails fails for those who wait for the next one too: the kernel reports an error once, so a second sync
   * that succeeds proves nothing about what was lost before it.
   */
  sync(path: string): Promise<void> {
    if (this.#isClosed) return Promise.reject(new TypeError(`Cannot sync folder "${path}": the spool is closed`));
    let folder = this.#folders.get(path);
    if (folder === undefined) {
      folder = {};
      this.#folders.set(path, folder);
      this.#closeIdle();
    }
    if (folder.running === undefined && folder.waiting === undefined) return this.#start(path, folder);
    folder.waiting ??= this.#startAfter(folder.running, path, folder);
    return folder.waiting;
  }

  async #startAfter(running: Promise<void> | undefined, path: string, folder: Folder): Promise<void> {
    await running;
    folder.waiting = undefined;
    await this.#start(path, folder);
  }

  #start(path: string, folder: Folder): Promise<void> {
    const running = this.#run(path, folder);
    folder.running = running;
    return running;
  }

  async #run(path: string, folder: Folder): Promise<void> {
    try {
      folder.handle ??= await this.#files.open(path, { read: true });
      await folder.handle.sync();
      folder.running = undefined;
    } catch (error) {
      // The next caller starts with a new handle; those who wait for this one get the error.
      if (this.#folders.get(path) === folder) this.#folders.delete(path);
      folder.handle?.close();
      throw error;
    }
    if (this.#isClosed && folder.waiting === undefined) folder.handle.close();
  }

  #closeIdle(): void {
    for (const [path, folder] of this.#folders) {
      if (this.#folders.size <= MAX_OPEN_FOLDERS) return;
      if (folder.handle === undefined || folder.running !== undefined || folder.waiting !== undefined) continue;
      folder.handle.close();
      this.#folders.delete(path);
    }
  }

  /** Closes all folders; syncs that run are finished first. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const folder of this.#folders.values()) {
      if (folder.running === undefined) folder.handle?.close();
    }
    this.#folders.clear();
  }
}
