/** What accounts must satisfy together, and beside the configuration. Each check notes its problems where they stand. */

import { foldAddress } from "../mail/fold.ts";
import { domainOf } from "../mail/mailbox.ts";
import type { AccountMailDraft } from "./account_keys.ts";
import type { Config } from "./config.ts";
import { completeVia, type ViaSettings } from "./mailbox_via.ts";
import type { Entry, Located } from "./schema.ts";
import { quote, type Source } from "./source.ts";

/** An account as it stands in the file. */
export type AccountDraft = Entry<AccountMailDraft>;

/** The parts of the configuration that accounts must fit. */
export interface Surroundings extends Pick<Config, "domains"> {
  /** By folded address. */
  readonly aliases: ReadonlyMap<string, unknown>;
  /** Absent: there is no secret for webhooks. */
  readonly mailboxes?: Pick<Config["mailboxes"], "secret">;
  /** Absent: TLS is opportunistic. */
  readonly delivery?: Pick<Config["delivery"], "tls">;
}

/** What says more about who keeps the mail of an account. */
export function viaSettings({ mailboxes, delivery }: Pick<Surroundings, "mailboxes" | "delivery">): ViaSettings {
  return { secret: mailboxes?.secret, tls: delivery?.tls ?? "opportunistic" };
}

/** Who has an address. */
interface Owner {
  readonly account: string;
  readonly at: Located<unknown>["at"];
}

/** Checks all accounts of a file. */
export function checkAccounts(
  drafts: readonly AccountDraft[],
  config: Surroundings,
  source: Source,
): void {
  for (const { key, at } of drafts) {
    const problem = domainProblem(key, config);
    if (problem !== undefined) source.report(at, `accounts: ${problem}`);
  }
  checkAddresses(drafts, config, source);
  for (const draft of drafts) checkForward(draft, config, source);
  for (const { key, value: { via } } of drafts) {
    if (via === undefined || completeVia(via.value, viaSettings(config)) !== undefined) continue;
    source.report(via.at, `accounts.${key}.via: an application needs the key "mailboxes.secret" of the configuration`);
  }
}

/** Says what is wrong with the domain of a mailbox that must be ours. */
function domainProblem(address: string, { domains }: Pick<Surroundings, "domains">): string | undefined {
  const domain = domains.get(domainOf(address));
  if (domain === undefined) return `expected a mailbox of one of our domains, found ${quote(address)}`;
  return domain.aliasOf === undefined
    ? undefined
    : `expected a mailbox of "${domain.aliasOf}", because "${domain.name}" is another name of it`;
}

/** An address leads to one mailbox: it is the name of one, or one of its addresses, or an alias. */
function checkAddresses(
  drafts: readonly AccountDraft[],
  config: Surroundings,
  source: Source,
): void {
  const names = new Map(drafts.map(({ key, at }): [string, Owner] => [key, { account: key, at }]));
  const owners = new Map<string, Owner>();
  for (const { key, value: { addresses = [] } } of drafts) {
    for (const { value: address, at } of addresses) {
      const report = (problem: string): void => source.report(at, `accounts.${key}.addresses: ${problem}`);
      const domain = domainProblem(address, config);
      const name = names.get(address);
      const earlier = owners.get(address);
      if (domain !== undefined) report(domain);
      else if (name?.account === key) report(`${quote(address)} is the mailbox itself`);
      else if (name !== undefined) {
        report(`${quote(address)} is a mailbox of its own, in line ${source.position(name.at).line}`);
      } else if (earlier?.account === key) {
        report(`${quote(address)} stands in line ${source.position(earlier.at).line} already`);
      } else if (earlier !== undefined) {
        report(`${quote(address)} belongs to ${earlier.account}, in line ${source.position(earlier.at).line}`);
      } else if (config.aliases.has(address)) {
        report(`${quote(address)} is in "aliases" of the configuration, too: one of them must go`);
      }
      if (earlier === undefined) owners.set(address, { account: key, at });
    }
  }
}

function checkForward(
  { key, value: { addresses = [], forward, keepCopy } }: AccountDraft,
  config: Pick<Surroundings, "domains">,
  source: Source,
): void {
  const path = `accounts.${key}`;
  if (forward === undefined) {
    if (keepCopy !== undefined) source.report(keepCopy.at, `${path}.keep_copy: never used without forward`);
    return;
  }
  const own = new Set([key, ...addresses.map(({ value }) => value)]);
  const seen = new Set<string>();
  for (const { value, at } of forward.value) {
    if (own.has(ourSpelling(value, config))) {
      source.report(at, `${path}.forward: ${quote(value)} is the mailbox itself; "keep_copy: true" keeps a copy in it`);
    } else if (seen.has(value)) {
      source.report(at, `${path}.forward: ${quote(value)} is given twice`);
    }
    seen.add(value);
  }
}

/** A forward-path of ours as accounts are named: folded, and in the domain that has the mailboxes. */
function ourSpelling(address: string, { domains }: Pick<Surroundings, "domains">): string {
  const at = address.lastIndexOf("@");
  const aliasOf = domains.get(address.slice(at + 1))?.aliasOf;
  return foldAddress(aliasOf === undefined ? address : `${address.slice(0, at)}@${aliasOf}`);
}
