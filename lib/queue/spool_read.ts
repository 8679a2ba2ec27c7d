/** Reads spool files: the first line and the tail, and the content only when it is asked for. */

import type { Content } from "../mail/content.ts";
import { errorAt, type Files, type OpenFile, readFully } from "../system/files.ts";
import { applyEvent, initialStates } from "./journal.ts";
import type { QueuedMessage, SpoolEvent } from "./spool.ts";
import { decodeHead, decodeTail, HEAD_OCTETS } from "./spool_file.ts";
import { SpoolFileError } from "./spool_json.ts";

/** A message as read, and what is to know about its file. */
export interface ReadSpoolFile {
  /** Envelope, and state after all events. */
  readonly message: QueuedMessage;
  /** Its journal, in order. */
  readonly events: readonly SpoolEvent[];
  /** Lines of the journal that had to be passed over; not counting a torn last one, which is no surprise. */
  readonly unreadableLines: number;
}

/** One read of this size takes in most messages completely. */
export const READ_OCTETS = 16 * 1024;

/**
 * Reads a spool file without its content, except where that is small and came along anyway.
 *
 * @param buffer At least {@linkcode READ_OCTETS} long. With `keepContent`, the message keeps it.
 * @throws {SpoolFileError} It cannot be understood.
 */
export async function readSpoolFile(
  files: Files,
  path: string,
  queueId: string,
  buffer: Uint8Array,
  keepContent: boolean,
): Promise<ReadSpoolFile> {
  const file = await files.open(path, { read: true });
  try {
    const length = await readFully(file, buffer);
    const contentOctets = decodeHead(buffer.subarray(0, length));
    const tailStart = HEAD_OCTETS + contentOctets;
    const isWhole = length < buffer.length;
    const tail = isWhole ? buffer.subarray(Math.min(tailStart, length), length) : await readTail(file, tailStart);
    const content = isWhole && keepContent
      ? new FileContent(files, path, contentOctets, buffer.subarray(HEAD_OCTETS, tailStart))
      : new FileContent(files, path, contentOctets);
    return messageFrom(queueId, content, tail);
  } catch (error) {
    throw error instanceof SpoolFileError ? error : errorAt(path, "read", error);
  } finally {
    file.close();
  }
}

/**
 * Understands a whole spool file, without its content.
 *
 * @throws {SpoolFileError} It cannot be understood.
 */
export function readSpoolOctets(files: Files, path: string, queueId: string, file: Uint8Array): ReadSpoolFile {
  const contentOctets = decodeHead(file);
  const tail = file.subarray(Math.min(HEAD_OCTETS + contentOctets, file.length));
  return messageFrom(queueId, new FileContent(files, path, contentOctets), tail);
}

function messageFrom(queueId: string, content: FileContent, tail: Uint8Array): ReadSpoolFile {
  const { envelope, events, unreadableLines } = decodeTail(tail, queueId);
  const message = { queueId, envelope, content, recipients: initialStates(envelope), isHeld: false };
  for (const event of events) applyEvent(message, event);
  return { message, events, unreadableLines };
}

/** The content of a message in the queue. */
export class FileContent implements Content {
  readonly octets: number;
  readonly inMemory?: Uint8Array;
  readonly #files: Files;
  readonly #path: string;

  /** Takes the file, the length of the content in it and, where it is at hand, the content. */
  constructor(files: Files, path: string, octets: number, inMemory?: Uint8Array) {
    this.#files = files;
    this.#path = path;
    this.octets = octets;
    if (inMemory !== undefined) this.inMemory = inMemory;
  }

  /** Reads it in pieces of up to 64 KiB. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    if (this.inMemory !== undefined) {
      yield this.inMemory;
      return;
    }
    const file = await this.#files.open(this.#path, { read: true });
    try {
      await file.seek(HEAD_OCTETS, Deno.SeekMode.Start);
      const buffer = new Uint8Array(Math.min(64 * 1024, this.octets));
      for (let left = this.octets; left > 0;) {
        const length = await file.read(buffer.subarray(0, Math.min(buffer.length, left)));
        if (length === null) throw new SpoolFileError(`The content of spool file "${this.#path}" is cut short`);
        left -= length;
        yield buffer.subarray(0, length);
      }
    } catch (error) {
      throw errorAt(this.#path, "read", error);
    } finally {
      file.close();
    }
  }
}

async function readTail(file: OpenFile, start: number): Promise<Uint8Array> {
  await file.seek(start, Deno.SeekMode.Start);
  let buffer = new Uint8Array(READ_OCTETS);
  let length = await readFully(file, buffer);
  while (length === buffer.length) {
    const larger = new Uint8Array(buffer.length * 2);
    larger.set(buffer);
    buffer = larger;
    length += await readFully(file, buffer.subarray(length));
  }
  return buffer.subarray(0, length);
}
