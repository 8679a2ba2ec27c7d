/** Changes of the accounts file by commands. People edit it too, so their comments and their order are kept. */

import { type Document, isMap, isScalar, type Pair, parseDocument, type YAMLMap } from "yaml";
import { foldAddress } from "../mail/fold.ts";
import { parseMailbox } from "../mail/mailbox.ts";
import type { Clock } from "../system/clock.ts";
import { type Files, writeDurable } from "../system/files.ts";
import { AccountNodes } from "./account_nodes.ts";
import { type AccountsConfig, parseAccounts, readAccountsText } from "./accounts.ts";
import { lockAccounts } from "./accounts_lock.ts";
import type { Forward, QuotaLimits } from "./config.ts";
import { ConfigError } from "./errors.ts";
import { type ConfigIo, quote, Source } from "./source.ts";

/** What is kept of a new password: its hash, and the verifier for SCRAM. */
export interface PasswordKeys {
  /** PHC string. */
  readonly passwordHash: string;
  /** `SCRAM-SHA-256$…` */
  readonly scram: string;
}

/** A change of the account `address`. */
export type AccountChange =
  | { readonly kind: "add"; readonly address: string; readonly keys?: PasswordKeys }
  | { readonly kind: "password"; readonly address: string; readonly keys: PasswordKeys }
  | { readonly kind: "remove"; readonly address: string }
  /** One more address of the mailbox, or one less. */
  | { readonly kind: "add-address" | "remove-address"; readonly address: string; readonly other: string }
  /** Undefined: its mail goes nowhere else any more. */
  | { readonly kind: "forward"; readonly address: string; readonly forward: Forward | undefined }
  /** Undefined: the default counts. */
  | { readonly kind: "quota"; readonly address: string; readonly quota: QuotaLimits | undefined };

/**
 * What became of a change; nothing is written unless it is `done`. `exists`, `absent`: the account, or the other address of
 * it. `refused`: the file would be wrong, for these reasons.
 */
export type AccountChangeResult =
  | "done"
  | "exists"
  | "absent"
  | "has-address"
  | "no-address"
  | { readonly refused: readonly string[] };

/** What editing the file asks of the machine. */
export interface EditAccountsOptions {
  /** Names the accounts file, and says what it has to fit. */
  readonly config: AccountsConfig;
  /** Reads the file. */
  readonly io: ConfigIo;
  /** Writes it. */
  readonly files: Files;
  /** Waits for other commands. */
  readonly clock: Clock;
  /** Runs on a finished file before it takes its place: gives it to the user that the server runs as. */
  giveToUser?(path: string): Promise<void>;
}

const HEADER =
  " Mailboxes of posthorn and what their passwords are checked with. `posthorn user` edits this file, and so may you.";

/**
 * Changes one account. The new file is checked as a server would, takes the place of the old one in one step, and is on
 * disk when this returns. Other commands wait meanwhile.
 *
 * @throws {ConfigError} Where the present file is wrong, and stays so with the change.
 * @throws {AccountsInUseError} Where another command does not come to its end.
 * @throws {TypeError} For an address that is no mailbox.
 */
export async function editAccounts(options: EditAccountsOptions, change: AccountChange): Promise<AccountChangeResult> {
  const { config: { accountsFile: file }, io, files, clock, giveToUser } = options;
  const address = foldedMailbox(change.address);
  const handOver = giveToUser === undefined ? {} : { giveToUser };
  using _lock = await lockAccounts({ file, files, clock, ...handOver });
  const text = await readAccountsText(file, io);
  const document = await documentOf(text, options);
  const result = apply(document, address, change);
  if (result !== "done") return result;
  const changed = textOf(document);
  if (changed === undefined) return { refused: ["another account uses a part of this one (a YAML anchor)"] };
  const problems = await problemsOf(changed, text, options);
  if (problems.length > 0) return { refused: problems };
  await writeDurable(files, file, changed, {
    mode: 0o600,
    replace: true,
    ...(giveToUser === undefined ? {} : { beforePublish: giveToUser }),
  });
  return "done";
}

/** The present file as a mapping that can be changed; a new one where there is none. */
async function documentOf(
  text: string | undefined,
  { config: { accountsFile: file }, io }: EditAccountsOptions,
): Promise<Document> {
  // Finds keys that stand twice, too.
  if (text !== undefined) (await Source.parse(file, text, io)).throwProblems();
  const document: Document = parseDocument(text ?? "", { uniqueKeys: false });
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) {
    document.contents = document.createNode({});
    document.commentBefore ??= HEADER;
  }
  if (isMap(document.contents)) return document;
  throw new ConfigError([{ file, line: 1, column: 1, message: "accounts: expected a mapping of mailboxes" }]);
}

/** Undefined where something refers to what was taken away. */
function textOf(document: Document): string | undefined {
  try {
    return document.toString({ lineWidth: 0 });
  } catch (error) {
    if (error instanceof ReferenceError || (error instanceof Error && /alias/i.test(error.message))) return undefined;
    throw error;
  }
}

/** What would be wrong with the new file. Where the old one was wrong already, that is said: its lines can be looked at. */
async function problemsOf(
  changed: string,
  text: string | undefined,
  { config, io }: EditAccountsOptions,
): Promise<readonly string[]> {
  try {
    await parseAccounts(changed, config, io);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (text !== undefined) await parseAccounts(text, config, io);
    return error.problems.map(({ message }) => message);
  }
}

function apply(document: Document, address: string, change: AccountChange): AccountChangeResult {
  const pairs = (document.contents as YAMLMap).items as Pair[];
  const index = pairs.findIndex(({ key }) => isScalar(key) && foldedOrNone(String(key.value)) === address);
  const pair = pairs[index];
  if (change.kind === "add") {
    if (pair !== undefined) return "exists";
    const added = document.createPair(address, document.createNode({}, { flow: true }));
    if (change.keys !== undefined) setPassword(new AccountNodes(document, added), change.keys);
    pairs.push(added);
    return "done";
  }
  if (pair === undefined) return "absent";
  const nodes = new AccountNodes(document, pair);
  switch (change.kind) {
    case "remove":
      pairs.splice(index, 1);
      return "done";
    case "password":
      setPassword(nodes, change.keys);
      return "done";
    case "add-address":
    case "remove-address":
      return changeAddress(nodes, change.kind, foldedMailbox(change.other));
    case "forward":
      setForward(nodes, change.forward);
      return "done";
    case "quota":
      nodes.setQuota(change.quota);
      return "done";
  }
}

function changeAddress(
  nodes: AccountNodes,
  kind: "add-address" | "remove-address",
  other: string,
): AccountChangeResult {
  const index = nodes.list("addresses").findIndex((text) => foldedOrNone(text) === other);
  if (kind === "add-address") {
    if (index >= 0) return "has-address";
    nodes.append("addresses", other);
  } else {
    if (index < 0) return "no-address";
    nodes.removeAt("addresses", index);
  }
  return "done";
}

function setPassword(nodes: AccountNodes, { passwordHash, scram }: PasswordKeys): void {
  nodes.set("password", passwordHash);
  nodes.set("scram", scram);
}

function setForward(nodes: AccountNodes, forward: Forward | undefined): void {
  const [single, ...others] = forward?.to ?? [];
  nodes.set("forward", others.length === 0 ? single : forward?.to);
  nodes.set("keep_copy", forward?.keepsCopy ? true : undefined);
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
