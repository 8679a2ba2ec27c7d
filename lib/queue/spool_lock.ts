/** Keeps two servers off one spool: a file that is locked (flock) for as long as the process lives. */

import { type Files, isOutOfSpace, type OpenFile, writeAll } from "../system/files.ts";

/** What the lock is taken with. */
export interface SpoolLockOptions {
  /** The file system. */
  readonly files: Files;
  /** The lock file; made where missing, never removed. */
  readonly path: string;
  /** The spool folder, for the error. */
  readonly folder: string;
  /** Written into the file for the one who finds it locked. */
  readonly processId: number;
}

/** Thrown where another process works on the spool; the text names it. */
export class SpoolInUseError extends Error {
  /** Stands in front of the message in logs and stack traces. */
  override readonly name = "SpoolInUseError";
}

/** How long to wait where the runtime can only wait for a lock, not try it. */
const PATIENCE_MS = 300;

/**
 * Takes the lock. The kernel gives it back when the file is closed or the process dies, however it dies, so there is no
 * stale lock and no process id to guess about.
 *
 * @returns The open file: closing it releases the lock.
 * @throws {SpoolInUseError} Another process holds it; the text names it.
 */
export async function lockSpool(options: SpoolLockOptions): Promise<OpenFile> {
  const { files, path, folder, processId } = options;
  const file = await files.open(path, { read: true, write: true, create: true, mode: 0o600 });
  let isOurs: boolean;
  try {
    isOurs = await tryLock(file);
    if (isOurs) {
      await writeHolder(file, processId);
      return file;
    }
  } catch (error) {
    file.close();
    throw error;
  }
  const holder = await readHolder(files, path);
  throw new SpoolInUseError(`Cannot lock spool folder "${folder}": in use by ${holder}`);
}

/** Says whether the lock is ours; closes the file where it is not. */
async function tryLock(file: OpenFile): Promise<boolean> {
  if (file.tryLock !== undefined) {
    const isOurs = await file.tryLock(true);
    if (!isOurs) file.close();
    return isOurs;
  }
  if (file.lock === undefined) return true;
  // Before Deno 2.6 there is no tryLock. A lock that comes after we gave up is released by closing the file.
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooLate = new Promise<false>((resolve) => timer = setTimeout(() => resolve(false), PATIENCE_MS));
  const locked = file.lock(true).then(() => true);
  const isOurs = await Promise.race([locked, tooLate]);
  clearTimeout(timer);
  if (!isOurs) locked.catch(() => {}).finally(() => file.close());
  return isOurs;
}

/** Who holds the lock is a courtesy. A full disk must not keep a server from starting: delivering is what empties it. */
async function writeHolder(file: OpenFile, processId: number): Promise<void> {
  try {
    await file.truncate(0);
    await writeAll(file, new TextEncoder().encode(`${processId}\n`));
  } catch (error) {
    if (!isOutOfSpace(error)) throw error;
  }
}

async function readHolder(files: Files, path: string): Promise<string> {
  const octets = new Uint8Array(32);
  const file = await files.open(path, { read: true });
  try {
    const length = await file.read(octets) ?? 0;
    const processId = new TextDecoder().decode(octets.subarray(0, length)).trim();
    return /^\d+$/.test(processId) ? `process ${processId}` : "another process";
  } finally {
    file.close();
  }
}
