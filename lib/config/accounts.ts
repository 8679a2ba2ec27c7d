/** The accounts file: mailboxes and password hashes. People edit it too, so their comments and order are kept. */

import { type Document, isMap, isScalar, type Pair, parseDocument, type YAMLMap } from "yaml";
import { foldAddress } from "../mail/fold.ts";
import { domainOf, parseMailbox } from "../mail/mailbox.ts";
import { parsePasswordHash } from "../sasl/hashes/parse_hash.ts";
import { type Files, writeDurable } from "../system/files.ts";
import type { Account, Config } from "./config.ts";
import { ConfigError } from "./errors.ts";
import { completeVia, mailboxVia } from "./mailbox_via.ts";
import { listOf, located, mapOf, object, optional, scalar, type Type } from "./schema.ts";
import { type ConfigIo, type Node, quote, reasonOf, Source } from "./source.ts";
import { ourMailbox } from "./values.ts";

/** What is kept of a new password: its hash, and the verifier for SCRAM. */
export interface PasswordKeys {
  /** PHC string. */
  readonly passwordHash: string;
  /** `SCRAM-SHA-256$…` */
  readonly scram: string;
}

/** A change of one account. */
export type AccountChange =
  | { readonly kind: "add"; readonly address: string; readonly keys?: PasswordKeys }
  | { readonly kind: "password"; readonly address: string; readonly keys: PasswordKeys }
  | { readonly kind: "remove"; readonly address: string };

/** What became of a change; nothing is written unless it is `done`. */
export type AccountChangeResult = "done" | "exists" | "absent";

/** What editing the file asks of the machine. */
export interface EditAccountsOptions {
  /** The accounts file, absolute. */
  readonly file: string;
  /** Reads the file. */
  readonly io: ConfigIo;
  /** Writes it. */
  readonly files: Files;
  /** Runs on the finished file before it takes its place: gives it to the user that the server runs as. */
  beforePublish?(temporaryFile: string): Promise<void>;
}

const HEADER =
  " Mailboxes of posthorn and what their passwords are checked with. `posthorn user` edits this file, and so may you.";

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
  via: optional("via", located(mailboxVia), "Who keeps its mail, instead of what mailboxes.via says."),
});
const accountsType = mapOf(ourMailbox, account, { noun: "mailboxes", whenWrong: {} });

/** The parts of the configuration that the accounts are read with. */
export type AccountsConfig =
  & Pick<Config, "accountsFile" | "domains">
  & { readonly mailboxes?: Pick<Config["mailboxes"], "secret">; readonly delivery?: Pick<Config["delivery"], "tls"> };

/**
 * Reads the accounts.
 *
 * @returns In the order of the file; undefined where there is no such file.
 * @throws {ConfigError} With every problem found, e.g. an account of a domain that is not ours.
 */
export async function loadAccounts(
  { accountsFile: file, domains, mailboxes, delivery }: AccountsConfig,
  io: ConfigIo,
): Promise<readonly Account[] | undefined> {
  const text = await readIfThere(file, io);
  if (text === undefined) return undefined;
  const source = await Source.parse(file, text, io, ["password", "scram", "certificates"]);
  const entries = accountsType.read(source.root, source, "accounts") ?? [];
  for (const { key, at } of entries) {
    const domain = domains.get(domainOf(key));
    if (domain === undefined) {
      source.report(at, `accounts: expected a mailbox of one of our domains, found ${quote(key)}`);
    } else if (domain.aliasOf !== undefined) {
      const message = `expected a mailbox of "${domain.aliasOf}", because "${domain.name}" is another name of it`;
      source.report(at, `accounts: ${message}`);
    }
  }
  const settings = { secret: mailboxes?.secret, tls: delivery?.tls ?? "opportunistic" };
  const accounts = entries.map(({ key, value: { via: draft, ...value } }): Account => {
    const via = draft === undefined ? undefined : completeVia(draft.value, settings);
    if (draft !== undefined && via === undefined) {
      source.report(
        draft.at,
        `accounts.${key}.via: an application needs the key "mailboxes.secret" of the configuration`,
      );
    }
    return { address: key, ...value, ...(via === undefined ? {} : { via }) };
  });
  source.throwProblems();
  return accounts;
}

/**
 * Changes one account. The new file takes the place of the old one in one step, and is on disk when this returns.
 *
 * @throws {ConfigError} Where the present file is no YAML mapping.
 * @throws {TypeError} For an address that is no mailbox.
 */
export async function editAccounts(options: EditAccountsOptions, change: AccountChange): Promise<AccountChangeResult> {
  const { file, io } = options;
  const address = foldedMailbox(change.address);
  const text = await readIfThere(file, io);
  const document = text === undefined ? parseDocument("") : await parseSound(file, text, io);
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
    document.contents = document.createNode({}) as YAMLMap.Parsed;
    document.commentBefore ??= HEADER;
  }
  if (!isMap(document.contents)) {
    throw new ConfigError([{ file, line: 1, column: 1, message: "accounts: expected a mapping of mailboxes" }]);
  }
  const pairs = document.contents.items as Pair[];
  const index = pairs.findIndex(({ key }) => isScalar(key) && foldedOrNone(String(key.value)) === address);
  if (change.kind === "add" ? index >= 0 : index < 0) return change.kind === "add" ? "exists" : "absent";
  if (change.kind === "remove") {
    pairs.splice(index, 1);
  } else if (change.kind === "add") {
    const value = change.keys === undefined ? {} : entryOf(change.keys);
    pairs.push(document.createPair(address, document.createNode(value, { flow: true })));
  } else {
    setPassword(pairs[index], change.keys, (value) => document.createNode(value, { flow: true }));
  }
  const { files, beforePublish } = options;
  await writeDurable(files, file, document.toString({ lineWidth: 0 }), {
    mode: 0o600,
    replace: true,
    ...(beforePublish === undefined ? {} : { beforePublish }),
  });
  return "done";
}

async function parseSound(file: string, text: string, io: ConfigIo): Promise<Document.Parsed> {
  const source = await Source.parse(file, text, io);
  source.throwProblems();
  return parseDocument(text);
}

function setPassword(pair: Pair | undefined, keys: PasswordKeys, createNode: (value: unknown) => unknown): void {
  if (pair === undefined) return;
  if (isMap(pair.value)) { for (const [key, value] of Object.entries(entryOf(keys))) pair.value.set(key, value); }
  else pair.value = createNode(entryOf(keys));
}

function entryOf({ passwordHash, scram }: PasswordKeys): Readonly<Record<string, string>> {
  return { password: passwordHash, scram };
}

async function readIfThere(file: string, io: ConfigIo): Promise<string | undefined> {
  try {
    return await io.readText(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    const message = `cannot read the accounts file: ${reasonOf(error)}`;
    throw new ConfigError([{ file, line: 1, column: 1, message }], { cause: error });
  }
}

function foldedMailbox(address: string): string {
  const folded = foldedOrNone(address);
  if (folded === undefined) throw new TypeError(`Cannot use ${quote(address)} as an account: it is no mailbox`);
  return folded;
}

function foldedOrNone(address: string): string | undefined {
  const mailbox = parseMailbox(address);
  return mailbox === undefined ? undefined : foldAddress(mailbox.text);
}
