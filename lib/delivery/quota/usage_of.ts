/** What a mailbox holds, for whoever asks once: commands of operators. */

import type { Files } from "../../system/files.ts";
import type { Usage } from "./limits.ts";
import { parseMaildirsize } from "./maildirsize.ts";
import { readMaildirsize } from "./maildirsize_file.ts";
import { measureMailbox } from "./measure.ts";

/**
 * Reads the quota file of a mailbox; where there is none, or it cannot be read or has no sense, counts the mailbox. Writes nothing.
 *
 * @param mailbox Its folder; nothing is in one that does not exist.
 * @throws {Deno.errors} What the disk said about the mailbox.
 */
export async function usageOf(mailbox: string, files: Files): Promise<Usage> {
  const text = await readMaildirsize(files, mailbox).catch(() => "");
  return parseMaildirsize(text)?.usage ?? (await measureMailbox(files, mailbox)).usage;
}
