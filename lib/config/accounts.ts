/** The accounts file: mailboxes, how their users log in, and what becomes of their mail. Changing it: edit_accounts.ts. */

import { parsePasswordHash } from "../sasl/hashes/parse_hash.ts";
import { type AccountMailDraft, accountMailKeys } from "./account_keys.ts";
import { checkAccounts, type Surroundings, viaSettings } from "./account_checks.ts";
import type { Account } from "./config.ts";
import { ConfigError } from "./errors.ts";
import { completeVia, type ViaSettings } from "./mailbox_via.ts";
import { keyPaths, listOf, mapOf, object, optional, scalar, type Type } from "./schema.ts";
import { type ConfigIo, type Node, reasonOf, Source } from "./source.ts";
import { ourMailbox } from "./values.ts";

/** What an accounts file has to fit. */
export interface AccountsConfig extends Surroundings {
  /** Absolute. */
  readonly accountsFile: string;
}

const HASH = "a password hash";
const hashText = scalar({ expects: HASH, parse: (text) => text, isSecret: () => true });
/** What can be checked at a login. A password in plain text is a mistake, and is not shown. */
const passwordHash: Type<string> = {
  expects: HASH,
  read(node: Node, source: Source, path: string): string | undefined {
    const text = hashText.read(node, source, path);
    if (text === undefined) return undefined;
    const hash = parsePasswordHash(text);
    return "problem" in hash ? void source.report(source.resolve(node) ?? node, `${path}: ${hash.problem}`) : text;
  },
};

/** The form of `posthorn user`, or that of Dovecot and GNU SASL: iterations, salt and two keys (RFC 5803 §2). */
const SCRAM_FORM =
  /^(?:SCRAM-SHA-256\$|\{SCRAM-SHA-256\})\d{4,8}[:,][A-Za-z0-9+/]+={0,2}[$,][A-Za-z0-9+/]{43}=[:,][A-Za-z0-9+/]{43}=$/;

const scram: Type<string> = scalar({
  expects: 'a SCRAM verifier, as "posthorn user password" writes it',
  parse: (text) => SCRAM_FORM.test(text) ? text : undefined,
  isSecret: () => true,
});

/** As `openssl x509 -fingerprint -sha256` prints it, or without the colons. */
const fingerprint: Type<string> = scalar({
  expects: "a SHA-256 fingerprint: 64 hexadecimal digits, also with colons between pairs",
  written: "either",
  parse: (text) =>
    /^(?:[0-9a-f]{64}|[0-9a-f]{2}(?::[0-9a-f]{2}){31})$/i.test(text)
      ? text.replaceAll(":", "").toLowerCase()
      : undefined,
});

const account = object({
  passwordHash: optional("password", passwordHash, "Hash; without it nobody can log in with a password."),
  scram: optional("scram", scram, "Verifier of the same password; without it nobody can log in with SCRAM."),
  certificates: optional(
    "certificates",
    listOf(fingerprint, "SHA-256 fingerprints"),
    "Client certificates that log in with EXTERNAL, besides those that have the address of the account.",
  ),
  ...accountMailKeys,
});
const accountsType = mapOf(ourMailbox, account, { noun: "mailboxes", whenWrong: {} });

/** The keys of an account, e.g. `quota.storage`. */
export const ACCOUNT_KEYS: readonly string[] = keyPaths(account);

/**
 * Reads the accounts.
 *
 * @returns In the order of the file; undefined where there is no such file.
 * @throws {ConfigError} With every problem found, e.g. an account of a domain that is not ours.
 */
export async function loadAccounts(config: AccountsConfig, io: ConfigIo): Promise<readonly Account[] | undefined> {
  const text = await readAccountsText(config.accountsFile, io);
  return text === undefined ? undefined : await parseAccounts(text, config, io);
}

/**
 * Reads the accounts from the text of their file.
 *
 * @throws {ConfigError} As {@linkcode loadAccounts}.
 */
export async function parseAccounts(text: string, config: AccountsConfig, io: ConfigIo): Promise<readonly Account[]> {
  const source = await Source.parse(config.accountsFile, text, io, ACCOUNT_KEYS);
  const entries = accountsType.read(source.root, source, "accounts") ?? [];
  checkAccounts(entries, config, source);
  source.throwProblems();
  const settings = viaSettings(config);
  return entries.map(({ key, value }) => accountOf(key, value, settings));
}

function accountOf(
  address: string,
  { addresses, forward, keepCopy, via: draft, ...account }:
    & Omit<Account, keyof AccountMailDraft | "address">
    & AccountMailDraft,
  settings: ViaSettings,
): Account {
  const via = draft === undefined ? undefined : completeVia(draft.value, settings);
  return {
    address,
    ...account,
    ...(addresses === undefined ? {} : { addresses: addresses.map(({ value }) => value) }),
    ...(forward === undefined
      ? {}
      : { forward: { to: forward.value.map(({ value }) => value), keepsCopy: keepCopy?.value ?? false } }),
    ...(via === undefined ? {} : { via }),
  };
}

/**
 * Reads the text of the accounts file; undefined where there is none.
 *
 * @throws {ConfigError} Where it cannot be read.
 */
export async function readAccountsText(file: string, io: ConfigIo): Promise<string | undefined> {
  try {
    return await io.readText(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    const message = `cannot read the accounts file: ${reasonOf(error)}`;
    throw new ConfigError([{ file, line: 1, column: 1, message }], { cause: error });
  }
}
