/** Reads what is in the spool: all of it at the start, a message when it is wanted. What cannot be understood is set aside. */

import type { Logger } from "../log/logger.ts";
import type { BulkRead, BulkReader } from "../system/bulk_reader.ts";
import { type Files, isThere } from "../system/files.ts";
import { Fifo } from "./fifo.ts";
import { bucketOf, isQueueId } from "./queue_id.ts";
import type { QueuedMessage } from "./spool.ts";
import { SpoolFileError } from "./spool_json.ts";
import { READ_OCTETS, readSpoolFile, readSpoolOctets } from "./spool_read.ts";

/** What it reads, and how. */
export interface SpoolReaderOptions {
  /** The spool folder. */
  readonly folder: string;
  /** The file system. */
  readonly files: Files;
  /** For files that are set aside or cannot be read. */
  readonly logger: Logger;
  /** Files read at the same time where the disk is waited for, at least 1. */
  readonly readers: number;
  /** Reads very many files, where that is faster than one after the other. */
  readonly openBulkReader: (() => BulkReader) | undefined;
  /** Where the file of a message is. */
  readonly pathOf: (queueId: string) => string;
  /** Whether a file in its place is not, or no longer, a message that waits. */
  readonly isPassedOver: (queueId: string, path: string) => boolean;
  /** For a second file of the same name that is set aside. */
  readonly nextId: () => string;
}

/** Messages from which on a thread reads them. */
const MANY = 2_000;
/** Files that it is asked for at a time, and batches that are on their way. */
const BATCH = 64;
const BATCHES_AHEAD = 8;

/** The reading side of a spool. */
export class SpoolReader {
  readonly #folder: string;
  readonly #files: Files;
  readonly #logger: Logger;
  readonly #options: SpoolReaderOptions;
  #isSlowStartLogged = false;

  /** Reads nothing yet. */
  constructor(options: SpoolReaderOptions) {
    this.#folder = options.folder;
    this.#files = options.files;
    this.#logger = options.logger;
    this.#options = options;
  }

  /** One message with its content; undefined where there is none, or none that can be understood. */
  load(queueId: string): Promise<QueuedMessage | undefined> {
    return this.#read(queueId, new Uint8Array(READ_OCTETS), true);
  }

  /**
   * All messages, folder by folder, those of a folder oldest first.
   *
   * @param unreadable Is told of each file that the disk does not give up.
   */
  async *recover(unreadable: (queueId: string) => void): AsyncGenerator<QueuedMessage> {
    const buffers = Array.from({ length: this.#options.readers }, () => new Uint8Array(READ_OCTETS));
    let reader: BulkReader | undefined;
    let found = 0;
    try {
      for await (const queueIds of this.#list()) {
        found += queueIds.length;
        // Starting a thread takes the time of a thousand files.
        if (found > MANY) reader ??= this.#options.openBulkReader?.();
        if (reader === undefined) yield* this.#readTogether(queueIds, buffers, unreadable);
        else yield* this.#readInBulk(reader, queueIds, unreadable);
      }
    } finally {
      reader?.[Symbol.dispose]();
    }
  }

  /** Has a thread read, some batches ahead; what it cannot read, or we not understand, is read again here. */
  async *#readInBulk(
    reader: BulkReader,
    queueIds: readonly string[],
    unreadable: (queueId: string) => void,
  ): AsyncGenerator<QueuedMessage> {
    const buffer = new Uint8Array(READ_OCTETS);
    const reading = new Fifo<{ readonly batch: readonly string[]; readonly read: Promise<BulkRead | undefined> }>();
    for (let next = 0; next < queueIds.length || reading.size > 0;) {
      for (; reading.size < BATCHES_AHEAD && next < queueIds.length; next += BATCH) {
        const batch = queueIds.slice(next, next + BATCH);
        const paths = batch.map((queueId) => this.#options.pathOf(queueId));
        reading.push({ batch, read: this.#readBatch(reader, paths) });
      }
      const { batch = [], read } = reading.shift() ?? {};
      const { octets, lengths = [] } = await read ?? {};
      let end = 0;
      for (const [place, queueId] of batch.entries()) {
        const length = lengths[place] ?? -1;
        const file = length < 0 ? undefined : octets?.subarray(end, end += length);
        const message = (file && this.#understand(queueId, file)) ??
          await this.#readOrSkip(queueId, buffer, unreadable);
        if (message !== undefined) yield message;
      }
    }
  }

  /** Undefined where the thread failed, which is told once: the start takes longer, nothing else. */
  async #readBatch(reader: BulkReader, paths: readonly string[]): Promise<BulkRead | undefined> {
    try {
      return await reader.read({ paths, maxOctets: READ_OCTETS });
    } catch (error) {
      if (!this.#isSlowStartLogged) {
        this.#logger.warning("No thread reads the queue, so that the start takes longer: {error}", { error });
      }
      this.#isSlowStartLogged = true;
      return undefined;
    }
  }

  /** Reads as many at the same time as there are buffers. */
  async *#readTogether(
    queueIds: readonly string[],
    buffers: readonly Uint8Array[],
    unreadable: (queueId: string) => void,
  ): AsyncGenerator<QueuedMessage> {
    const reading = new Fifo<Promise<QueuedMessage | undefined>>();
    for (const [place, queueId] of queueIds.entries()) {
      const buffer = buffers[place % buffers.length] ?? new Uint8Array(READ_OCTETS);
      const oldest = reading.size < buffers.length ? undefined : await reading.shift();
      if (oldest !== undefined) yield oldest;
      reading.push(this.#readOrSkip(queueId, buffer, unreadable));
    }
    for (let read = reading.shift(); read !== undefined; read = reading.shift()) {
      const message = await read;
      if (message !== undefined) yield message;
    }
  }

  /** All queue ids, folder by folder, oldest first. What is not named like a message in its place is set aside. */
  async *#list(): AsyncGenerator<readonly string[]> {
    const buckets: string[] = [];
    for await (const entry of this.#files.list(`${this.#folder}/queue`)) {
      if (entry.isDirectory) buckets.push(entry.name);
    }
    for (const bucket of buckets.sort()) {
      const queueIds: string[] = [];
      for await (const { name } of this.#files.list(`${this.#folder}/queue/${bucket}`)) {
        if (this.#options.isPassedOver(name, `${this.#folder}/queue/${bucket}/${name}`)) continue;
        if (isQueueId(name) && bucketOf(name) === bucket) queueIds.push(name);
        else {await this.#setAside(
            `${this.#folder}/queue/${bucket}/${name}`,
            name,
            "its name is no queue id of this folder",
          );}
      }
      yield queueIds.sort();
    }
  }

  /** The message of a whole file; undefined where something is wrong with it, which is for `#read` to tell. */
  #understand(queueId: string, file: Uint8Array): QueuedMessage | undefined {
    try {
      const read = readSpoolOctets(this.#files, this.#options.pathOf(queueId), queueId, file);
      return read.unreadableLines === 0 ? read.message : undefined;
    } catch {
      return undefined;
    }
  }

  async #read(queueId: string, buffer: Uint8Array, keepContent: boolean): Promise<QueuedMessage | undefined> {
    const path = this.#options.pathOf(queueId);
    try {
      const { message, unreadableLines } = await readSpoolFile(this.#files, path, queueId, buffer, keepContent);
      if (unreadableLines > 0) {
        this.#logger.warning("Spool file {path} has {lines} unreadable lines in its journal, which are passed over", {
          path,
          lines: unreadableLines,
        });
      }
      return message;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      if (!(error instanceof SpoolFileError)) throw error;
      await this.#setAside(path, queueId, error.message);
      return undefined;
    }
  }

  /** As `#read`, but a file that the disk does not give up is left in its place: the others are still to be read. */
  async #readOrSkip(
    queueId: string,
    buffer: Uint8Array,
    unreadable: (queueId: string) => void,
  ): Promise<QueuedMessage | undefined> {
    try {
      return await this.#read(queueId, buffer, false);
    } catch (error) {
      const path = this.#options.pathOf(queueId);
      this.#logger.error("Cannot read spool file {path}, which is left where it is: {error}", { path, error });
      unreadable(queueId);
      return undefined;
    }
  }

  async #setAside(path: string, name: string, reason: string): Promise<void> {
    let aside = `${this.#folder}/broken/${name}`;
    try {
      // A file of the same name may have been set aside before; rename would replace it.
      if (await isThere(this.#files, aside)) aside += `.${this.#options.nextId()}`;
      await this.#files.rename(path, aside);
      this.#logger.error("Spool file {path} cannot be understood and is now {aside}: {reason}", {
        path,
        aside,
        reason,
      });
    } catch (error) {
      // It was done, and written over, while it was read.
      if (error instanceof Deno.errors.NotFound) return;
      this.#logger.error("Spool file {path} cannot be understood ({reason}), nor moved to {aside}: {error}", {
        path,
        aside,
        reason,
        error,
      });
    }
  }
}
