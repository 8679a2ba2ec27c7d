/**
 * Makes the folders of mailboxes, and makes sure that a power failure cannot take them away with mail in them. A mailbox
 * that was there before is not made a second time: its disk may not be mounted, and mail would lie below the mount point.
 */

import { domainOf } from "../mail/mailbox.ts";
import { type Files, parentOf } from "../system/files.ts";
import type { FolderSync } from "../system/folder_sync.ts";
import { mailboxFolder } from "./maildir_name.ts";
import type { MailboxRegistry } from "./mailbox_registry.ts";
import { MailboxGone } from "./mailbox_trouble.ts";

/** Mailboxes remembered as durable; beyond that the one remembered longest is checked again. */
const MAX_REMEMBERED = 10_000;

/** The folders of a Maildir. */
const FOLDERS = ["tmp", "new", "cur"];

/** What {@link MaildirFolders} needs. */
export interface MaildirFoldersOptions {
  /** Folder of all domains. */
  readonly mailRoot: string;
  /** The disk. */
  readonly files: Files;
  /** Its owner disposes of it. */
  readonly folderSync: FolderSync;
  /** Knows the mailboxes of earlier runs. */
  readonly registry: MailboxRegistry;
}

/** The Maildirs below one root. */
export class MaildirFolders {
  readonly #options: MaildirFoldersOptions;
  /** By account: fulfilled once the folders exist durably. */
  readonly #prepared = new Map<string, Promise<void>>();

  /** Touches no file yet. */
  constructor(options: MaildirFoldersOptions) {
    this.#options = options;
  }

  /**
   * Makes `tmp`, `new` and `cur` of a mailbox that never was (mode 0700), and syncs their parents. That happens once for
   * a mailbox, even where the folders exist: an earlier run may have died between making and syncing them. Concurrent
   * deliveries to a new mailbox all wait for it.
   *
   * @param account Its address.
   * @throws {MailboxGone} It was there before, and is not complete any more.
   * @throws {Deno.errors} What the disk said; the next call tries again.
   */
  prepare(account: string): Promise<void> {
    const known = this.#prepared.get(account);
    if (known !== undefined) return known;
    const preparing = this.#prepare(account);
    this.#prepared.set(account, preparing);
    preparing.catch(() => {
      if (this.#prepared.get(account) === preparing) this.#prepared.delete(account);
    });
    if (this.#prepared.size > MAX_REMEMBERED) this.#forgetOldest();
    return preparing;
  }

  /** Tells that folders of the mailbox were found missing after all: they are looked at again. */
  forget(account: string): void {
    this.#prepared.delete(account);
    const { mailRoot, folderSync } = this.#options;
    const mailbox = mailboxFolder(mailRoot, account);
    for (const folder of [`${mailbox}/new`, mailbox, parentOf(mailbox), mailRoot]) folderSync.forget(folder);
  }

  async #prepare(account: string): Promise<void> {
    const { mailRoot, registry } = this.#options;
    const mailbox = mailboxFolder(mailRoot, account);
    if (!await this.#isComplete(mailbox)) {
      await this.#refuseGone(mailbox, account);
      await this.make(account);
    } else {
      await this.#sync(mailbox);
    }
    // Last: what is in the registry is never made again.
    await registry.add(account);
  }

  /** Makes the folders whether the mailbox was there before or not, and does not note it. @throws {Deno.errors} */
  async make(account: string): Promise<void> {
    const { files, mailRoot } = this.#options;
    const mailbox = mailboxFolder(mailRoot, account);
    for (const name of FOLDERS) await files.makeFolder(`${mailbox}/${name}`, 0o700);
    await this.#sync(mailbox);
  }

  async #isComplete(mailbox: string): Promise<boolean> {
    for (const name of FOLDERS) if (!await this.#isFolder(`${mailbox}/${name}`)) return false;
    return true;
  }

  /**
   * Looks whether the mailbox was there before, or others were where it would be made.
   *
   * @throws {MailboxGone} With the outermost folder that is missing.
   */
  async #refuseGone(mailbox: string, account: string): Promise<void> {
    const { mailRoot, registry } = this.#options;
    const gone = (folder: string): MailboxGone => new MailboxGone(folder, account);
    if (!await registry.hasAny()) return;
    if (await this.#isEmpty(mailRoot)) throw gone(mailRoot);
    if (await registry.hasAny(domainOf(account)) && await this.#isEmpty(parentOf(mailbox))) {
      throw gone(parentOf(mailbox));
    }
    if (!await registry.has(account)) return;
    for (const folder of [mailbox, ...FOLDERS.map((name) => `${mailbox}/${name}`)]) {
      if (!await this.#isFolder(folder)) throw gone(folder);
    }
  }

  /** @throws {Deno.errors} It cannot be told, or something else has its place. */
  async #isFolder(path: string): Promise<boolean> {
    try {
      const { isDirectory } = await this.#options.files.stat(path);
      if (!isDirectory) throw new Error(`Not a directory (os error 20): stat '${path}'`);
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }

  /** True also for a folder that is missing. */
  async #isEmpty(folder: string): Promise<boolean> {
    try {
      for await (const _ of this.#options.files.list(folder)) return false;
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return true;
      throw error;
    }
  }

  async #sync(mailbox: string): Promise<void> {
    const { mailRoot, folderSync } = this.#options;
    const parents = [mailbox, parentOf(mailbox), mailRoot];
    await Promise.all(parents.map((folder) => folderSync.sync(folder)));
    try {
      await folderSync.sync(parentOf(mailRoot));
    } catch (error) {
      // The folder above the root may belong to somebody else; then it was not us who made the root in it.
      if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    }
  }

  #forgetOldest(): void {
    for (const account of this.#prepared.keys()) {
      this.#prepared.delete(account);
      return;
    }
  }
}
