/** Reads the messages of a spool on disk without opening it: for looking on while a server runs. */

import type { Files, FolderEntry } from "../system/files.ts";
import { isQueueId } from "./queue_id.ts";
import type { QueuedMessage } from "./spool.ts";
import { SpoolFileError } from "./spool_json.ts";
import { READ_OCTETS, readSpoolFile } from "./spool_read.ts";

/**
 * Yields the messages of the queue in no order. What goes away meanwhile, or cannot be understood, is passed over.
 *
 * @param folder The spool folder.
 */
export async function* listSpool(files: Files, folder: string): AsyncGenerator<QueuedMessage> {
  const buffer = new Uint8Array(READ_OCTETS);
  for await (const bucket of entries(files, `${folder}/queue`)) {
    if (!bucket.isDirectory) continue;
    for await (const { name } of entries(files, `${folder}/queue/${bucket.name}`)) {
      if (!isQueueId(name)) continue;
      try {
        const path = `${folder}/queue/${bucket.name}/${name}`;
        yield (await readSpoolFile(files, path, name, buffer, false)).message;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound || error instanceof SpoolFileError)) throw error;
      }
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
