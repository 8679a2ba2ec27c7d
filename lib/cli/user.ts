/** `posthorn user`: mailboxes and their passwords in the accounts file. */

import { dirname } from "node:path";
import { editAccounts, loadAccounts, type PasswordKeys } from "../config/accounts.ts";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { foldAddress } from "../mail/fold.ts";
import { domainOf, hasUsualLength, parseMailbox } from "../mail/mailbox.ts";
import { passwordKeys } from "../sasl/new_password.ts";
import { systemFiles } from "../system/files.ts";
import { UsageError } from "./command_line.ts";
import { CommandError } from "./command_error.ts";
import { processIo } from "./find_config.ts";
import { giveDataFolder, giveToUser } from "./become_user.ts";
import { readNewPassword } from "./read_password.ts";
import { forgetMailbox, makeMailbox } from "./user_mailbox.ts";
import { DATA_ERROR } from "../system/sysexits.ts";

/**
 * Carries out `user add|password|remove|list`.
 *
 * @returns What goes to standard output.
 * @throws {CommandError} Where the mailbox is there already, or not there.
 */
export async function user(file: string, words: readonly string[], isJson: boolean): Promise<string> {
  const [action, rawAddress, ...more] = words;
  const config = await loadConfig(file, processIo);
  if (action === "list" && rawAddress === undefined) return await list(config, isJson);
  if (rawAddress === undefined || more.length > 0) throw new UsageError("user add|password|remove ADDRESS, user list");
  const address = addressOf(rawAddress, config);
  switch (action) {
    case "add":
      return await change(config, { kind: "add", address, keys: await newKeys() });
    case "password":
      return await change(config, { kind: "password", address, keys: await newKeys() });
    case "remove":
      return await change(config, { kind: "remove", address });
    case "mailbox":
      return await makeMailbox(config, address);
    default:
      throw new UsageError(`unknown action "${action}": user add|password|remove|mailbox|list`);
  }
}

async function list(config: Config, isJson: boolean): Promise<string> {
  const accounts = await loadAccounts(config, processIo) ?? [];
  if (isJson) return JSON.stringify(accounts.map(({ address }) => ({ address })), null, 2);
  return accounts.map(({ address }) => address).join("\n");
}

async function newKeys(): Promise<PasswordKeys> {
  return await passwordKeys(await readNewPassword());
}

function addressOf(raw: string, config: Config): string {
  const mailbox = parseMailbox(raw);
  if (mailbox === undefined || !hasUsualLength(mailbox.localPart)) {
    throw new CommandError(DATA_ERROR, `"${raw}" is not a mailbox address`);
  }
  const domain = config.domains.get(domainOf(mailbox.text));
  if (domain === undefined) {
    const ours = [...config.domains.keys()].join(", ");
    throw new CommandError(DATA_ERROR, `"${mailbox.domain}" is none of our domains (${ours})`);
  }
  if (domain.aliasOf !== undefined) {
    throw new CommandError(DATA_ERROR, `"${domain.name}" is an alias of "${domain.aliasOf}": make the mailbox there`);
  }
  return foldAddress(mailbox.text);
}

async function change(config: Config, change: Parameters<typeof editAccounts>[1]): Promise<string> {
  for (const folder of [config.data, dirname(config.accountsFile)]) await systemFiles.makeFolder(folder, 0o700);
  const result = await editAccounts({
    file: config.accountsFile,
    io: processIo,
    files: systemFiles,
    beforePublish: (path) => giveToUser(path, config),
  }, change);
  if (change.kind === "remove" && result === "done") await forgetMailbox(config, change.address);
  await giveDataFolder(config);
  if (result === "exists") {
    throw new CommandError(
      DATA_ERROR,
      `${change.address} exists already; \`posthorn user password\` gives it a new password`,
    );
  }
  if (result === "absent") {
    throw new CommandError(
      DATA_ERROR,
      `there is no ${change.address}; \`posthorn user list\` shows those that are there`,
    );
  }
  const done = { add: "added", password: "has a new password", remove: "removed" }[change.kind];
  return `${change.address} ${done}; a running server knows after SIGHUP (systemctl reload posthorn, or kill -HUP)`;
}
