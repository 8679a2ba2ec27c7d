/** Reads the one message that `show` and `why` are about. */

import { isQueueId } from "../../queue/queue_id.ts";
import { readMessage } from "../../queue/list_spool.ts";
import { SpoolFileError } from "../../queue/spool_json.ts";
import type { ReadSpoolFile } from "../../queue/spool_read.ts";
import { DATA_ERROR } from "../../system/sysexits.ts";
import { CommandError } from "../command_error.ts";
import type { QueueContext } from "./context.ts";
import { usage } from "./options.ts";

/**
 * Finds the message that the words name.
 *
 * @throws {UsageError} They do not name exactly one.
 * @throws {CommandError} It is not in the queue, or its file cannot be understood.
 */
export async function findMessage(
  { files, folder }: QueueContext,
  action: string,
  words: readonly string[],
): Promise<ReadSpoolFile> {
  const [id, ...more] = words;
  if (id === undefined || more.length > 0) throw usage(`queue ${action} needs one queue id`);
  if (!isQueueId(id)) throw new CommandError(DATA_ERROR, `"${id}" is no queue id; queue list shows them`);
  try {
    const read = await readMessage(files, folder, id);
    if (read !== undefined) return read;
  } catch (error) {
    if (!(error instanceof SpoolFileError)) throw error;
    throw new CommandError(DATA_ERROR, `Cannot understand the file of message ${id}: ${error.message}`, {
      cause: error,
    });
  }
  throw new CommandError(DATA_ERROR, `There is no message ${id} in the queue: the log says what became of it`);
}
