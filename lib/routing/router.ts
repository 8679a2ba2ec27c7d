/** The two questions that the rest of posthorn asks: who is a recipient (at RCPT), and where does it go (at delivery). */

import type { Account } from "../config/config.ts";
import type { NextHop, RouteDecision, RouteHistory } from "../delivery/next_hop.ts";
import { foldAddress } from "../mail/fold.ts";
import { type Mailbox, parseMailbox } from "../mail/mailbox.ts";
import { accountOf, asOurs, buildDirectory, detailOf, type Directory, type RoutingConfig } from "./directory.ts";
import type { BARE_POSTMASTER } from "../smtp/path.ts";
import { type DeadEnd, deadEnds } from "./dead_ends.ts";
import { type OrphanedList, orphanedLists } from "./list_owners.ts";
import { mayUse } from "./own_addresses.ts";
import type { ClientCertificate } from "../tls/tls_conn.ts";
import { type RecipientResolution, resolveRecipient } from "./recipient.ts";
import { hopOn, hopVia, MX_ROUTE, routeOf } from "./routes.ts";
import { type Forwarding, resolveRewritten, rewriteSender, senderBehind } from "./forwarding.ts";
import type { RewrittenSender } from "./srs/srs.ts";
import type { ResolvedTarget } from "./expansion.ts";
import { userAddress } from "./users.ts";

/** Routing by one configuration. Immutable; a reload makes another one. */
export interface Router {
  /** Resolves a recipient at RCPT; see recipient.ts. */
  resolveRecipient(recipient: Mailbox | typeof BARE_POSTMASTER): RecipientResolution;
  /** What an address stands for that we report to: an address of ours as at RCPT, any other one itself. */
  reportTargets(address: string): readonly ResolvedTarget[];
  /** The sender that an address of ours was rewritten from; any other address itself. */
  senderBehind(address: string): string;
  /** The reverse-path of what an address of ours sends on; undefined: as it came. See forwarding.ts. */
  rewriteSender(reversePath: string, forwardedBy: string): RewrittenSender | undefined;
  /** Finds the next hop of a forward-path of the queue, at each attempt. @param history Absent: nothing was tried yet. */
  nextHop(address: string, history?: RouteHistory): RouteDecision;
  /** Whether there is a route for this domain, in A-label form, or for a tree that it is in; the route for all is none. */
  isRouted(domain: string): boolean;
  /** Whether binary content (RFC 3030 §3) can go to a forward-path of the queue: who reads a Maildir reads lines. */
  takesBinary(address: string): boolean;
  /** The account whose mailbox here is the next hop of a forward-path of the queue, by its address; undefined: none is. */
  accountOf(address: string): string | undefined;
  /** What a forward-path of the queue says behind the name of its account: `lists` in `alice+lists`; see directory.ts. */
  detailOf(address: string): string | undefined;
  /** The account that has exactly this address, or has it among its `addresses`, under any name of its domain; for logins. */
  findAccount(address: string): Account | undefined;
  /** The accounts that a client's certificate names, by its fingerprint or its mail addresses, each once. */
  findByCertificate(certificate: Pick<ClientCertificate, "sha256" | "emails">): readonly Account[];
  /** One spelling for all names that `findAccount` takes for the same account, whether or not there is one. */
  loginName(address: string): string;
  /** The address of a user whom somebody else knows by this name; see users.ts. */
  userAddress(user: string): string | undefined;
  /** Whether the account or user with this address may name the mailbox as the sender; see own_addresses.ts. */
  mayUse(account: string, mailbox: Mailbox): boolean;
  /** The lists whose owners do not exist, for people. */
  orphanedLists(): readonly OrphanedList[];
  /** Aliases, forwards and catch-alls that lead nowhere, for people. */
  deadEnds(): readonly DeadEnd[];
}

const NO_HISTORY: RouteHistory = { isOnFallback: false };

/**
 * Makes a router. Where an account is given twice, the last one counts.
 *
 * @param forwarding Absent: senders are not rewritten, and no address is known as a rewritten one.
 */
export function createRouter(config: RoutingConfig, accounts: readonly Account[], forwarding?: Forwarding): Router {
  const directory = buildDirectory(config, accounts);
  let found: readonly DeadEnd[] | undefined;
  const resolve = (recipient: Mailbox | typeof BARE_POSTMASTER, isOwnReport = false): RecipientResolution =>
    (forwarding && resolveRewritten(directory, forwarding, recipient, isOwnReport)) ??
      resolveRecipient(directory, recipient);
  return {
    resolveRecipient: (recipient) => resolve(recipient),
    reportTargets(address): readonly ResolvedTarget[] {
      const mailbox = parseMailbox(address);
      const resolved = mailbox === undefined ? undefined : resolve(mailbox, true);
      return resolved?.kind === "local" ? resolved.targets : [{ address }];
    },
    senderBehind(address): string {
      const mailbox = parseMailbox(address);
      const sender = mailbox && forwarding && senderBehind(directory, forwarding, mailbox);
      return sender?.text ?? address;
    },
    rewriteSender: (reversePath, forwardedBy) =>
      forwarding && rewriteSender(directory, forwarding, reversePath, forwardedBy),
    nextHop: (address, history) => nextHop(directory, address, history),
    isRouted: (domain) => routeOf({ ...directory.routes, all: undefined }, domain) !== undefined,
    takesBinary: (address) => takesBinary(directory, address),
    accountOf: (address) => accountNamed(nextHop(directory, address)),
    detailOf: (address) => {
      const mailbox = parseMailbox(address);
      return mailbox === undefined ? undefined : detailOf(directory, mailbox);
    },
    findAccount: (address) => findAccount(directory, address),
    findByCertificate: (certificate) => findByCertificate(directory, certificate),
    loginName: (address) => loginName(directory, address),
    userAddress: (user) => userAddress(directory, user),
    mayUse: (account, mailbox) => mayUse(directory, account, mailbox),
    orphanedLists: () => orphanedLists(directory),
    deadEnds: () => found ??= deadEnds(directory),
  };
}

/**
 * Decides where a recipient goes. Aliases were followed at RCPT and are not looked at: an account is a Maildir, unless
 * somebody else keeps its mail; a domain of ours without that account needs a route of its own, and everything else goes
 * by route or MX.
 */
function nextHop(directory: Directory, address: string, history: RouteHistory = NO_HISTORY): RouteDecision {
  const mailbox = parseMailbox(address);
  if (mailbox === undefined) {
    return { kind: "refused", status: "5.1.3", text: "Bad destination mailbox address syntax" };
  }
  const ours = asOurs(directory, mailbox);
  if (ours === undefined) {
    const { domain } = mailbox;
    return hopOn(routeOf(directory.routes, domain) ?? MX_ROUTE, domain, history);
  }
  const account = accountOf(directory, ours);
  // The detail stays in the address of the recipient: the mailbox files by it, once for each folder.
  if (account !== undefined) return { kind: "hop", hop: accountHop(directory, account) };
  const route = directory.routes.exact.get(ours.domain.name);
  if (route !== undefined) return hopOn(route, ours.domain.name, history);
  return { kind: "refused", status: "5.1.1", text: "No such mailbox" };
}

/** Where the mail of an account is put. */
function accountHop({ mailboxVia }: Directory, { address, via = mailboxVia }: Account): NextHop {
  return via === "maildir" ? { kind: "maildir", account: address, key: `maildir:${address}` } : hopVia(via);
}

/** Servers that keep mailboxes and offer LMTP take no binary content: what is accepted here would be sent back. */
function takesBinary(directory: Directory, address: string): boolean {
  const mailbox = parseMailbox(address);
  const ours = mailbox === undefined ? undefined : asOurs(directory, mailbox);
  const account = ours === undefined ? undefined : accountOf(directory, ours);
  return account === undefined || accountHop(directory, account).kind === "webhook";
}

function accountNamed(decision: RouteDecision): string | undefined {
  return decision.kind === "hop" && decision.hop.kind === "maildir" ? decision.hop.account : undefined;
}

function findByCertificate(
  directory: Directory,
  { sha256, emails }: Pick<ClientCertificate, "sha256" | "emails">,
): readonly Account[] {
  const byAddress = emails.map((email) => findAccount(directory, email));
  const found = [...directory.byCertificate.get(sha256) ?? [], ...byAddress].filter((account) => account !== undefined);
  return [...new Set(found)];
}

/** Whoever knows the password of a mailbox may use any of its addresses to say which one it is, as with other servers. */
function findAccount(directory: Directory, address: string): Account | undefined {
  return directory.mailboxes.get(oneSpelling(directory, address));
}

/** Guesses at one account count together, whichever of its addresses they name. */
function loginName(directory: Directory, address: string): string {
  const account = findAccount(directory, address);
  return account === undefined ? oneSpelling(directory, address) : foldAddress(account.address);
}

function oneSpelling(directory: Directory, address: string): string {
  const mailbox = parseMailbox(address);
  if (mailbox === undefined) return foldAddress(address);
  return asOurs(directory, mailbox)?.address ?? foldAddress(mailbox.text);
}
