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
import type { BulkReader } from "../system/bulk_reader.ts";
import { type Files, isThere, type OpenFile, parentOf } from "../system/files.ts";
import { FolderSync } from "../system/folder_sync.ts";
import { FileReception, type ReceptionHost } from "./file_reception.ts";
import { Leftovers } from "./leftovers.ts";
import { JournalWriter } from "./journal_writer.ts";
import { bucketOf, isQueueId, QueueIds } from "./queue_id.ts";
import type { QueuedMessage, Reception, Spool, SpoolEvent } from "./spool.ts";
import { SpareFiles } from "./spare_files.ts";
import { lockSpool } from "./spool_lock.ts";
import { SpoolReader } from "./spool_reader.ts";

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
  if (await isThere(files, path)) return;
  const parent = parentOf(path);
  await makeDurableFolder(files, sync, parent);
  await files.makeFolder(path, 0o700);
  await sync.sync(parent);
}

const FOLDERS = ["incoming", "queue", "spare", "broken"];

class FileSpool implements Spool, ReceptionHost {
  readonly files: Files;
  readonly memoryOctets: number;
  readonly pieces: BufferPool = new BufferPool();
  readonly onDisk: Set<Reception> = new Set();
  readonly #folder: string;
  readonly #lock: OpenFile;
  readonly #sync: FolderSync;
  readonly #ids: QueueIds;
  readonly #journals: JournalWriter;
  #freeMemoryOctets: number;
  /** Folders below `queue/` that are known to be durable, or on their way. */
  readonly #buckets: Map<string, Promise<void> | undefined> = new Map();
  /** In their folder, but not yet acknowledged: whoever commits them hands them over, so `recover` must not. */
  readonly #publishing: Set<string> = new Set();
  readonly #leftovers: Leftovers;
  readonly #spares: SpareFiles;
  readonly #reader: SpoolReader;

  constructor(options: FileSpoolOptions, lock: OpenFile, sync: FolderSync) {
    this.files = options.files;
    this.memoryOctets = options.memoryOctets ?? 128 * 1024;
    this.#folder = options.folder;
    this.#leftovers = new Leftovers(options.files, options.logger);
    this.#lock = lock;
    this.#sync = sync;
    this.#ids = new QueueIds(options);
    this.#journals = new JournalWriter(options.files);
    this.#reader = new SpoolReader({
      folder: options.folder,
      files: options.files,
      logger: options.logger,
      readers: options.readers ?? 64,
      openBulkReader: options.openBulkReader,
      pathOf: (queueId) => this.queuePath(queueId),
      isPassedOver: (queueId, path) => this.#publishing.has(queueId) || this.#leftovers.has(path),
      nextId: () => this.#ids.next(),
    });
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
    return isQueueId(queueId) ? await this.#reader.load(queueId) : undefined;
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
      if (this.#spares.wants(contentOctets) && await this.#putAway(queueId, path, contentOctets)) return;
      await this.files.remove(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** False where the file has to be removed. */
  async #putAway(queueId: string, path: string, contentOctets: number): Promise<boolean> {
    try {
      await this.#spares.keep(path, `${this.#folder}/queue/${bucketOf(queueId)}`, contentOctets);
      return true;
    } catch {
      return false;
    }
  }

  recover(unreadable: (queueId: string) => void = () => {}): AsyncGenerator<QueuedMessage> {
    return this.#reader.recover(unreadable);
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

  takeSpare(contentOctets: number): string | undefined {
    return this.#spares.take(contentOctets);
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
}
