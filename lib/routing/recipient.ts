/** Resolves a recipient while the client waits at RCPT: whether it is ours, whether it exists, and whom it stands for. */

import { BARE_POSTMASTER } from "../smtp/path.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { asOurs, type Directory } from "./directory.ts";
import {
  type Expanded,
  expandFirstAccount,
  expandMailbox,
  type ExpansionProblem,
  type ResolvedTarget,
  roleOf,
  rolesFor,
} from "./expansion.ts";

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
  | { readonly kind: "unknown"; /** It was a rewritten sender. */ readonly isExpired?: true }
  /** An address of ours whose aliases are at fault. */
  | { readonly kind: "refused"; readonly problem: ExpansionProblem };

/**
 * Resolves a recipient; see expansion.ts for whom a mailbox of ours stands for.
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
  if (recipient === BARE_POSTMASTER) return resolutionOf(expandRoleAnywhere(directory, BARE_POSTMASTER));
  const ours = asOurs(directory, recipient);
  const role = roleOf(recipient.localPart);
  if (ours !== undefined) {
    const expanded = expandMailbox(directory, ours);
    // Whatever is wrong with the aliases: somebody has to hear of it.
    const isLost = role !== undefined && expanded.problem !== undefined;
    return resolutionOf(isLost ? expandFirstAccount(directory, ours.domain.name, ITSELF) : expanded);
  }
  // Our own reports come from there, so answers to them must arrive.
  if (role !== undefined && recipient.domain === directory.hostname) {
    return resolutionOf(expandRoleAnywhere(directory, role));
  }
  return { kind: "remote" };
}

const ITSELF = { followsForwards: false };

/** The first domain that has a mailbox for a role takes its mail; without one, the first account does. */
function expandRoleAnywhere(directory: Directory, role: string): Expanded {
  for (const localPart of rolesFor(role)) {
    for (const domain of directory.domains.keys()) {
      const ours = asOurs(directory, { localPart, domain, text: `${localPart}@${domain}` });
      const expanded = ours === undefined ? undefined : expandMailbox(directory, ours, { hasFallback: false });
      if (expanded !== undefined && expanded.targets.length > 0) return expanded;
    }
  }
  const expanded = expandFirstAccount(directory);
  return expanded.problem === undefined ? expanded : expandFirstAccount(directory, undefined, ITSELF);
}

function resolutionOf({ targets, problem }: Expanded): RecipientResolution {
  if (problem !== undefined) return { kind: "refused", problem };
  return targets.length > 0 ? { kind: "local", targets } : { kind: "unknown" };
}
