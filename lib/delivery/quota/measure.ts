/**
 * Counts what a mailbox holds: all messages in `new` and `cur` of INBOX and of its Maildir++ folders.
 *
 * Trash counts as well, and so do messages marked as deleted: Dovecot, whose IMAP users see the sum, counts them, and they
 * take their place on the disk. Courier leaves both out unless it was built otherwise (README.maildirquota, "Quotas and
 * deleted messages"); where it works on the same mailboxes, its sums are lower than ours.
 */

import type { Files } from "../../system/files.ts";
import type { Usage } from "./limits.ts";

/** What was found. */
export interface Measurement {
  /** Of all folders. */
  readonly usage: Usage;
  /** Nothing came or went meanwhile, as far as the times of the folders tell. */
  readonly isSettled: boolean;
  /** Folders that could not be read, with the reason; they are missing in `usage`. */
  readonly problems: readonly string[];
}

/** Messages without a size in their names that are looked at together. */
const STATS_AT_A_TIME = 16;

/**
 * The size in a file name: the first `,S=` in front of the flags, and its digits.
 *
 * @returns Undefined where the name does not tell.
 */
export function sizeInName(name: string): number | undefined {
  const [base = ""] = name.split(":", 1);
  const at = base.indexOf(",S=");
  const [, digits] = /^(\d{1,15})(?:,|$)/.exec(at < 0 ? "" : base.slice(at + 3)) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/**
 * Counts. Takes time and disk with the number of files, but little memory; a mailbox that is not there is empty.
 *
 * @param mailbox Its folder.
 * @throws {Deno.errors} What the disk said about the mailbox itself.
 */
export async function measureMailbox(files: Files, mailbox: string): Promise<Measurement> {
  const problems: string[] = [];
  const before = new Map<string, number | undefined>();
  let [octets, messages] = [0, 0];
  for (const folder of await foldersOf(files, mailbox)) {
    for (const path of [`${folder}/new`, `${folder}/cur`]) {
      try {
        before.set(path, await changedMs(files, path));
        const found = await measureFolder(files, path);
        octets += found.octets;
        messages += found.messages;
      } catch (error) {
        if (!isGone(error)) problems.push(error instanceof Error ? error.message : String(error));
      }
    }
  }
  let isSettled = true;
  for (const [path, timeMs] of before) {
    if (await changedMs(files, path).catch(() => NaN) !== timeMs) isSettled = false;
  }
  return { usage: { octets, messages }, isSettled, problems };
}

/** INBOX and the folders below it: hidden ones, as Maildir++ has them. */
async function foldersOf(files: Files, mailbox: string): Promise<readonly string[]> {
  const folders = [mailbox];
  try {
    for await (const { name, isFile } of files.list(mailbox)) {
      // A link may lead to a folder elsewhere.
      if (/^\.[^.]/.test(name) && !isFile) folders.push(`${mailbox}/${name}`);
    }
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  return folders;
}

async function measureFolder(files: Files, path: string): Promise<Usage> {
  let [octets, messages] = [0, 0];
  let unsized: string[] = [];
  const look = async (): Promise<void> => {
    const sizes = await Promise.all(unsized.map((name) => sizeOnDisk(files, `${path}/${name}`)));
    unsized = [];
    for (const size of sizes) {
      if (size === undefined) continue;
      octets += size;
      messages++;
    }
  };
  for await (const { name, isDirectory } of files.list(path)) {
    if (name.startsWith(".") || isDirectory) continue;
    const size = sizeInName(name);
    if (size === undefined) {
      unsized.push(name);
      if (unsized.length === STATS_AT_A_TIME) await look();
    } else {
      octets += size;
      messages++;
    }
  }
  await look();
  return { octets, messages };
}

/** Undefined where the file has gone meanwhile, and where it is no file. */
async function sizeOnDisk(files: Files, path: string): Promise<number | undefined> {
  try {
    const { size, isDirectory } = await files.stat(path);
    return isDirectory ? undefined : size;
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

async function changedMs(files: Files, path: string): Promise<number | undefined> {
  return (await files.stat(path)).mtime?.getTime();
}

function isGone(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
}
