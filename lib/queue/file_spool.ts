/**
 * The spool on local disk: one file for each message.
 *
 * ```
 * lock            held while a server runs
 * incoming/ID     being received; cleared at start
 * queue/xx/ID     accepted; xx = last two characters of the queue id
 * spare/N         of a message that is done, to be written over; cleared at start
 * broken/ID       could not be read; set aside, never deleted
 * ```
 *
 * What makes a message exist comes last: its file is complete and synced in `incoming/` before the rename into `queue/`,
 * and the rename is durable before `commit` resolves. The format of the files is `spool_file.ts`.
 */

import type { Logger } from "../log/logger.ts";
import { BufferPool } from "../smtp/octet_input.ts";
import type { Clock } from "../system/clock.ts";
import type { BulkRead, BulkReader } from "../system/bulk_reader.ts";
import { type Files, type OpenFile, parentOf } from "../system/files.ts";
import { FolderSync } from "../system/folder_sync.ts";
import { Fifo } from "./fifo.ts";
import { FileReception, type ReceptionHost } from "./file_reception.ts";
import { Leftovers } from "./leftovers.ts";
import { JournalWriter } from "./journal_writer.ts";
import { bucketOf, isQueueId, QueueIds } from "./queue_id.ts";
import type { QueuedMessage, Reception, Spool, SpoolEvent } from "./spool.ts";
import { SpoolFileError } from "./spool_json.ts";
import { SpareFiles } from "./spare_files.ts";
import { lockSpool } from "./spool_lock.ts";
import { READ_OCTETS, readSpoolFile, readSpoolOctets } from "./spool_read.ts";

/** How a spool on disk is opened. */
export interface FileSpoolOptions {
  /** The spool folder; made where missing. */
  readonly folder: string;
  /** The file system. */
  readonly files: Files;
  /** The time, for queue ids and the pace of `recover`. */
  readonly clock: Clock;
  /** For files that are set aside or cannot be removed. */
  readonly logger: Logger;
  /** Fills an array with unpredictable octets: `crypto.getRandomValues`. */
  readonly randomOctets: (into: Uint8Array<ArrayBuffer>) => void;
  /** For the one who finds the spool locked: `Deno.pid`. */
  readonly processId: number;
  /** A message up to this size stays in memory until it is complete. Default: 128 KiB. */
  readonly memoryOctets?: number;
  /** All messages being received take up to this much memory; beyond it, small ones go to disk too. Default: 32 MiB. */
  readonly totalMemoryOctets?: number;
  /** Files read at the same time by `recover` where the disk is waited for, at least 1. Default: 64. */
  readonly readers?: number;
  /** Reads very many files, where that is faster than one after the other; default: none. */
  readonly openBulkReader?: () => BulkReader;
}

/**
 * Opens the spool: takes its lock, makes its folders and clears `incoming/` of what a crash left there, none of which was
 * acknowledged, and `spare/`, because the folders where these files were may not be synced.
 *
 * @throws {Error} Another process has it open, or the folder cannot be used.
 */
export async function openFileSpool(options: FileSpoolOptions): Promise<Spool> {
  const { files, folder, processId } = options;
  const sync = new FolderSync(files, { clock: options.clock });
  let lock: OpenFile | undefined;
  try {
    await makeDurableFolder(files, sync, folder);
    lock = await lockSpool({ files, folder, path: `${folder}/lock`, processId });
    for (const name of FOLDERS) await files.makeFolder(`${folder}/${name}`, 0o700);
    await sync.sync(folder);
    // It may have been made just before a crash: visible since, but not durable.
    await sync.sync(parentOf(folder));
    const spool = new FileSpool(options, lock, sync);
    for (const left of ["incoming", "spare"].map((name) => `${folder}/${name}`)) {
      for await (const entry of files.list(left)) await spool.discard(`${left}/${entry.name}`);
    }
    await spool.findBuckets();
    return spool;
  } catch (error) {
    await sync[Symbol.asyncDispose]();
    lock?.close();
    throw error;
  }
}

/** Makes a folder and its parents where missing, so that a power loss cannot take them away again. */
async function makeDurableFolder(files: Files, sync: FolderSync, path: string): Promise<void> {
  if (await exists(files, path)) return;
  const parent = parentOf(path);
  await makeDurableFolder(files, sync, parent);
  await files.makeFolder(path, 0o700);
  await sync.sync(parent);
}

async function exists(files: Files, path: string): Promise<boolean> {
  try {
    await files.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

const FOLDERS = ["incoming", "queue", "spare", "broken"];

/** Messages from which on a thread reads them. */
const MANY = 2_000;
/** Files that it is asked for at a time, and batches that are on their way. */
const BATCH = 64;
const BATCHES_AHEAD = 8;

class FileSpool implements Spool, ReceptionHost {
  readonly files: Files;
  readonly memoryOctets: number;
  readonly pieces: BufferPool = new BufferPool();
  readonly onDisk: Set<Reception> = new Set();
  readonly #folder: string;
  readonly #openBulkReader: (() => BulkReader) | undefined;
  readonly #logger: Logger;
  readonly #lock: OpenFile;
  readonly #sync: FolderSync;
  readonly #ids: QueueIds;
  readonly #journals: JournalWriter;
  readonly #readers: number;
  #freeMemoryOctets: number;
  #isSlowStartLogged = false;
  /** Folders below `queue/` that are known to be durable, or on their way. */
  readonly #buckets: Map<string, Promise<void> | undefined> = new Map();
  /** In their folder, but not yet acknowledged: whoever commits them hands them over, so `recover` must not. */
  readonly #publishing: Set<string> = new Set();
  readonly #leftovers: Leftovers;
  readonly #spares: SpareFiles;

  constructor(options: FileSpoolOptions, lock: OpenFile, sync: FolderSync) {
    this.files = options.files;
    this.memoryOctets = options.memoryOctets ?? 128 * 1024;
    this.#folder = options.folder;
    this.#openBulkReader = options.openBulkReader;
    this.#logger = options.logger;
    this.#leftovers = new Leftovers(options.files, options.logger);
    this.#lock = lock;
    this.#sync = sync;
    this.#ids = new QueueIds(options);
    this.#journals = new JournalWriter(options.files);
    this.#readers = options.readers ?? 64;
    this.#spares = new SpareFiles({
      folder: `${options.folder}/spare`,
      files: options.files,
      sync,
      clock: options.clock,
      discard: (path) => this.discard(path),
    });
    this.#freeMemoryOctets = options.totalMemoryOctets ?? 32 * 1024 * 1024;
  }

  receive(): Reception {
    return new FileReception(this.#ids.next(), this);
  }

  async load(queueId: string): Promise<QueuedMessage | undefined> {
    return isQueueId(queueId) ? await this.#read(queueId, new Uint8Array(READ_OCTETS), true) : undefined;
  }

  async append(queueId: string, events: readonly SpoolEvent[]): Promise<void> {
    if (!isQueueId(queueId)) throw new Deno.errors.NotFound(`There is no message "${queueId}"`);
    await this.#journals.append(queueId, this.queuePath(queueId), events);
  }

  /**
   * Removes the file. No sync: should the machine lose power before the disk knows, the message comes back and is
   * delivered once more. That is "at least once", and the alternative is another sync for each message.
   */
  async remove(queueId: string, contentOctets = Infinity): Promise<void> {
    if (!isQueueId(queueId)) return;
    const path = this.queuePath(queueId);
    try {
      if (this.#spares.wants(contentOctets) && await this.#putAway(queueId, path)) return;
      await this.files.remove(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** False where the file has to be removed. */
  async #putAway(queueId: string, path: string): Promise<boolean> {
    try {
      await this.#spares.keep(path, `${this.#folder}/queue/${bucketOf(queueId)}`);
      return true;
    } catch {
      return false;
    }
  }

  async *recover(unreadable: (queueId: string) => void = () => {}): AsyncGenerator<QueuedMessage> {
    const buffers = Array.from({ length: this.#readers }, () => new Uint8Array(READ_OCTETS));
    let reader: BulkReader | undefined;
    let found = 0;
    try {
      for await (const queueIds of this.#list()) {
        found += queueIds.length;
        // Starting a thread takes the time of a thousand files.
        if (found > MANY) reader ??= this.#openBulkReader?.();
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
        const paths = batch.map((queueId) => this.queuePath(queueId));
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

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.onDisk].map((reception) => reception.abort()));
    await this.#spares[Symbol.asyncDispose]();
    await this.#sync[Symbol.asyncDispose]();
    this.#lock.close();
  }

  /** Learns which buckets exist, so that their first use costs nothing. */
  async findBuckets(): Promise<void> {
    let isAny = false;
    for await (const entry of this.files.list(`${this.#folder}/queue`)) {
      if (!entry.isDirectory) continue;
      this.#buckets.set(entry.name, undefined);
      isAny = true;
    }
    // A folder that was made just before a crash may be visible, but not yet durable.
    if (isAny) await this.#sync.sync(`${this.#folder}/queue`);
  }

  reserve(octets: number): boolean {
    if (octets > this.#freeMemoryOctets) return false;
    this.#freeMemoryOctets -= octets;
    return true;
  }

  takeSpare(): string | undefined {
    return this.#spares.take();
  }

  incomingPath(queueId: string): string {
    return `${this.#folder}/incoming/${queueId}`;
  }

  queuePath(queueId: string): string {
    return `${this.#folder}/queue/${bucketOf(queueId)}/${queueId}`;
  }

  async publish(queueId: string, from: string): Promise<void> {
    this.#publishing.add(queueId);
    try {
      await this.#publish(queueId, from);
    } finally {
      this.#publishing.delete(queueId);
    }
  }

  async #publish(queueId: string, from: string): Promise<void> {
    const bucket = bucketOf(queueId);
    const path = this.queuePath(queueId);
    const isMade = this.#buckets.has(bucket) ? this.#buckets.get(bucket) : this.#makeBucket(bucket);
    if (isMade !== undefined) await isMade;
    const mark = this.#sync.mark(`${this.#folder}/queue/${bucket}`);
    try {
      await this.files.rename(from, path);
    } catch (error) {
      // Somebody removed the folder: the next message makes it again, and another handle has to sync it.
      this.#buckets.delete(bucket);
      this.#sync.forget(`${this.#folder}/queue/${bucket}`);
      throw error;
    }
    try {
      await this.#sync.sync(`${this.#folder}/queue/${bucket}`, mark);
    } catch (error) {
      await this.discard(path);
      throw error;
    }
    if (!this.#leftovers.isEmpty) await this.#leftovers.retry();
  }

  async makeFolders(): Promise<void> {
    for (const name of FOLDERS) await this.files.makeFolder(`${this.#folder}/${name}`, 0o700);
    for (const folder of [this.#folder, `${this.#folder}/queue`]) this.#sync.forget(folder);
    await this.#sync.sync(this.#folder);
  }

  discard(path: string): Promise<void> {
    return this.#leftovers.discard(path);
  }

  #makeBucket(bucket: string): Promise<void> {
    const making = this.#makeDurableBucket(bucket);
    this.#buckets.set(bucket, making);
    return making;
  }

  async #makeDurableBucket(bucket: string): Promise<void> {
    const path = `${this.#folder}/queue/${bucket}`;
    try {
      await this.files.makeFolder(path, 0o700);
      await this.#sync.sync(`${this.#folder}/queue`);
      this.#buckets.set(bucket, undefined);
    } catch (error) {
      this.#buckets.delete(bucket);
      // A second sync might call good what the first one lost (the kernel tells an error once): begin anew.
      await this.files.remove(path).catch(() => {});
      throw error;
    }
  }

  /** All queue ids, folder by folder, oldest first. What is not named like a message in its place is set aside. */
  async *#list(): AsyncGenerator<readonly string[]> {
    const buckets: string[] = [];
    for await (const entry of this.files.list(`${this.#folder}/queue`)) {
      if (entry.isDirectory) buckets.push(entry.name);
    }
    for (const bucket of buckets.sort()) {
      const queueIds: string[] = [];
      for await (const { name } of this.files.list(`${this.#folder}/queue/${bucket}`)) {
        if (this.#publishing.has(name) || this.#leftovers.has(`${this.#folder}/queue/${bucket}/${name}`)) continue;
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
      const read = readSpoolOctets(this.files, this.queuePath(queueId), queueId, file);
      return read.unreadableLines === 0 ? read.message : undefined;
    } catch {
      return undefined;
    }
  }

  async #read(queueId: string, buffer: Uint8Array, keepContent: boolean): Promise<QueuedMessage | undefined> {
    const path = this.queuePath(queueId);
    try {
      const { message, unreadableLines } = await readSpoolFile(this.files, path, queueId, buffer, keepContent);
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
      const path = this.queuePath(queueId);
      this.#logger.error("Cannot read spool file {path}, which is left where it is: {error}", { path, error });
      unreadable(queueId);
      return undefined;
    }
  }

  async #setAside(path: string, name: string, reason: string): Promise<void> {
    let aside = `${this.#folder}/broken/${name}`;
    try {
      // A file of the same name may have been set aside before; rename would replace it.
      if (await exists(this.files, aside)) aside += `.${this.#ids.next()}`;
      await this.files.rename(path, aside);
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
