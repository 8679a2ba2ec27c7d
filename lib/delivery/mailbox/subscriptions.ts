/**
 * The folders that a mailbox subscribes to, as IMAP servers keep them: `subscriptions` of Dovecot, and
 * `courierimapsubscribed` of Courier where it is there already. Lines are only ever added.
 */

import type { Clock } from "../../system/clock.ts";
import { type Files, isThere, type OpenFile, plainly, readFully, writeAll } from "../../system/files.ts";

/** Nobody subscribes to more: such a file is not a list of folders. */
const MAX_FILE_OCTETS = 4 * 1024 * 1024;
/** Programs hold the lock for milliseconds. Dovecot takes it away after 30 s; we wait until that is over. */
const STALE_LOCK_MS = 60_000;
const LOCK_WAIT_MS = 50;
const LOCK_TRIES = 60;

/** The first lines of Dovecot's version 2, written since 2.3: levels are separated by tabs. Before, lines were names. */
const VERSION_2 = "V\t2\n\n";

const encoder = new TextEncoder();

/** Another program holds the lock of a list, or has died with it less than a minute ago: try again later. */
export class ListLockedError extends Error {}

/** Where the list is, and what tells how long a lock has been there. */
export interface SubscriptionOptions {
  /** The disk. */
  readonly files: Files;
  /** Its wall clock is compared with the times of files. */
  readonly clock: Clock;
}

/**
 * Adds a folder to the lists of its mailbox, where it is not there yet. Durable once the mailbox's folder is synced.
 *
 * @param mailbox Path of the mailbox; exists.
 * @param folder Name on the disk, e.g. `.Archive.2026`, in US-ASCII.
 * @throws {ListLockedError} After three seconds.
 * @throws {Error} What the disk said. The list is as it was then.
 */
export async function subscribe(options: SubscriptionOptions, mailbox: string, folder: string): Promise<void> {
  const name = folder.slice(1);
  await addLine(options, `${mailbox}/subscriptions`, (text) => {
    return text.startsWith(VERSION_2) ? name.replaceAll(".", "\t") : name;
  });
  const courierFile = `${mailbox}/courierimapsubscribed`;
  if (await isThere(options.files, courierFile)) await addLine(options, courierFile, () => `INBOX${folder}`);
}

/**
 * Writes the new list into the lock file, which then takes the place of the old one. Dovecot does the same under the same
 * name, so neither loses what the other adds. Courier has no lock.
 */
async function addLine(options: SubscriptionOptions, path: string, lineFor: (text: string) => string): Promise<void> {
  const { files } = options;
  const lock = `${path}.lock`;
  const file = await openLock(options, lock);
  try {
    let isChanged = false;
    try {
      const octets = await readIfThere(files, path);
      // Lines of others may be anything: they are compared as text, and kept as octets.
      const text = new TextDecoder().decode(octets);
      const line = lineFor(text);
      if (!text.split("\n").includes(line)) {
        const gap = octets.length === 0 || octets.at(-1) === 0x0a ? "" : "\n";
        await writeAll(file, octets);
        await writeAll(file, encoder.encode(`${gap}${line}\n`));
        await file.sync();
        isChanged = true;
      }
    } finally {
      file.close();
    }
    await (isChanged ? files.rename(lock, path) : files.remove(lock));
  } catch (error) {
    await files.remove(lock).catch(() => undefined);
    throw error;
  }
}

async function openLock({ files, clock }: SubscriptionOptions, lock: string): Promise<OpenFile> {
  for (let tries = 1;; tries++) {
    try {
      return await files.open(lock, { write: true, createNew: true, mode: 0o600 });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      if (tries === LOCK_TRIES) throw new ListLockedError(`Cannot lock "${lock}": another program holds it`);
    }
    if (await isStale({ files, clock }, lock)) {
      await files.remove(lock).catch(() => undefined);
    } else {
      await clock.sleep(LOCK_WAIT_MS);
    }
  }
}

async function isStale({ files, clock }: SubscriptionOptions, lock: string): Promise<boolean> {
  try {
    const { mtime } = await files.stat(lock);
    // One from the future was made before somebody set a clock.
    return mtime !== null && Math.abs(clock.now() - mtime.getTime()) > STALE_LOCK_MS;
  } catch {
    return false;
  }
}

async function readIfThere(files: Files, path: string): Promise<Uint8Array> {
  let file: OpenFile;
  try {
    file = await plainly(files).open(path, { read: true });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Uint8Array(0);
    throw error;
  }
  try {
    const { size } = await file.stat();
    if (size > MAX_FILE_OCTETS) throw new RangeError(`Cannot read "${path}": ${size} octets are too many`);
    const octets = new Uint8Array(size);
    return octets.subarray(0, await readFully(file, octets));
  } finally {
    file.close();
  }
}
