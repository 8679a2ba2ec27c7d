/** One change of the accounts file at a time: two commands that read the same file would lose one of their changes. */

import type { Clock } from "../system/clock.ts";
import type { Files, OpenFile } from "../system/files.ts";

/** What the lock is taken with. */
export interface AccountsLockOptions {
  /** The accounts file; the lock file lies beside it, is made where missing, and never removed. */
  readonly file: string;
  /** The file system. */
  readonly files: Files;
  /** Waits for the other command. */
  readonly clock: Clock;
  /** Gives a lock file that was made to the user that the server runs as. */
  giveToUser?(path: string): Promise<void>;
}

/** Thrown where another command does not come to its end. */
export class AccountsInUseError extends Error {
  /** Stands in front of the message in logs and stack traces. */
  override readonly name = "AccountsInUseError";
}

/** A change takes milliseconds. Longer than this takes only what hangs, and nobody should wait for that unknowingly. */
const PATIENCE_MS = 10_000;
const LOOK_EVERY_MS = 20;

/**
 * Waits until nobody else changes the accounts. The kernel gives the lock back when the process dies. On file
 * systems without locks there is none.
 *
 * @throws {AccountsInUseError} After 10 s.
 */
export async function lockAccounts(options: AccountsLockOptions): Promise<Disposable> {
  const { file, clock } = options;
  const lockFile = await openLockFile(options);
  try {
    const giveUpAt = clock.monotonic() + PATIENCE_MS;
    while (!await tryLock(lockFile)) {
      if (clock.monotonic() >= giveUpAt) {
        throw new AccountsInUseError(`Cannot change "${file}": another command has been changing it for 10 s`);
      }
      await clock.sleep(LOOK_EVERY_MS);
    }
  } catch (error) {
    lockFile.close();
    throw error;
  }
  return { [Symbol.dispose]: () => lockFile.close() };
}

async function openLockFile({ file, files, giveToUser }: AccountsLockOptions): Promise<OpenFile> {
  const path = `${file}.lock`;
  const openThere = (): Promise<OpenFile> => files.open(path, { read: true, write: true });
  try {
    return await openThere();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  try {
    // Not `create`: it would follow a symbolic link that somebody else put there, and make a file where that leads.
    const made = await files.open(path, { read: true, write: true, createNew: true, mode: 0o600 });
    await giveToUser?.(path);
    return made;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return await openThere();
    throw error;
  }
}

/** Some network file systems know no locks: a change there is no worse off than it would be without this file. */
async function tryLock(lockFile: OpenFile): Promise<boolean> {
  try {
    if (lockFile.tryLock !== undefined) return await lockFile.tryLock(true);
    // Before Deno 2.6 one can only wait.
    await lockFile.lock?.(true);
  } catch {
    return true;
  }
  return true;
}
