/** Resolves a recipient while the client waits at RCPT: whether it is ours, whether it exists, and whom it stands for. */

import { BARE_POSTMASTER } from "../smtp/path.ts";
import { type Mailbox, parseMailbox } from "../mail/mailbox.ts";
import { asOurs, type Directory, type OurMailbox } from "./directory.ts";

/** Where mail for an address of ours goes. */
export interface ResolvedTarget {
  /** The forward-path that delivery uses, canonical. */
  readonly address: string;
  /** Of a target that is not ours: the address of ours that led there, canonical. */
  readonly forwardedBy?: string;
  /** Of a member of a list: its owner, who gets the reports (RFC 5321 §3.9.2). A null reverse-path stays null even so. */
  readonly reversePath?: string;
}

/** What a recipient is. */
export type RecipientResolution =
  /** Ours. What delivery uses, at least one and each address once; aliases may lead to other domains. */
  | {
    readonly kind: "local";
    readonly targets: readonly ResolvedTarget[];
    /** `reports`: the address of a rewritten sender, from the null reverse-path only. */
    readonly takes?: "reports";
  }
  /** Of a domain that is not ours: for those only who may relay. */
  | { readonly kind: "remote" }
  /** Of a domain of ours that has no such mailbox: 550 5.1.1. */
  | { readonly kind: "unknown"; /** What to tell the client, where there is more to say. */ readonly reason?: string };

/** Aliases in a row; a recipient with more is refused as unknown. */
const MAX_ALIAS_DEPTH = 10;

/**
 * Resolves a recipient: alias, account, the same without its detail, route of the domain, catch-all, in this order.
 *
 * Nothing in a local part is interpreted but the delimiter: `user%other@ours` and `"user@other"@ours` are mailboxes of
 * ours, and most likely unknown (RFC 5321 §3.6.1 and Appendix F.2 let servers refuse such relaying).
 *
 * @param recipient A parsed mailbox, or `BARE_POSTMASTER`.
 */
export function resolveRecipient(
  directory: Directory,
  recipient: Mailbox | typeof BARE_POSTMASTER,
): RecipientResolution {
  if (recipient === BARE_POSTMASTER) return resolvePostmaster(directory);
  const ours = asOurs(directory, recipient);
  if (ours !== undefined) {
    const targets = targetsOf(directory, ours);
    if (targets.length > 0) return { kind: "local", targets };
    return isPostmaster(recipient) ? resolvePostmaster(directory, ours.domain.name) : { kind: "unknown" };
  }
  // Our own reports come from there, so answers to them must arrive.
  if (isPostmaster(recipient) && recipient.domain === directory.hostname) return resolvePostmaster(directory);
  return { kind: "remote" };
}

/**
 * RFC 5321 §4.5.1: postmaster is always there. Without an alias, account or catch-all for it, the first account takes
 * its mail: of the domain, or of the first domain that has one.
 */
function resolvePostmaster(directory: Directory, domain?: string): RecipientResolution {
  if (domain === undefined) {
    for (const name of directory.domains.keys()) {
      const ours = asOurs(directory, { localPart: BARE_POSTMASTER, domain: name, text: `${BARE_POSTMASTER}@${name}` });
      const targets = ours === undefined ? [] : targetsOf(directory, ours);
      if (targets.length > 0) return { kind: "local", targets };
    }
  }
  for (const name of domain === undefined ? directory.domains.keys() : [domain, ...directory.domains.keys()]) {
    for (const { address } of directory.accounts.values()) {
      if (address.endsWith(`@${name}`)) return { kind: "local", targets: [{ address }] };
    }
  }
  return { kind: "unknown" };
}

function isPostmaster({ localPart }: Mailbox): boolean {
  return localPart.toLowerCase() === BARE_POSTMASTER;
}

/** The forward-paths that a mailbox of ours stands for; empty where there is no such mailbox. */
export function targetsOf(directory: Directory, ours: OurMailbox): readonly ResolvedTarget[] {
  const expansion: Expansion = { directory, targets: new Map(), followed: new Set(), isTooDeep: false };
  expand(expansion, ours, []);
  // Refused as a whole: to leave out the targets behind the bound would lose mail.
  return expansion.isTooDeep ? [] : [...expansion.targets.values()];
}

/** One expansion in progress. */
interface Expansion {
  readonly directory: Directory;
  /** By address. */
  readonly targets: Map<string, ResolvedTarget>;
  /** Aliases and catch-alls (`@domain`) met so far; each is followed once, so loops end. */
  readonly followed: Set<string>;
  isTooDeep: boolean;
}

/** Adds the targets of a mailbox. `above` are the aliases that led here. */
function expand(
  expansion: Expansion,
  { address, bases, domain, unfolded }: OurMailbox,
  above: readonly string[],
): void {
  const { directory, targets } = expansion;
  for (const candidate of [address, ...bases]) {
    const forwardPaths = directory.aliases.get(candidate);
    const account = directory.accounts.get(candidate);
    // Within its own expansion, an alias that is an account too means the account: it keeps a copy for itself.
    if (forwardPaths === undefined || (account !== undefined && above.includes(candidate))) {
      if (account === undefined) continue;
      add(targets, { address: account.address });
    } else {
      follow(expansion, candidate, candidate, forwardPaths, above);
    }
    return;
  }
  if (directory.routes.exact.has(domain.name)) add(targets, { address: unfolded });
  else if (domain.catchAll !== undefined) follow(expansion, `@${domain.name}`, address, [domain.catchAll], above);
}

function follow(
  expansion: Expansion,
  name: string,
  forwardedBy: string,
  forwardPaths: readonly string[],
  above: readonly string[],
): void {
  if (expansion.followed.has(name)) return;
  expansion.followed.add(name);
  if (above.length >= MAX_ALIAS_DEPTH) {
    expansion.isTooDeep = true;
    return;
  }
  for (const forwardPath of forwardPaths) {
    const mailbox = parseMailbox(forwardPath);
    if (mailbox === undefined) continue;
    const ours = asOurs(expansion.directory, mailbox);
    if (ours === undefined) add(expansion.targets, { address: mailbox.text, forwardedBy });
    else expand(expansion, ours, [...above, name]);
  }
}

function add(targets: Map<string, ResolvedTarget>, target: ResolvedTarget): void {
  if (!targets.has(target.address)) targets.set(target.address, target);
}
