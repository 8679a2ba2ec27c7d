/** The folders in mailboxes: found by name, made where wanted, and kept from a power failure while they get mail. */

import type { Logger } from "../../log/logger.ts";
import { foldAddress } from "../../mail/fold.ts";
import type { Clock } from "../../system/clock.ts";
import type { Files } from "../../system/files.ts";
import type { FolderSync } from "../../system/folder_sync.ts";
import { folderName, folderOnDisk, INBOX_FOLDER } from "./folder_name.ts";
import { ListLockedError, subscribe } from "./subscriptions.ts";

/**
 * Finds a folder of a mailbox that is there now: the one of exactly this name, or one that differs in nothing but case or
 * the way its name is encoded. The folders are listed only where the exact name is not there, and are not remembered: a mail
 * reader may have made the folder a second ago.
 *
 * @param mailbox Path of the mailbox; need not exist.
 * @param name As people write it; anything is taken.
 * @param list Lists the folders, as `listFolders`; for callers who look for several at the same time.
 * @returns Its name on the disk, `INBOX_FOLDER` for the inbox; undefined where there is none.
 * @throws {Deno.errors} What the disk said, other than that something is missing.
 */
export async function findFolder(
  files: Files,
  mailbox: string,
  name: string,
  list: () => Promise<FolderList> = () => listFolders(files, mailbox),
): Promise<string | undefined> {
  const exact = folderOnDisk(name);
  if (exact === undefined || exact === INBOX_FOLDER || await isFolder(files, `${mailbox}/${exact}`)) return exact;
  const wanted = foldAddress(folderName(exact) ?? "");
  // Always the same one of several.
  const alike = [...(await list()).get(wanted) ?? []].sort();
  for (const folder of alike) if (await isFolder(files, `${mailbox}/${folder}`)) return folder;
  return undefined;
}

/** A name on the disk as names are compared. Most are plain, and a mailbox may have hundreds. */
function foldFolder(folder: string): string | undefined {
  if (/^[\x20-\x25\x27-\x7e]*$/.test(folder)) return folder.slice(1).toLowerCase();
  const name = folderName(folder);
  return name === undefined ? undefined : foldAddress(name);
}

/** A folder is one once it has `cur`: Dovecot sees it so, and we make that last. Symbolic links are followed. */
async function isFolder(files: Files, path: string): Promise<boolean> {
  try {
    return (await files.stat(`${path}/cur`)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    throw error;
  }
}

/** Makes an empty file, unless there is anything of that name. */
async function makeFile(files: Files, path: string): Promise<void> {
  try {
    (await files.open(path, { write: true, createNew: true, mode: 0o600 })).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/** What may be folders of a mailbox: names on the disk, by the name as names are compared. */
export type FolderList = ReadonlyMap<string, readonly string[]>;

/** Lists what may be folders of a mailbox; none where there is no mailbox. */
export async function listFolders(files: Files, mailbox: string): Promise<FolderList> {
  const folders = new Map<string, string[]>();
  try {
    for await (const { name, isFile } of files.list(mailbox)) {
      const folded = name.startsWith(".") && !isFile ? foldFolder(name) : undefined;
      if (folded === undefined) continue;
      const alike = folders.get(folded);
      if (alike === undefined) folders.set(folded, [name]);
      else alike.push(name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return folders;
}

/** What making folders needs. */
export interface SubfoldersOptions {
  /** The disk. */
  readonly files: Files;
  /** For waits on the lock of a list of subscriptions. */
  readonly clock: Clock;
  /** Shared with others or own. */
  readonly folderSync: FolderSync;
  /** Is told of folders that were made, and of subscriptions that could not be. */
  readonly logger: Logger;
}

/** Makes folders of mailboxes ready for mail. */
export class Subfolders {
  readonly #options: SubfoldersOptions;
  /** By mailbox: what is being made in it. One after the other, so that each sees what the last has made. */
  readonly #making = new Map<string, Promise<void>>();

  /** Touches no file yet. */
  constructor(options: SubfoldersOptions) {
    this.#options = options;
  }

  /**
   * Makes sure that a folder is there, and that no power failure can take it away. Folders that others made are synced,
   * too, each time: IMAP servers do not sync them, and may make one again that they removed.
   *
   * @param mailbox Path of the mailbox; exists durably.
   * @param folder Name on the disk.
   * @param isMade It is made where missing.
   * @returns Whether the folder is there. False only where it is missing and `isMade` is false.
   * @throws {Deno.errors} What the disk said.
   */
  async prepare(mailbox: string, folder: string, isMade: boolean): Promise<boolean> {
    const { files, folderSync } = this.#options;
    const path = `${mailbox}/${folder}`;
    if (!await isFolder(files, path)) {
      if (!isMade) return false;
      await this.#make(mailbox, folder);
    }
    await Promise.all([path, mailbox].map((each) => folderSync.sync(each)));
    return true;
  }

  /**
   * Tells that something was found missing in a folder: somebody removed it, or its `tmp` or `new`, which are made again.
   *
   * @throws {Deno.errors} What the disk said.
   */
  async mend(mailbox: string, folder: string): Promise<void> {
    const { files } = this.#options;
    const path = `${mailbox}/${folder}`;
    this.#forget(path);
    if (!await isFolder(files, path)) return;
    for (const name of ["tmp", "new"]) await files.makeFolder(`${path}/${name}`, 0o700);
  }

  #make(mailbox: string, folder: string): Promise<void> {
    const before = this.#making.get(mailbox) ?? Promise.resolve();
    const making = before.catch(() => undefined).then(() => this.#makeNow(mailbox, folder));
    this.#making.set(mailbox, making);
    const done = (): void => {
      if (this.#making.get(mailbox) === making) this.#making.delete(mailbox);
    };
    making.then(done, done);
    return making;
  }

  async #makeNow(mailbox: string, folder: string): Promise<void> {
    const { files, logger } = this.#options;
    const path = `${mailbox}/${folder}`;
    if (await isFolder(files, path)) return;
    // Before the folder: a crash in between leaves a subscription to make up for, not a folder that nobody sees.
    await this.#subscribe(mailbox, folder);
    for (const name of ["tmp", "new"]) await files.makeFolder(`${path}/${name}`, 0o700);
    // Tells maildrop and Courier that the quota of the mailbox counts here.
    await makeFile(files, `${path}/maildirfolder`);
    await files.makeFolder(`${path}/cur`, 0o700);
    this.#forget(path);
    logger.info('Made folder "{name}" in mailbox {mailbox}', { name: folderName(folder) ?? folder, mailbox });
  }

  /** What is open may be a folder that was removed. */
  #forget(path: string): void {
    for (const each of [path, `${path}/new`, `${path}/cur`]) this.#options.folderSync.forget(each);
  }

  async #subscribe(mailbox: string, folder: string): Promise<void> {
    try {
      await subscribe(this.#options, mailbox, folder);
      await this.#options.folderSync.sync(mailbox);
    } catch (error) {
      if (error instanceof ListLockedError) throw error;
      // Nobody's mail shall wait for what the user can mend with a click.
      this.#options.logger.warning(
        'Made folder "{name}" without subscribing to it, in mailbox {mailbox}: {reason}',
        {
          name: folderName(folder) ?? folder,
          mailbox,
          reason: error instanceof Error ? error.message : String(error),
        },
      );
    }
  }
}
