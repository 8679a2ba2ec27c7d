/** Tells whether files changed since they were read: by their stamps, taken just before reading. */

import type { ConfigIo } from "../config/source.ts";
import type { Files } from "../system/files.ts";

/** What tells a file from what it was before: its time, its size, and which file it is. */
export async function fileStamp(files: Pick<Files, "stat">, path: string): Promise<string> {
  try {
    const { mtime, size, ino } = await files.stat(path);
    return `${mtime?.getTime()} ${size} ${ino}`;
  } catch (error) {
    return String(error);
  }
}

/** Reads files and remembers the stamps of all of them. */
export class StampingIo implements ConfigIo {
  readonly #io: ConfigIo;
  readonly #files: Pick<Files, "stat">;
  /** By path. */
  readonly stamps = new Map<string, string>();

  /** Reads nothing yet. */
  constructor(io: ConfigIo, files: Pick<Files, "stat">) {
    this.#io = io;
    this.#files = files;
  }

  /** Reads a file. */
  async readText(path: string): Promise<string> {
    // The stamp is older than the content: a change in between is noticed.
    this.stamps.set(path, await fileStamp(this.#files, path));
    return await this.#io.readText(path);
  }

  /** An environment variable. */
  env(name: string): string | undefined {
    return this.#io.env(name);
  }
}
