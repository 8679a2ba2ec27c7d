/** How much is in a mailbox, counted on disk. */

import type { Files } from "../../system/files.ts";

/** What a mailbox holds, in all its folders. */
export interface MailboxUsage {
  /** Files in `new` and `cur`. */
  readonly messages: number;
  /** Their sizes together. */
  readonly octets: number;
}

/** The size that a file name gives (Maildir++), in front of its flags. */
const SIZE_IN_NAME = /^[^:]*?,S=(\d{1,15})(?=[,:]|$)/;

/**
 * Counts the messages of a mailbox: `new` and `cur` of the Maildir and of its folders (Maildir++, `.Name`). Only where a name
 * does not give its size is the file asked.
 *
 * @param mailbox The folder of the mailbox. Without it there is nothing in it.
 * @throws {Deno.errors} For a folder that cannot be read.
 */
export async function mailboxUsage(files: Pick<Files, "list" | "stat">, mailbox: string): Promise<MailboxUsage> {
  let messages = 0;
  let octets = 0;
  for (const maildir of [mailbox, ...await foldersOf(files, mailbox)]) {
    for (const part of ["new", "cur"]) {
      for await (const name of namesIn(files, `${maildir}/${part}`)) {
        const size = await sizeOf(files, `${maildir}/${part}`, name);
        if (size === undefined) continue;
        messages++;
        octets += size;
      }
    }
  }
  return { messages, octets };
}

async function foldersOf(files: Pick<Files, "list">, mailbox: string): Promise<readonly string[]> {
  const folders: string[] = [];
  try {
    for await (const { name, isDirectory } of files.list(mailbox)) {
      if (isDirectory && name.startsWith(".")) folders.push(`${mailbox}/${name}`);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return folders;
}

async function* namesIn(files: Pick<Files, "list">, folder: string): AsyncGenerator<string> {
  try {
    for await (const { name, isFile } of files.list(folder)) {
      // A leading dot: no message (https://cr.yp.to/proto/maildir.html).
      if (isFile && !name.startsWith(".")) yield name;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Undefined: a mail program moved or removed it while we counted. */
async function sizeOf(files: Pick<Files, "stat">, folder: string, name: string): Promise<number | undefined> {
  const given = SIZE_IN_NAME.exec(name)?.[1];
  if (given !== undefined) return Number(given);
  try {
    return (await files.stat(`${folder}/${name}`)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
