/** `posthorn user`: mailboxes, their passwords, and what becomes of their mail, in the accounts file. */

import { loadAccounts } from "../config/accounts.ts";
import type { Config, QuotaLimits } from "../config/config.ts";
import type { PasswordKeys } from "../config/edit_accounts.ts";
import { loadConfig } from "../config/load.ts";
import { parseSize } from "../config/values.ts";
import { mailboxFolder } from "../delivery/maildir_name.ts";
import { usageOf } from "../delivery/quota/usage_of.ts";
import { foldAddress } from "../mail/fold.ts";
import { passwordKeys } from "../sasl/new_password.ts";
import { systemFiles } from "../system/files.ts";
import { DATA_ERROR } from "../system/sysexits.ts";
import { CommandError } from "./command_error.ts";
import { processIo } from "./find_config.ts";
import { readNewPassword } from "./read_password.ts";
import { anyAddress, noMailbox, ourAddress } from "./user/addresses.ts";
import { changeAccount } from "./user/change.ts";
import { factLines, factsOf } from "./user/facts.ts";
import { usage, USER_USAGE } from "./user/options.ts";
import { makeMailbox } from "./user_mailbox.ts";

/** What `user` was called with. */
export interface UserCall {
  /** The configuration file; looked for only where there is something to do. */
  readonly findFile: () => Promise<string>;
  /** The words behind `user`. */
  readonly words: readonly string[];
  /** Its flags. */
  readonly flags: ReadonlyMap<string, string | true>;
  /** `--json`. */
  readonly isJson: boolean;
}

/** Carries out an action on the words behind it; returns what to print. */
type Action = (config: Config, words: readonly string[], call: UserCall) => Promise<string>;

const ACTIONS: ReadonlyMap<string, Action> = new Map<string, Action>([
  ["add", addOrPassword("add")],
  ["password", addOrPassword("password")],
  ["remove", remove],
  ["list", list],
  ["show", show],
  ["address", changeAddresses],
  ["forward", changeForward],
  ["quota", changeQuota],
  ["mailbox", makeAnew],
]);

/**
 * Carries out `user ACTION`; without an action, tells what there is.
 *
 * @returns What goes to standard output.
 * @throws {CommandError} Where a mailbox or an address is there already, or not there.
 */
export async function user(call: UserCall): Promise<string> {
  const [name, ...more] = call.words;
  if (name === undefined) return USER_USAGE;
  const action = ACTIONS.get(name);
  if (action === undefined) throw usage(`unknown action "${name}"`);
  if (call.flags.has("keep-copy") && name !== "forward") throw usage(`user ${name} does not take --keep-copy`);
  return await action(await loadConfig(await call.findFile(), processIo), more, call);
}

function addOrPassword(kind: "add" | "password"): Action {
  return async (config, words) => {
    const address = ourAddress(only(words, `user ${kind} ADDRESS`), config);
    return await changeAccount(config, { kind, address, keys: await newKeys() });
  };
}

async function newKeys(): Promise<PasswordKeys> {
  return await passwordKeys(await readNewPassword());
}

async function remove(config: Config, words: readonly string[]): Promise<string> {
  // Also one of a domain that is ours no more: its account is what makes the file wrong.
  const address = foldAddress(anyAddress(only(words, "user remove ADDRESS")));
  return await changeAccount(config, { kind: "remove", address });
}

async function makeAnew(config: Config, words: readonly string[]): Promise<string> {
  return await makeMailbox(config, ourAddress(only(words, "user mailbox ADDRESS"), config));
}

async function list(config: Config, words: readonly string[], { isJson }: UserCall): Promise<string> {
  if (words.length > 0) throw usage("user list takes no words; user show ADDRESS shows one mailbox");
  const accounts = await loadAccounts(config, processIo) ?? [];
  if (isJson) return JSON.stringify(accounts.map((account) => factsOf(account, config.mailboxes.via)), null, 2);
  return accounts.map(({ address }) => address).join("\n");
}

async function show(config: Config, words: readonly string[], { isJson }: UserCall): Promise<string> {
  const address = ourAddress(only(words, "user show ADDRESS"), config);
  const accounts = await loadAccounts(config, processIo) ?? [];
  const account = accounts.find((one) => one.address === address || one.addresses?.includes(address));
  if (account === undefined) throw noMailbox(address, accounts);
  const used = await usageOf(mailboxFolder(`${config.data}/mail`, account.address), systemFiles);
  const { via } = config.mailboxes;
  if (isJson) return JSON.stringify({ ...factsOf(account, via), usage: used }, null, 2);
  return factLines(account, used, via).join("\n");
}

async function changeAddresses(config: Config, words: readonly string[]): Promise<string> {
  const [mailbox, action, other, ...more] = words;
  if (mailbox === undefined || other === undefined || more.length > 0 || !(action === "add" || action === "remove")) {
    throw usage("user address MAILBOX add|remove ADDRESS");
  }
  return await changeAccount(config, {
    kind: `${action}-address`,
    address: ourAddress(mailbox, config),
    other: ourAddress(other, config),
  });
}

async function changeForward(config: Config, words: readonly string[], { flags }: UserCall): Promise<string> {
  const [mailbox, ...targets] = words;
  const keepsCopy = flags.has("keep-copy");
  if (mailbox === undefined || targets.length === 0) throw usage("user forward MAILBOX ADDRESS… [--keep-copy], or off");
  const address = ourAddress(mailbox, config);
  if (targets.length > 1 || targets[0] !== "off") {
    return await changeAccount(config, {
      kind: "forward",
      address,
      forward: { to: [...new Set(targets.map(anyAddress))], keepsCopy },
    });
  }
  if (keepsCopy) throw usage("user forward MAILBOX off takes no --keep-copy: the mailbox gets all mail then");
  return await changeAccount(config, { kind: "forward", address, forward: undefined });
}

async function changeQuota(config: Config, words: readonly string[]): Promise<string> {
  const [mailbox, size, messages, ...more] = words;
  if (mailbox === undefined || size === undefined || more.length > 0) {
    throw usage("user quota MAILBOX SIZE [MESSAGES], or none, or default");
  }
  const octets = limitOf(size, parseSize, "no size such as 512MiB or 2GiB");
  // "none" alone is no limit of any kind.
  const count = messages === undefined && octets === 0
    ? 0
    : limitOf(messages ?? "default", parseCount, "no number of messages such as 100000");
  const quota: QuotaLimits = {
    ...(octets === undefined ? {} : { octets }),
    ...(count === undefined ? {} : { messages: count }),
  };
  const address = ourAddress(mailbox, config);
  const isDefault = octets === undefined && count === undefined;
  return await changeAccount(config, { kind: "quota", address, quota: isDefault ? undefined : quota });
}

/** A limit; 0 is none, undefined the default. */
function limitOf(text: string, parse: (text: string) => number | undefined, what: string): number | undefined {
  if (text === "default" || text === "none") return text === "none" ? 0 : undefined;
  const limit = parse(text);
  if (limit === undefined) throw new CommandError(DATA_ERROR, `"${text}" is ${what}, nor "none" or "default"`);
  return limit;
}

function parseCount(text: string): number | undefined {
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : undefined;
}

/** The one word that there must be. */
function only(words: readonly string[], form: string): string {
  const [word, ...more] = words;
  if (word === undefined || more.length > 0) throw usage(form);
  return word;
}
