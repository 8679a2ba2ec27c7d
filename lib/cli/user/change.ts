/** Changes of one account by a command, and what the person at the terminal is told of them. */

import { dirname } from "node:path";
import { loadAccounts } from "../../config/accounts.ts";
import type { Config } from "../../config/config.ts";
import { type AccountChange, editAccounts } from "../../config/edit_accounts.ts";
import { mailboxFolder } from "../../delivery/maildir_name.ts";
import { systemClock } from "../../system/clock.ts";
import { systemFiles } from "../../system/files.ts";
import { DATA_ERROR } from "../../system/sysexits.ts";
import { ACCOUNTS_KNOWN_WITHIN_S } from "../accounts_watch.ts";
import { giveDataFolder, giveToUser } from "../become_user.ts";
import { CommandError } from "../command_error.ts";
import { processIo } from "../find_config.ts";
import { forgetMailbox } from "../user_mailbox.ts";
import { noMailbox, ourAddress } from "./addresses.ts";
import { mailText, quotaText } from "./facts.ts";

/**
 * Carries out a change.
 *
 * @returns A sentence for people.
 * @throws {CommandError} Where it does not fit; nothing was changed then.
 */
export async function changeAccount(config: Config, change: AccountChange): Promise<string> {
  for (const folder of [config.data, dirname(config.accountsFile)]) await systemFiles.makeFolder(folder, 0o700);
  const result = await editAccounts({
    config,
    io: processIo,
    files: systemFiles,
    clock: systemClock,
    giveToUser: (path) => giveToUser(path, config),
  }, change);
  if (change.kind === "remove" && result === "done") await forgetMailbox(config, change.address);
  await giveDataFolder(config);
  if (result === "done") {
    return `${change.address} ${doneText(change, config)}; a running server knows within ${ACCOUNTS_KNOWN_WITHIN_S} s`;
  }
  if (result === "absent") {
    throw noMailbox(ourAddress(change.address, config), await loadAccounts(config, processIo) ?? []);
  }
  if (typeof result !== "object") throw new CommandError(DATA_ERROR, whyNot(result, change));
  const owner = await ownerText(change, config);
  throw new CommandError(DATA_ERROR, owner === undefined ? refusal(result.refused) : `${owner}; nothing was changed`);
}

/** Says who has an address that a mailbox wants. */
async function ownerText(change: AccountChange, config: Config): Promise<string | undefined> {
  if (change.kind !== "add" && change.kind !== "add-address") return undefined;
  const wanted = change.kind === "add" ? change.address : change.other;
  for (const { address, addresses = [] } of await loadAccounts(config, processIo) ?? []) {
    if (address === wanted) {
      return `${wanted} is ${address === change.address ? "the mailbox itself" : "a mailbox of its own"}`;
    }
    if (addresses.includes(wanted)) return `${wanted} is another address of ${address}`;
  }
  return config.aliases.has(wanted) ? `${wanted} is in "aliases" of the configuration` : undefined;
}

function doneText(change: AccountChange, { data }: Config): string {
  switch (change.kind) {
    case "add":
      return "added";
    case "password":
      return "has a new password";
    case "remove":
      return `removed (what is in ${mailboxFolder(`${data}/mail`, change.address)} stays there)`;
    case "add-address":
      return `gets the mail for ${change.other}, too`;
    case "remove-address":
      return `gets no mail for ${change.other} any more`;
    case "forward":
      return `has a new way for its mail: ${mailText(change.forward)}`;
    case "quota":
      return `has a new quota: ${change.quota === undefined ? "what the configuration says" : quotaText(change.quota)}`;
  }
}

function whyNot(result: "exists" | "has-address" | "no-address", change: AccountChange): string {
  const { address } = change;
  if (result === "exists") return `${address} exists already; \`posthorn user password\` gives it a new password`;
  const other = "other" in change ? change.other : "";
  return result === "has-address"
    ? `${address} has the address ${other} already`
    : `${address} does not have the address ${other}; \`posthorn user show ${address}\` shows those that it has`;
}

function refusal(problems: readonly string[]): string {
  return `nothing was changed, because the accounts file would be wrong:\n${problems.join("\n")}`;
}
