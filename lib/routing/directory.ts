/**
 * Everything that routing looks up, made once from a configuration and its accounts, and never changed: who is ours.
 * An address of ours is compared folded; `alias_of` is followed first.
 */

import type { Account, AliasConfig, Config, DomainConfig, MailboxVia } from "../config/config.ts";
import { foldAddress } from "../mail/fold.ts";
import { formatLocalPart, hasUsualLength, type Mailbox, parseMailbox } from "../mail/mailbox.ts";
import { buildRoutes, type Routes } from "./routes.ts";

const OWNER = "owner-";

/** The parts of the configuration that routing needs. */
export type RoutingConfig =
  & Pick<Config, "hostname" | "domains" | "recipientDelimiter" | "aliases" | "routes" | "auth">
  & {
    /** Absent: accounts are Maildirs here, unless they say otherwise. */ readonly mailboxes?: Pick<
      Config["mailboxes"],
      "via"
    >;
  };

/** Lookup tables. */
export interface Directory {
  /** Our host name: a domain with a postmaster, and nobody else. */
  readonly hostname: string;
  /** By name. */
  readonly domains: ReadonlyMap<string, DomainConfig>;
  /** By folded address, in the order of the accounts file. */
  readonly accounts: ReadonlyMap<string, Account>;
  /** By folded address: that of the account, and its `addresses`; what is both belongs to the account. */
  readonly mailboxes: ReadonlyMap<string, Account>;
  /** Those whose `certificates` have a fingerprint, by it. */
  readonly byCertificate: ReadonlyMap<string, readonly Account[]>;
  /** By folded address; with an owner, also by the convention of `owner-`, it is a list. */
  readonly aliases: ReadonlyMap<string, AliasConfig>;
  /** What separates a mailbox from its detail; undefined: nothing does. */
  readonly delimiter: string | undefined;
  /** Next hops by domain. */
  readonly routes: Routes;
  /** Who keeps the mail of accounts that do not say it themselves. */
  readonly mailboxVia: MailboxVia;
  /** Who logs in need not have an account: somebody else knows the users. */
  readonly hasOtherUsers: boolean;
}

/** A mailbox of one of our domains. */
export interface OurMailbox {
  /** The domain that has the mailboxes: `alias_of` has been followed. */
  readonly domain: DomainConfig;
  /** As it came, unquoted. */
  readonly localPart: string;
  /** Folded, in that domain. */
  readonly address: string;
  /** In that domain, with the case of the local part as it came. */
  readonly unfolded: string;
  /** What it may be called, the longest first: `a-b-c` may be itself, detail `c` of `a-b`, or detail `b-c` of `a`. */
  readonly names: readonly Name[];
}

/** One reading of a mailbox. */
export interface Name {
  /** Folded, without the detail. */
  readonly address: string;
  /** As it came; empty where there is none. */
  readonly detail: string;
}

/** Makes the lookup tables. */
export function buildDirectory(config: RoutingConfig, accounts: readonly Account[]): Directory {
  const byAddress = new Map(accounts.map((account) => [foldAddress(account.address), account]));
  const mailboxes = new Map([
    ...accounts.flatMap((account) => (account.addresses ?? []).map((other) => [foldAddress(other), account] as const)),
    ...byAddress,
  ]);
  return {
    hostname: config.hostname,
    domains: config.domains,
    accounts: byAddress,
    mailboxes,
    byCertificate: byCertificate(accounts),
    aliases: withOwners(new Map([...config.aliases].map(([key, alias]) => [foldAddress(key), alias])), mailboxes),
    delimiter: config.recipientDelimiter,
    routes: buildRoutes(config.routes),
    mailboxVia: config.mailboxes?.via ?? "maildir",
    hasOtherUsers: config.auth.dovecot !== undefined,
  };
}

/**
 * As in sendmail and Postfix, an alias or account `owner-NAME` makes the alias NAME a list. What begins with `owner-` is an
 * owner, and none itself.
 */
function withOwners(
  aliases: ReadonlyMap<string, AliasConfig>,
  mailboxes: ReadonlyMap<string, Account>,
): ReadonlyMap<string, AliasConfig> {
  return new Map([...aliases].map(([key, alias]) => {
    const mailbox = parseMailbox(key);
    if (alias.owner !== undefined || mailbox === undefined || mailbox.localPart.startsWith(OWNER)) return [key, alias];
    const owner = `${formatLocalPart(OWNER + mailbox.localPart)}@${mailbox.domain}`;
    return [key, aliases.has(owner) || mailboxes.has(owner) ? { ...alias, owner } : alias];
  }));
}

function byCertificate(accounts: readonly Account[]): Map<string, Account[]> {
  const found = new Map<string, Account[]>();
  for (const account of accounts) {
    for (const fingerprint of new Set(account.certificates)) {
      const others = found.get(fingerprint);
      if (others === undefined) found.set(fingerprint, [account]);
      else others.push(account);
    }
  }
  return found;
}

/** The mailbox as one of ours; undefined where its domain is not ours. */
export function asOurs(directory: Directory, mailbox: Mailbox): OurMailbox | undefined {
  const named = directory.domains.get(mailbox.domain);
  const domain = named?.aliasOf === undefined ? named : directory.domains.get(named.aliasOf);
  if (domain === undefined) return undefined;
  const { localPart } = mailbox;
  const textOf = (local: string): string => `${formatLocalPart(local)}@${domain.name}`;
  const unfolded = textOf(localPart);
  const address = foldAddress(unfolded);
  const names: Name[] = [{ address, detail: "" }];
  const { delimiter } = directory;
  if (delimiter !== undefined) {
    // A delimiter in the first place leaves no mailbox.
    for (let end = localPart.lastIndexOf(delimiter); end > 0; end = localPart.lastIndexOf(delimiter, end - 1)) {
      names.push({
        address: foldAddress(textOf(localPart.slice(0, end))),
        detail: localPart.slice(end + delimiter.length),
      });
    }
  }
  return { domain, localPart, address, unfolded, names };
}

/** The account of a mailbox of ours: the exact one, or the one without the detail. */
export function accountOf({ mailboxes }: Directory, { names }: OurMailbox): Account | undefined {
  for (const { address } of names) {
    const account = mailboxes.get(address);
    if (account !== undefined) return account;
  }
  return undefined;
}

/**
 * What a mailbox of ours says behind the name of its account and a delimiter, as it came: `lists` in `alice+lists`, or in
 * `sales+alice+lists` where the account is `sales+alice`. Undefined where there is nothing, or no account.
 *
 * @see RFC 5233 §4
 */
export function detailOf(directory: Directory, mailbox: Mailbox): string | undefined {
  const names = asOurs(directory, mailbox)?.names ?? [];
  return names.find(({ address }) => directory.mailboxes.has(address))?.detail || undefined;
}

/**
 * The address of an account with a detail, so that the mailbox can file by it. Without, where the two together would be too
 * long, or another account.
 */
export function withDetail(directory: Directory, account: Account, detail: string): string {
  const { delimiter } = directory;
  const mailbox = parseMailbox(account.address);
  if (detail === "" || delimiter === undefined || mailbox === undefined) return account.address;
  const localPart = `${mailbox.localPart}${delimiter}${detail.normalize("NFC")}`;
  const detailed = hasUsualLength(localPart)
    ? parseMailbox(`${formatLocalPart(localPart)}@${mailbox.domain}`)
    : undefined;
  const ours = detailed === undefined ? undefined : asOurs(directory, detailed);
  if (detailed === undefined || ours === undefined) return account.address;
  return accountOf(directory, ours) === account ? detailed.text : account.address;
}
