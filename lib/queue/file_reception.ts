/**
 * A message on its way into the spool on disk. A small one stays in memory until it is complete, and is then written at
 * once; a larger one goes to `incoming/` piece by piece.
 */

import type { Envelope } from "../mail/envelope.ts";
import type { BufferPool } from "../smtp/octet_input.ts";
import { errorAt, type Files, type OpenFile, writeAll } from "../system/files.ts";
import { FileAppender } from "./file_appender.ts";
import { initialStates } from "./journal.ts";
import type { QueuedMessage, Reception } from "./spool.ts";
import { encodeEnvelope, encodeHead, HEAD_OCTETS, padEnvelope } from "./spool_file.ts";
import { FileContent } from "./spool_read.ts";

/** What a reception needs of its spool. */
export interface ReceptionHost {
  /** The file system. */
  readonly files: Files;
  /** A message that grows beyond this goes to disk. */
  readonly memoryOctets: number;
  /** Buffers for pieces on their way to the disk, used again: fresh ones would pile up until they are collected. */
  readonly pieces: BufferPool;
  /** Receptions with an open file, to be closed with the spool. */
  readonly onDisk: Set<Reception>;
  /** Asks for (or, negative, gives back) room for messages in memory; false: there is none, go to disk. */
  reserve(octets: number): boolean;
  /** A file of a message that is done, to be written over with so much content; undefined where there is none. */
  takeSpare(contentOctets: number): string | undefined;
  /** The file of a message being received. */
  incomingPath(queueId: string): string;
  /** The file of an accepted message. */
  queuePath(queueId: string): string;
  /** Moves a synced file into the queue, and makes that durable. */
  publish(queueId: string, path: string): Promise<void>;
  /** Removes a file that may not exist; logs what goes wrong otherwise. */
  discard(path: string): Promise<void>;
  /** Makes the folders of the spool where they are missing. */
  makeFolders(): Promise<void>;
}

/** First size of the buffer beyond what the first octets need: room for the envelope of most messages. */
const SPARE_OCTETS = 2_048;
/** What a file is longer than its message is filled with spaces, if it is no more than this. */
const MAX_PADDING_OCTETS = 4_096;
/** A piece for the disk; the network delivers smaller ones. Buffers of this size and more are used again. */
const PIECE_OCTETS = 64 * 1024;
/** Content in memory that is too long for a piece gets so much room, and after that all that it may have. */
const MIDDLE_OCTETS = 256 * 1024;

/** Receives one message. */
export class FileReception implements Reception {
  readonly queueId: string;
  readonly #host: ReceptionHost;
  /** Head and content while in memory; later the octets that are not yet with the appender. */
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #used = 0;
  #octets = 0;
  #reserved = 0;
  #appender: FileAppender | undefined;
  /** The file of a message that was in memory. */
  #path: string | undefined;
  #isEnded = false;

  /** Takes the id of the message and the spool it is for. */
  constructor(queueId: string, host: ReceptionHost) {
    this.queueId = queueId;
    this.#host = host;
  }

  get octets(): number {
    return this.#octets;
  }

  get inMemory(): Uint8Array | undefined {
    if (this.#appender !== undefined || this.#isEnded) return undefined;
    return this.#buffer.subarray(HEAD_OCTETS, HEAD_OCTETS + this.#octets);
  }

  write(octets: Uint8Array): Promise<void> | undefined {
    if (this.#isEnded) return Promise.reject(new TypeError(`Cannot write to message ${this.queueId}: it has ended`));
    this.#octets += octets.length;
    if (this.#appender === undefined) {
      if (this.#used + octets.length <= this.#buffer.length || this.#grow(octets.length)) {
        this.#buffer.set(octets, this.#used);
        this.#used += octets.length;
        return undefined;
      }
      this.#appender = new FileAppender(this.#host.files, this.#host.incomingPath(this.queueId));
      this.#host.onDisk.add(this);
      // Room for the first line; the length in it is put right at the end.
      if (this.#used === 0) this.#appender.append(encodeHead(0));
    }
    return this.#writeToDisk(octets, this.#appender);
  }

  async commit(envelope: Envelope): Promise<QueuedMessage> {
    if (this.#isEnded) throw new TypeError(`Cannot commit message ${this.queueId}: it has ended`);
    this.#isEnded = true;
    this.#host.onDisk.delete(this);
    try {
      const line = encodeEnvelope(this.queueId, envelope);
      const path = this.#appender === undefined
        ? await this.#commitFromMemory(line)
        : await this.#commitOnDisk(this.#appender, line);
      await this.#host.publish(this.queueId, path);
    } catch (error) {
      await this.#cleanUp();
      // Somebody removed a folder while we ran: the next message shall find it.
      if (error instanceof Deno.errors.NotFound) await this.#host.makeFolders().catch(() => {});
      throw error;
    }
    const inMemory = this.#appender === undefined
      ? this.#buffer.subarray(HEAD_OCTETS, HEAD_OCTETS + this.#octets)
      : undefined;
    this.#release();
    const content = new FileContent(this.#host.files, this.#host.queuePath(this.queueId), this.#octets, inMemory);
    return { queueId: this.queueId, envelope, content, recipients: initialStates(envelope), isHeld: false };
  }

  async abort(): Promise<void> {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#host.onDisk.delete(this);
    await this.#cleanUp();
  }

  /** Makes room in memory for more octets; false where they have to go to disk. */
  #grow(octets: number): boolean {
    const needed = Math.max(this.#used, HEAD_OCTETS) + octets;
    if (needed - HEAD_OCTETS > this.#host.memoryOctets) return false;
    const before = this.#buffer;
    const size = sizeFor(needed + SPARE_OCTETS, before.length, HEAD_OCTETS + this.#host.memoryOctets + SPARE_OCTETS);
    if (!this.#host.reserve(size - before.length)) return false;
    this.#reserved += size - before.length;
    this.#buffer = size < PIECE_OCTETS ? new Uint8Array(size) : this.#host.pieces.take(size);
    this.#buffer.set(before.subarray(0, this.#used));
    // Where it is a used one: nothing of another message in front.
    if (this.#used === 0) this.#buffer.fill(0, 0, HEAD_OCTETS);
    this.#used = Math.max(this.#used, HEAD_OCTETS);
    this.#giveBack(before);
    return true;
  }

  /** Nobody may have a view of the buffer. */
  #giveBack(buffer: Uint8Array<ArrayBuffer>): void {
    if (buffer.length >= PIECE_OCTETS) this.#host.pieces.give(buffer);
  }

  #writeToDisk(octets: Uint8Array, appender: FileAppender): Promise<void> | undefined {
    let waiting: Promise<void> | undefined;
    for (let from = 0; from < octets.length;) {
      if (this.#used === this.#buffer.length) {
        waiting?.catch(() => {});
        waiting = this.#flush(appender);
        this.#buffer = this.#host.pieces.take(PIECE_OCTETS);
      }
      const part = octets.subarray(from, from + this.#buffer.length - this.#used);
      this.#buffer.set(part, this.#used);
      this.#used += part.length;
      from += part.length;
    }
    return waiting;
  }

  /** Hands the buffer to the appender. */
  #flush(appender: FileAppender): Promise<void> | undefined {
    if (this.#used === 0) return undefined;
    const buffer = this.#buffer;
    const waiting = appender.append(buffer.subarray(0, this.#used), () => this.#giveBack(buffer));
    this.#buffer = new Uint8Array(0);
    this.#used = 0;
    this.#release();
    return waiting;
  }

  /** One file, one write, one sync. */
  async #commitFromMemory(envelopeLine: Uint8Array): Promise<string> {
    this.#used = HEAD_OCTETS + this.#octets;
    const spare = await this.#openSpare();
    const path = spare?.path ?? this.#host.incomingPath(this.queueId);
    const file = spare?.file ?? await this.#host.files.open(path, { write: true, createNew: true, mode: 0o600 });
    this.#path = path;
    await syncAndClose(file, path, this.#writeWhole(file, spare !== undefined, envelopeLine));
    return path;
  }

  async #openSpare(): Promise<{ readonly file: OpenFile; readonly path: string } | undefined> {
    const path = this.#host.takeSpare(this.#octets);
    if (path === undefined) return undefined;
    try {
      // `read` makes it quick: a pipe opened in this way waits for nobody (`quick_files.ts`).
      return { file: await this.#host.files.open(path, { read: true, write: true }), path };
    } catch {
      // Somebody removed it, or the disk has its troubles: a new file will tell.
      await this.#host.discard(path);
      return undefined;
    }
  }

  /** Writes the whole message, and sees that the file ends with it: nothing is left of what was in it. */
  async #writeWhole(file: OpenFile, isUsed: boolean, envelopeLine: Uint8Array): Promise<void> {
    const size = isUsed ? (await file.stat()).size : 0;
    const excess = size - this.#used - envelopeLine.length;
    const line = excess > 0 && excess <= MAX_PADDING_OCTETS ? padEnvelope(envelopeLine, excess) : envelopeLine;
    const total = this.#used + line.length;
    if (total > this.#buffer.length) {
      const larger = new Uint8Array(total);
      larger.set(this.#buffer.subarray(0, this.#used));
      this.#buffer = larger;
    }
    this.#buffer.set(encodeHead(this.#octets), 0);
    this.#buffer.set(line, this.#used);
    await writeAll(file, this.#buffer.subarray(0, total));
    if (size > total) await file.truncate(total);
  }

  async #commitOnDisk(appender: FileAppender, envelopeLine: Uint8Array): Promise<string> {
    this.#flush(appender)?.catch(() => {});
    appender.append(envelopeLine)?.catch(() => {});
    const file = await appender.finish();
    const path = this.#host.incomingPath(this.queueId);
    await syncAndClose(file, path, this.#writeHead(file));
    return path;
  }

  async #writeHead(file: OpenFile): Promise<void> {
    await file.seek(0, Deno.SeekMode.Start);
    await writeAll(file, encodeHead(this.#octets));
  }

  /** A file whose sync failed is given up: the kernel may have dropped the octets and would call the next sync good. */
  async #cleanUp(): Promise<void> {
    this.#buffer = new Uint8Array(0);
    this.#release();
    await this.#appender?.close();
    const path = this.#appender === undefined ? this.#path : this.#host.incomingPath(this.queueId);
    if (path !== undefined && this.#appender?.isMade !== false) await this.#host.discard(path);
  }

  #release(): void {
    this.#host.reserve(-this.#reserved);
    this.#reserved = 0;
  }
}

/** The next size of the buffer: few different ones, so that there is one to use again. */
function sizeFor(needed: number, before: number, most: number): number {
  const size = Math.max(needed, Math.min(before * 2, most));
  if (size < PIECE_OCTETS) return size;
  return needed <= MIDDLE_OCTETS && MIDDLE_OCTETS < most ? MIDDLE_OCTETS : Math.max(needed, most);
}

async function syncAndClose(file: OpenFile, path: string, written: Promise<void>): Promise<void> {
  try {
    await written;
    await file.syncData();
  } catch (error) {
    throw errorAt(path, "write", error);
  } finally {
    file.close();
  }
}
