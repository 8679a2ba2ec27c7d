/** Files that belong to no accepted message and have to go: removed at once, or as soon as the disk lets us. */

import type { Logger } from "../log/logger.ts";
import type { Files } from "../system/files.ts";

/** Files that could not be removed and are remembered; more of them are only logged. */
const MAX_REMEMBERED = 10_000;

/** What is left of messages that were refused. */
export class Leftovers {
  readonly #files: Files;
  readonly #logger: Logger;
  readonly #paths: Set<string> = new Set();

  /** Nothing is left yet. */
  constructor(files: Files, logger: Logger) {
    this.#files = files;
    this.#logger = logger;
  }

  /** True for a file that nobody is to find: its message was refused, and its client sends it again. */
  has(path: string): boolean {
    return this.#paths.has(path);
  }

  /** Removes a file that may not exist. Never throws: what cannot be removed is logged and remembered. */
  async discard(path: string): Promise<void> {
    try {
      await this.#files.remove(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      if (this.#paths.size < MAX_REMEMBERED) this.#paths.add(path);
      this.#logger.error(
        "Cannot remove {path}, which belongs to no accepted message; will try again when the next one is stored: {error}",
        { path, error },
      );
    }
  }

  /** The disk takes messages again: perhaps it also removes now. */
  async retry(): Promise<void> {
    for (const path of this.#paths) {
      try {
        await this.#files.remove(path);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) return;
      }
      this.#paths.delete(path);
      this.#logger.info("Removed {path}, which belongs to no accepted message", { path });
    }
  }

  /** True where nothing is left. */
  get isEmpty(): boolean {
    return this.#paths.size === 0;
  }
}
