/** `posthorn user mailbox`: makes the folders of a mailbox that was removed on purpose; else its mail would wait for them. */

import process from "node:process";
import { getLogger } from "@logtape/logtape";
import { loadAccounts } from "../config/accounts.ts";
import type { Config } from "../config/config.ts";
import { MailboxRegistry } from "../delivery/mailbox_registry.ts";
import { MaildirFolders } from "../delivery/maildir_folders.ts";
import { mailboxFolder } from "../delivery/maildir_name.ts";
import { parentOf, systemFiles } from "../system/files.ts";
import { FolderSync } from "../system/folder_sync.ts";
import { DATA_ERROR } from "../system/sysexits.ts";
import { becomeOwner, giveFoldersToUser, giveToUser } from "./become_user.ts";
import { CommandError } from "./command_error.ts";
import { processIo } from "./find_config.ts";

/**
 * Makes what is missing of the mailbox of an account, whether it was there before or not. As root, the process becomes the
 * owner of the data for good.
 *
 * @param address Of the account, folded.
 * @returns What goes to standard output.
 * @throws {CommandError} There is no such account.
 * @throws {Deno.errors} What the disk said.
 */
export async function makeMailbox(config: Config, address: string): Promise<string> {
  const accounts = await loadAccounts(config, processIo) ?? [];
  if (!accounts.some((account) => account.address === address)) {
    throw new CommandError(DATA_ERROR, `there is no ${address}; \`posthorn user list\` shows those that are there`);
  }
  // Links in there are that user's: as root we could make and give away whatever they lead to.
  await becomeOwner(config.data, process);
  const mailRoot = `${config.data}/mail`;
  const mailbox = mailboxFolder(mailRoot, address);
  const registry = registryOf(config);
  await using folderSync = new FolderSync(systemFiles);
  await new MaildirFolders({ mailRoot, files: systemFiles, folderSync, registry }).make(address);
  const below = ["tmp", "new", "cur"].map((name) => `${mailbox}/${name}`);
  await giveFoldersToUser([mailRoot, parentOf(mailbox), mailbox, ...below], config);
  await registry.add(address);
  await giveToUser(registryFile(config), config).catch((error: unknown) => {
    // Where it could not be written, the server will.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  return `${address} has its mailbox in ${mailbox}; what waits for it comes with its next attempt ` +
    `(posthorn queue retry --recipient ${address})`;
}

/** Forgets that a mailbox was made, when its account is removed; its folders stay. @throws {Deno.errors} */
export async function forgetMailbox(config: Config, address: string): Promise<void> {
  await registryOf(config).forget(address, (path) => giveToUser(path, config));
}

function registryFile({ data }: Config): string {
  return `${data}/mailboxes`;
}

function registryOf(config: Config): MailboxRegistry {
  return new MailboxRegistry({
    file: registryFile(config),
    files: systemFiles,
    logger: getLogger(["posthorn", "maildir"]),
  });
}
