/** Appends events to spool files so that a line is there whole or not at all, whatever the disk does in between. */

import { errorAt, type Files, type OpenFile, readFully, writeAll } from "../system/files.ts";
import { Fifo } from "./fifo.ts";
import type { SpoolEvent } from "./spool.ts";
import { encodeEvents } from "./spool_file.ts";

const LINE_FEED = 0x0a;
const LOOK_BACK_OCTETS = 4_096;

/** Appends at the same time, and so files that are open: a destination that closes gives back thousands of messages. */
const MAX_APPENDS = 64;

/** Appends to journals, one append at a time for each message. */
export class JournalWriter {
  readonly #files: Files;
  readonly #waiting: Fifo<() => void> = new Fifo();
  #running = 0;
  readonly #busy: Map<string, Promise<void>> = new Map();

  /** Takes the file system. */
  constructor(files: Files) {
    this.#files = files;
  }

  /** Appends the events and syncs. After an error nothing is appended, as far as the disk still obeys. */
  async append(queueId: string, path: string, events: readonly SpoolEvent[]): Promise<void> {
    const appended = this.#appendAfter(this.#busy.get(queueId), path, encodeEvents(events));
    this.#busy.set(queueId, appended);
    try {
      await appended;
    } finally {
      if (this.#busy.get(queueId) === appended) this.#busy.delete(queueId);
    }
  }

  async #appendAfter(before: Promise<void> | undefined, path: string, lines: Uint8Array): Promise<void> {
    // Its caller hears of its failure; here only its end matters.
    await before?.catch(() => {});
    if (this.#running < MAX_APPENDS) this.#running++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      await this.#appendNow(path, lines);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  async #appendNow(path: string, lines: Uint8Array): Promise<void> {
    const file = await this.#files.open(path, { read: true, append: true });
    try {
      const end = await cutTornLine(file);
      await appendWhole(file, lines, end);
    } catch (error) {
      throw errorAt(path, "append to", error);
    } finally {
      file.close();
    }
  }
}

async function appendWhole(file: OpenFile, lines: Uint8Array, end: number): Promise<void> {
  try {
    await writeAll(file, lines);
    await file.syncData();
  } catch (error) {
    // A full disk takes half a line. The line is taken back also when only the sync failed: the caller will append it
    // anew, which writes all of its octets again, so that the next sync covers them. What cannot be taken back now is
    // cut off, or repeated, by the next append: both do no harm.
    await file.truncate(end).catch(() => {});
    throw error;
  }
}

/**
 * Cuts off what follows the last line feed: part of a line that a crash or an earlier failure left, which would merge with
 * the next one.
 *
 * @returns The length of the file.
 */
async function cutTornLine(file: OpenFile): Promise<number> {
  const { size } = await file.stat();
  const buffer = new Uint8Array(LOOK_BACK_OCTETS);
  let look = 1;
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - look);
    await file.seek(start, Deno.SeekMode.Start);
    const read = await readFully(file, buffer.subarray(0, end - start));
    const at = buffer.subarray(0, read).lastIndexOf(LINE_FEED);
    if (at === -1) {
      end = start;
      look = LOOK_BACK_OCTETS;
      continue;
    }
    const whole = start + at + 1;
    if (whole < size) await file.truncate(whole);
    return whole;
  }
  return size;
}
