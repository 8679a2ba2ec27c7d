/**
 * Follows what an address of ours stands for: aliases and lists, accounts and their forwards, catch-alls, and who takes the
 * mail for postmaster.
 */

import type { Account } from "../config/config.ts";
import { domainOf, parseMailbox } from "../mail/mailbox.ts";
import { BARE_POSTMASTER } from "../smtp/path.ts";
import { asOurs, type Directory, type OurMailbox, withDetail } from "./directory.ts";

/** Where mail for an address of ours goes. */
export interface ResolvedTarget {
  /** The forward-path that delivery uses, canonical; of a mailbox of ours with the detail that the mail came for. */
  readonly address: string;
  /** Of a target that is not ours: the address of ours that led there, canonical. */
  readonly forwardedBy?: string;
  /** Of a member of a list: its owner, who gets the reports (RFC 5321 §3.9.2). A null reverse-path stays null even so. */
  readonly reversePath?: string;
}

/** Why an address cannot be expanded: the aliases are at fault. */
export type ExpansionProblem = "loop" | "depth" | "size";

/** What an address stands for. */
export interface Expanded {
  /** Each address once; none where there is no such mailbox, or there is a problem. */
  readonly targets: readonly ResolvedTarget[];
  /** What kept it from being expanded. */
  readonly problem?: ExpansionProblem;
}

/** What is followed. */
export interface ExpandOptions {
  /** Accounts that forward their mail stand for where it goes, and not for themselves. Default: true. */
  readonly followsForwards?: boolean;
  /** Somebody takes the mail for postmaster and abuse even where no alias, account or catch-all does. Default: true. */
  readonly hasFallback?: boolean;
}

/** Aliases and forwards in a row. */
export const MAX_ALIAS_DEPTH = 10;
/** Targets of one address. More belong to a program for lists: each of them is a line in the spool file. */
export const MAX_TARGETS = 10_000;

/** The addresses that somebody reads at every domain (RFC 5321 §4.5.1, RFC 2142 §4 and §5), and who reads them if nobody else does. */
const ROLES: ReadonlyMap<string, readonly string[]> = new Map([
  [BARE_POSTMASTER, []],
  ["abuse", [BARE_POSTMASTER]],
]);

/** One expansion in progress. */
interface Expansion extends Required<ExpandOptions> {
  readonly directory: Directory;
  /** By address. */
  readonly targets: Map<string, ResolvedTarget>;
  /** Aliases, forwards and catch-alls met so far, and whether they lead anywhere; each is followed once, so loops end. */
  readonly followed: Map<string, boolean>;
  hasLoop: boolean;
  problem: ExpansionProblem | undefined;
}

/** How a mailbox was reached. */
interface Way {
  /** The names of `followed` that led here. */
  readonly above: readonly string[];
  /** Of the innermost list that led here. */
  readonly owner: string | undefined;
  /** Of the alias that led here. */
  readonly detail: string;
}

/** What is to be followed. */
interface Forwards {
  /** Its name in `followed`. */
  readonly name: string;
  /** The address of ours that it is. */
  readonly forwardedBy: string;
  /** Canonical. */
  readonly forwardPaths: readonly string[];
}

const START: Way = { above: [], owner: undefined, detail: "" };

/**
 * Expands a mailbox of ours, with the first that there is of: alias, account, address of an account, the same three without the
 * detail, route of the domain, catch-all.
 *
 * A mailbox of ours is a target with its detail, also where an alias led there that was addressed with one and names none
 * itself (as `virtual` aliases of Postfix do). Lists, forwards and targets elsewhere get no detail.
 */
export function expandMailbox(directory: Directory, ours: OurMailbox, options: ExpandOptions = {}): Expanded {
  return run(directory, options, (expansion) => expand(expansion, ours, START));
}

/** The targets of the first account of a domain, or of all domains; none where there is no account at all. */
export function expandFirstAccount(directory: Directory, domain?: string, options: ExpandOptions = {}): Expanded {
  return run(directory, options, (expansion) => toFirstAccount(expansion, domain, START));
}

/** The role that a local part names, in lower case; undefined: none. */
export function roleOf(localPart: string): string | undefined {
  const role = localPart.toLowerCase();
  return ROLES.has(role) ? role : undefined;
}

/** The roles whose mailbox takes the mail for a role, itself first. */
export function rolesFor(role: string): readonly string[] {
  return [role, ...ROLES.get(role) ?? []];
}

function run(directory: Directory, options: ExpandOptions, start: (expansion: Expansion) => void): Expanded {
  const expansion: Expansion = {
    directory,
    followsForwards: true,
    hasFallback: true,
    ...options,
    targets: new Map(),
    followed: new Map(),
    hasLoop: false,
    problem: undefined,
  };
  start(expansion);
  const { targets, hasLoop } = expansion;
  const problem = expansion.problem ?? (targets.size === 0 && hasLoop ? "loop" : undefined);
  // Refused as a whole: to leave out the targets behind a bound would lose mail.
  return problem === undefined ? { targets: [...targets.values()] } : { targets: [], problem };
}

/** Adds the targets of a mailbox; false where it leads nowhere. */
function expand(expansion: Expansion, ours: OurMailbox, way: Way): boolean {
  if (expandNamed(expansion, ours, way)) return true;
  const role = expansion.hasFallback ? roleOf(ours.localPart) : undefined;
  return role !== undefined && expandRole(expansion, role, ours.domain.name, way);
}

function expandNamed(expansion: Expansion, { address, names, domain, unfolded }: OurMailbox, way: Way): boolean {
  const { directory: { aliases, mailboxes, routes } } = expansion;
  for (const { address: name, detail } of names) {
    const alias = aliases.get(name);
    const account = mailboxes.get(name);
    const inner = { ...way, detail: detail === "" ? way.detail : detail };
    // Within its own expansion, an alias that is an account too means the account: it keeps a copy for itself.
    if (alias !== undefined && !(account !== undefined && way.above.includes(name))) {
      const below = alias.owner === undefined ? inner : { ...inner, owner: alias.owner, detail: "" };
      return follow(expansion, { name, forwardedBy: name, forwardPaths: alias.targets }, below);
    }
    if (account !== undefined) return toAccount(expansion, account, inner);
  }
  if (routes.exact.has(domain.name)) return add(expansion, { address: unfolded }, way);
  if (domain.catchAll === undefined) return false;
  const catchAll = { name: `@${domain.name}`, forwardedBy: address, forwardPaths: [domain.catchAll] };
  // A catch-all that is nobody here is no loop of aliases.
  return expansion.followed.get(catchAll.name) ?? follow(expansion, catchAll, { ...way, detail: "" });
}

/** Adds an account, or where its mail goes on to; it always leads somewhere. */
function toAccount(expansion: Expansion, account: Account, way: Way): true {
  const { address, forward } = account;
  const name = `forward of ${address}`;
  const keep = (): true => add(expansion, { address: withDetail(expansion.directory, account, way.detail) }, way);
  // Within its own expansion it is the mailbox: a circle of forwards ends there.
  if (forward === undefined || !expansion.followsForwards || way.above.includes(name)) return keep();
  if (forward.keepsCopy) keep();
  const forwards = { name, forwardedBy: address, forwardPaths: forward.to };
  const leads = follow(expansion, forwards, { ...way, detail: "" });
  // A forward to nobody must not make the account one that does not exist.
  return leads || keep();
}

function follow(expansion: Expansion, { name, forwardedBy, forwardPaths }: Forwards, way: Way): boolean {
  const { directory, followed } = expansion;
  const known = followed.get(name);
  if (known !== undefined) {
    if (way.above.includes(name)) expansion.hasLoop = true;
    return known;
  }
  followed.set(name, false);
  if (way.above.length >= MAX_ALIAS_DEPTH) {
    expansion.problem = "depth";
    return false;
  }
  const below = { ...way, above: [...way.above, name] };
  let leads = false;
  for (const forwardPath of forwardPaths) {
    // Canonical, so that the thousands of members that a list may have need not be parsed to be passed on.
    const mailbox = directory.domains.has(domainOf(forwardPath)) ? parseMailbox(forwardPath) : undefined;
    const ours = mailbox === undefined ? undefined : asOurs(directory, mailbox);
    if (ours === undefined) leads = add(expansion, { address: forwardPath, forwardedBy }, below);
    else if (expand(expansion, ours, below)) leads = true;
    if (expansion.problem !== undefined) break;
  }
  followed.set(name, leads);
  return leads;
}

/** Who takes the mail for a role that has no mailbox: another role, or the first account, of the domain or of all. */
function expandRole(expansion: Expansion, role: string, domain: string, way: Way): boolean {
  for (const other of ROLES.get(role) ?? []) {
    const ours = asOurs(expansion.directory, { localPart: other, domain, text: `${other}@${domain}` });
    if (ours !== undefined && expand(expansion, ours, way)) return true;
  }
  return toFirstAccount(expansion, domain, way);
}

function toFirstAccount(expansion: Expansion, domain: string | undefined, way: Way): boolean {
  const { domains, accounts } = expansion.directory;
  for (const name of domain === undefined ? domains.keys() : [domain, ...domains.keys()]) {
    for (const account of accounts.values()) {
      if (account.address.endsWith(`@${name}`)) return toAccount(expansion, account, way);
    }
  }
  return false;
}

/** Adds a target once; whoever is reached otherwise, too, is no member of a list. */
function add(expansion: Expansion, target: ResolvedTarget, { owner }: Way): true {
  const { targets } = expansion;
  const known = targets.get(target.address);
  if (known !== undefined && (known.reversePath === undefined || owner !== undefined)) return true;
  if (known === undefined && targets.size >= MAX_TARGETS) {
    expansion.problem = "size";
    return true;
  }
  targets.set(target.address, owner === undefined ? target : { ...target, reversePath: owner });
  return true;
}
