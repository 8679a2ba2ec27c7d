/** Reads the messages of a spool on disk without opening it: for looking on while a server runs. */

import type { Files, FolderEntry } from "../system/files.ts";
import { bucketOf, isQueueId } from "./queue_id.ts";
import type { QueuedMessage } from "./spool.ts";
import { SpoolFileError } from "./spool_json.ts";
import { READ_OCTETS, type ReadSpoolFile, readSpoolFile } from "./spool_read.ts";

/** Files that are read at the same time. */
const READERS = 16;

/**
 * Yields the messages of the queue in no order. What goes away meanwhile, or cannot be understood, is passed over.
 *
 * @param folder The spool folder.
 */
export async function* listSpool(files: Files, folder: string): AsyncGenerator<QueuedMessage> {
  const buffer = new Uint8Array(READ_OCTETS);
  for await (const queueId of queueIds(files, folder)) {
    const read = await readOrPassOver(files, folder, queueId, buffer);
    if (read !== undefined) yield read.message;
  }
}

/** The ids of the queue, those that began to arrive first in front: an id begins with its time. No file is read. */
export async function listQueueIds(files: Files, folder: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const id of queueIds(files, folder)) ids.push(id);
  return ids.sort();
}

/**
 * Yields the messages with these ids, in this order; some are read ahead. What is not there, or cannot be understood, is
 * passed over.
 */
export async function* readMessages(
  files: Files,
  folder: string,
  ids: Iterable<string>,
): AsyncGenerator<QueuedMessage> {
  const buffers = Array.from({ length: READERS }, () => new Uint8Array(READ_OCTETS));
  const reading: { readonly buffer: Uint8Array; readonly read: Promise<ReadSpoolFile | undefined> }[] = [];
  try {
    for (const queueId of ids) {
      const oldest = reading.length < READERS ? undefined : reading.shift();
      const message = (await oldest?.read)?.message;
      if (message !== undefined) yield message;
      const buffer = oldest?.buffer ?? buffers.pop() ?? new Uint8Array(READ_OCTETS);
      const read = readOrPassOver(files, folder, queueId, buffer);
      // It is awaited later, or not at all: its failure is no surprise until then.
      read.catch(() => {});
      reading.push({ buffer, read });
    }
    for (let next = reading.shift(); next !== undefined; next = reading.shift()) {
      const message = (await next.read)?.message;
      if (message !== undefined) yield message;
    }
  } finally {
    // Whoever stops early must not leave files open.
    await Promise.allSettled(reading.map(({ read }) => read));
  }
}

/**
 * Reads one message with its journal; undefined where there is none of the id.
 *
 * @throws {SpoolFileError} It cannot be understood.
 */
export async function readMessage(files: Files, folder: string, queueId: string): Promise<ReadSpoolFile | undefined> {
  if (!isQueueId(queueId)) return undefined;
  try {
    const path = messagePath(folder, queueId);
    return await readSpoolFile(files, path, queueId, new Uint8Array(READ_OCTETS), false);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Where the file of a message is. The id was checked with `isQueueId`. */
export function messagePath(folder: string, queueId: string): string {
  return `${folder}/queue/${bucketOf(queueId)}/${queueId}`;
}

async function readOrPassOver(
  files: Files,
  folder: string,
  queueId: string,
  buffer: Uint8Array,
): Promise<ReadSpoolFile | undefined> {
  try {
    return await readSpoolFile(files, messagePath(folder, queueId), queueId, buffer, false);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SpoolFileError) return undefined;
    throw error;
  }
}

async function* queueIds(files: Files, folder: string): AsyncGenerator<string> {
  for await (const bucket of entries(files, `${folder}/queue`)) {
    if (!bucket.isDirectory) continue;
    for await (const { name } of entries(files, `${folder}/queue/${bucket.name}`)) {
      if (isQueueId(name) && bucketOf(name) === bucket.name) yield name;
    }
  }
}

async function* entries(files: Files, path: string): AsyncGenerator<FolderEntry> {
  try {
    yield* files.list(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
