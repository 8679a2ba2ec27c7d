/**
 * Everything that routing looks up, made once from a configuration and its accounts, and never changed: who is ours.
 * An address of ours is compared folded; `alias_of` is followed first.
 */

import type { Account, Config, DomainConfig, MailboxVia } from "../config/config.ts";
import { foldAddress } from "../mail/fold.ts";
import { formatLocalPart, type Mailbox } from "../mail/mailbox.ts";
import { buildRoutes, type Routes } from "./routes.ts";

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
  /** Those whose `certificates` have a fingerprint, by it. */
  readonly byCertificate: ReadonlyMap<string, readonly Account[]>;
  /** Forward-paths by folded address. */
  readonly aliases: ReadonlyMap<string, readonly string[]>;
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
  /** Folded, in that domain. */
  readonly address: string;
  /** In that domain, with the case of the local part as it came. */
  readonly unfolded: string;
  /** Folded without its detail, the longest first: `a-b-c` may be detail `c` of `a-b`, or detail `b-c` of `a`. */
  readonly bases: readonly string[];
}

/** Makes the lookup tables. */
export function buildDirectory(config: RoutingConfig, accounts: readonly Account[]): Directory {
  return {
    hostname: config.hostname,
    domains: config.domains,
    accounts: new Map(accounts.map((account) => [foldAddress(account.address), account])),
    byCertificate: byCertificate(accounts),
    aliases: new Map([...config.aliases].map(([address, targets]) => [foldAddress(address), targets])),
    delimiter: config.recipientDelimiter,
    routes: buildRoutes(config.routes),
    mailboxVia: config.mailboxes?.via ?? "maildir",
    hasOtherUsers: config.auth.dovecot !== undefined,
  };
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
  const bases: string[] = [];
  const { delimiter } = directory;
  if (delimiter !== undefined) {
    // A delimiter in the first place leaves no mailbox.
    for (let end = localPart.lastIndexOf(delimiter); end > 0; end = localPart.lastIndexOf(delimiter, end - 1)) {
      bases.push(foldAddress(textOf(localPart.slice(0, end))));
    }
  }
  return { domain, address: foldAddress(unfolded), unfolded, bases };
}

/** The account of a mailbox of ours: the exact one, or the one without the detail. */
export function accountOf(directory: Directory, { address, bases }: OurMailbox): Account | undefined {
  for (const candidate of [address, ...bases]) {
    const account = directory.accounts.get(candidate);
    if (account !== undefined) return account;
  }
  return undefined;
}
