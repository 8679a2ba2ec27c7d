/** Makes the folders of mailboxes, and makes sure that a power failure cannot take them away with mail in them. */

import { type Files, parentOf } from "../system/files.ts";
import type { FolderSync } from "../system/folder_sync.ts";

/** Mailboxes remembered as durable; beyond that the one remembered longest is checked again. */
const MAX_REMEMBERED = 10_000;

/** The Maildirs below one root. */
export class MaildirFolders {
  readonly #mailRoot: string;
  readonly #files: Files;
  readonly #folderSync: FolderSync;
  /** By mailbox folder: fulfilled once the folders exist durably. */
  readonly #prepared = new Map<string, Promise<void>>();

  /** Touches no file yet. @param mailRoot Folder of all domains. */
  constructor(mailRoot: string, files: Files, folderSync: FolderSync) {
    this.#mailRoot = mailRoot;
    this.#files = files;
    this.#folderSync = folderSync;
  }

  /**
   * Makes `tmp`, `new` and `cur` of a mailbox where missing (mode 0700), and syncs their parents. That happens once for
   * a mailbox, even where the folders exist: an earlier run may have died between making and syncing them. Concurrent
   * deliveries to a new mailbox all wait for it.
   *
   * @throws {Deno.errors} What the disk said; the next call tries again.
   */
  prepare(mailbox: string): Promise<void> {
    const known = this.#prepared.get(mailbox);
    if (known !== undefined) return known;
    const making = this.#make(mailbox);
    this.#prepared.set(mailbox, making);
    making.catch(() => {
      if (this.#prepared.get(mailbox) === making) this.#prepared.delete(mailbox);
    });
    if (this.#prepared.size > MAX_REMEMBERED) this.#forgetOldest();
    return making;
  }

  /** Tells that folders of the mailbox were found missing after all: somebody removed them. */
  forget(mailbox: string): void {
    this.#prepared.delete(mailbox);
    for (const folder of [`${mailbox}/new`, mailbox, parentOf(mailbox), this.#mailRoot]) {
      this.#folderSync.forget(folder);
    }
  }

  async #make(mailbox: string): Promise<void> {
    for (const name of ["tmp", "new", "cur"]) await this.#files.makeFolder(`${mailbox}/${name}`, 0o700);
    const parents = [mailbox, parentOf(mailbox), this.#mailRoot];
    await Promise.all(parents.map((folder) => this.#folderSync.sync(folder)));
    try {
      await this.#folderSync.sync(parentOf(this.#mailRoot));
    } catch (error) {
      // The folder above the root may belong to somebody else; then it was not us who made the root in it.
      if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    }
  }

  #forgetOldest(): void {
    for (const mailbox of this.#prepared.keys()) {
      this.#prepared.delete(mailbox);
      return;
    }
  }
}
