/**
 * Removes what deliveries that died left in `tmp/` of Maildirs: files that nobody has touched for 36 hours. Others than we
 * deliver there, too; that long no delivery takes. It runs in the background, for one mailbox at a time, and neither delays
 * nor fails anything.
 *
 * @see https://cr.yp.to/proto/maildir.html
 */

import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";
import type { Files, FolderEntry } from "../system/files.ts";

/** What cleaning needs. */
export interface TmpCleanerOptions {
  /** The disk. */
  readonly files: Files;
  /** Its wall clock is compared with the times of files. */
  readonly clock: Clock;
  /** One line for each mailbox in which something was removed. */
  readonly logger: Logger;
  /** Tells by its name a file that this process writes: it stays, whatever the clock says. */
  isOwn(name: string): boolean;
}

const HOUR_MS = 3_600_000;
const STALE_MS = 36 * HOUR_MS;
const AGAIN_MS = 24 * HOUR_MS;

/** Mailboxes whose last cleaning is remembered; beyond that the one cleaned longest ago is cleaned again. */
const MAX_REMEMBERED = 20_000;
/** Mailboxes that wait for cleaning; others come at a later use. */
const MAX_WAITING = 1_000;
/** Files looked at in one mailbox at a time; the rest has another day. */
const MAX_FILES = 10_000;

/** Cleans the mailboxes that are in use. */
export class TmpCleaner implements AsyncDisposable {
  readonly #options: TmpCleanerOptions;
  /** Monotonic time at which it was asked for, by mailbox; oldest first. */
  readonly #asked = new Map<string, number>();
  readonly #waiting = new Set<string>();
  #running: Promise<void> | undefined;
  #isOver = false;

  /** Touches no file yet. */
  constructor(options: TmpCleanerOptions) {
    this.#options = options;
  }

  /**
   * Tells that a mailbox is in use: it is cleaned at the first time, and a day after the last one.
   *
   * @param mailbox Folder with `tmp`; that of its Maildir++ folders is cleaned with it.
   */
  use(mailbox: string): void {
    const nowMs = this.#options.clock.monotonic();
    const askedMs = this.#asked.get(mailbox);
    if (askedMs !== undefined && nowMs - askedMs < AGAIN_MS) return;
    if (this.#isOver || this.#waiting.size >= MAX_WAITING) return;
    this.#asked.delete(mailbox);
    this.#asked.set(mailbox, nowMs);
    for (const oldest of this.#asked.keys()) {
      if (this.#asked.size <= MAX_REMEMBERED) break;
      this.#asked.delete(oldest);
    }
    this.#waiting.add(mailbox);
    this.#running ??= this.#run();
  }

  /** Resolves when nothing waits to be cleaned. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** Waits for the operation under way, and does no other. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (const mailbox of this.#waiting) {
      if (!this.#isOver) await this.#clean(mailbox);
      this.#waiting.delete(mailbox);
    }
    this.#running = undefined;
  }

  async #clean(mailbox: string): Promise<void> {
    const { files, logger } = this.#options;
    const done = { seen: 0, removed: 0, octets: 0 };
    let trouble: unknown;
    try {
      await this.#cleanTmp(`${mailbox}/tmp`, done);
      for await (const entry of files.list(mailbox)) {
        if (this.#isOver || done.seen > MAX_FILES) break;
        if (isFolderOfMail(entry)) await this.#cleanTmp(`${mailbox}/${entry.name}/tmp`, done);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) trouble = error;
    }
    const { removed, octets } = done;
    if (removed > 0) {
      logger.info("Removed {removed} file(s) of {octets} octets below {mailbox}, left in tmp/ for 36 hours", {
        removed,
        octets,
        mailbox,
      });
    }
    if (trouble !== undefined) {
      const reason = trouble instanceof Error ? trouble.message : String(trouble);
      logger.warning("Cannot remove old files in tmp/ below {mailbox}, will try again in a day: {reason}", {
        mailbox,
        reason,
      });
    }
  }

  async #cleanTmp(folder: string, done: { seen: number; removed: number; octets: number }): Promise<void> {
    const { files, isOwn } = this.#options;
    try {
      // A link may lead to files that are none of ours to remove.
      if (!(await files.lstat(folder)).isDirectory) return;
      for await (const { name, isFile } of files.list(folder)) {
        if (this.#isOver || ++done.seen > MAX_FILES) return;
        if (!isFile || isOwn(name)) continue;
        const octets = await this.#removeStale(`${folder}/${name}`);
        if (octets === undefined) continue;
        done.removed++;
        done.octets += octets;
      }
    } catch (error) {
      // A folder without tmp/ is not one of mail.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Returns how large the file was, or undefined where it stays or went by itself. */
  async #removeStale(path: string): Promise<number | undefined> {
    const { files, clock } = this.#options;
    try {
      const { size, mtime, atime } = await files.stat(path);
      if (mtime === null) return undefined;
      const touchedMs = Math.max(mtime.getTime(), atime?.getTime() ?? 0);
      if (clock.now() - touchedMs < STALE_MS) return undefined;
      await files.remove(path);
      return size;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }
}

/** Maildir++: a folder of a mailbox is a folder in it whose name begins with a dot. */
function isFolderOfMail({ name, isDirectory }: FolderEntry): boolean {
  return isDirectory && name.startsWith(".") && name !== "." && name !== "..";
}
