/** Reads, extends and replaces `maildirsize` on disk. Nothing of it is synced: losing it costs a walk, and no mail. */

import { type Files, plainly, readSmallText, writeAll } from "../../system/files.ts";

/** By which a change of the file by somebody else is noticed. */
export interface FileState {
  /** Octets. */
  readonly size: number;
  /** Milliseconds since 1970; undefined where it is not known. */
  readonly mtimeMs: number | undefined;
}

/** Far more than the size at which it is made anew. */
const MAX_OCTETS = 64 * 1024;

const encoder = new TextEncoder();

/** The path of the file of a mailbox. */
export function maildirsizePath(mailbox: string): string {
  return `${mailbox}/maildirsize`;
}

/** Looks at the file without reading it; undefined where there is none. @throws {Deno.errors} What the disk said. */
export async function stateOf(files: Files, mailbox: string): Promise<FileState | undefined> {
  try {
    const { size, mtime } = await files.stat(maildirsizePath(mailbox));
    return { size, mtimeMs: mtime?.getTime() };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether the file is as it was. */
export function isUnchanged(before: FileState | undefined, now: FileState): boolean {
  return before?.size === now.size && (before.mtimeMs === undefined || before.mtimeMs === now.mtimeMs);
}

/**
 * Reads the file.
 *
 * @throws {RangeError} It is so long that nobody can have written it in earnest.
 * @throws {Deno.errors} What the disk said; NotFound where there is none.
 */
export function readMaildirsize(files: Files, mailbox: string): Promise<string> {
  return readSmallText(plainly(files), maildirsizePath(mailbox), MAX_OCTETS);
}

/**
 * Adds a line, in one write at the end: several programs may do so at the same time.
 *
 * @throws {Deno.errors.NotFound} There is no file: somebody is about to make a new one, or nobody ever did.
 * @throws {Error} What else the disk said, or that it took a part of the line only.
 */
export async function appendLine(files: Files, mailbox: string, line: string): Promise<void> {
  const octets = encoder.encode(line);
  const file = await plainly(files).open(maildirsizePath(mailbox), { append: true });
  try {
    const written = await file.write(octets);
    if (written < octets.length) throw new Error(`Cannot write "${maildirsizePath(mailbox)}": a part was taken only`);
  } finally {
    file.close();
  }
}

/**
 * Puts a new file in the place of the old one, by way of `tmp/`.
 *
 * @param name Of the temporary file; nobody else uses it.
 * @throws {Deno.errors} What the disk said; NotFound where the mailbox has no folders yet.
 */
export async function replaceMaildirsize(files: Files, mailbox: string, text: string, name: string): Promise<void> {
  const temporary = `${mailbox}/tmp/${name}`;
  const file = await files.open(temporary, { write: true, createNew: true, mode: 0o600 });
  try {
    try {
      await writeAll(file, encoder.encode(text));
    } finally {
      file.close();
    }
    await files.rename(temporary, maildirsizePath(mailbox));
  } catch (error) {
    await files.remove(temporary).catch(() => undefined);
    throw error;
  }
}

/** Takes the file away, so that whoever needs it next counts anew. @throws {Deno.errors} What the disk said. */
export async function removeMaildirsize(files: Files, mailbox: string): Promise<void> {
  try {
    await files.remove(maildirsizePath(mailbox));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
