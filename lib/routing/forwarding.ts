/** Senders of mail that goes on to other sites, and where the reports about it lead (the Sender Rewriting Scheme). */

import { domainOf, type Mailbox, parseMailbox } from "../mail/mailbox.ts";
import { BARE_POSTMASTER } from "../smtp/path.ts";
import { asOurs, type Directory } from "./directory.ts";
import { type RecipientResolution, resolveRecipient } from "./recipient.ts";
import type { RewrittenSender, Srs } from "./srs/srs.ts";

/** How senders are rewritten. */
export interface Forwarding {
  /** Reads the rewritten ones, also those of the time before `isOn` was switched off. */
  readonly srs: Srs;
  /** Rewrite senders. */
  readonly isOn: boolean;
  /** Of the rewritten ones, one of ours; absent: the domain of the address that forwards. */
  readonly domain?: string;
}

/**
 * The reverse-path of a message that an address of ours sends on to another site.
 *
 * @returns Undefined where there is nothing to rewrite: the null reverse-path, and addresses of ours, which may come from
 * here anyway.
 */
export function rewriteSender(
  directory: Directory,
  { srs, isOn, domain }: Forwarding,
  reversePath: string,
  forwardedBy: string,
): RewrittenSender | undefined {
  const sender = isOn ? parseMailbox(reversePath) : undefined;
  if (sender === undefined || sender.domain === directory.hostname || asOurs(directory, sender) !== undefined) {
    return undefined;
  }
  return srs.rewrite(sender, domain ?? domainOf(forwardedBy));
}

/**
 * Resolves the address of a rewritten sender, at any domain of ours.
 *
 * @param isOwnReport We report ourselves, about mail that may have waited for longer than others have to report.
 * @returns Undefined where the address is none: an account or alias of that name comes first, and where another server
 * has the mailboxes of the domain, what we did not make may be an address of its own.
 */
export function resolveRewritten(
  directory: Directory,
  { srs }: Forwarding,
  recipient: Mailbox | typeof BARE_POSTMASTER,
  isOwnReport = false,
): RecipientResolution | undefined {
  const ours = recipient === BARE_POSTMASTER ? undefined : asOurs(directory, recipient);
  if (recipient === BARE_POSTMASTER || ours === undefined) return undefined;
  if (directory.mailboxes.has(ours.address) || directory.aliases.has(ours.address)) return undefined;
  const reading = srs.read(recipient.localPart);
  if (reading.kind === "other") return undefined;
  if (reading.kind === "forged") {
    return directory.routes.exact.has(ours.domain.name) ? undefined : { kind: "unknown" };
  }
  if (reading.kind === "expired" && !isOwnReport) {
    return { kind: "unknown", isExpired: true };
  }
  const { original } = reading;
  // A domain may have become ours since. Each turn makes the local part shorter.
  const resolved = asOurs(directory, original) === undefined
    ? { kind: "local" as const, targets: [{ address: original.text }] }
    : resolveRewritten(directory, { srs, isOn: false }, original, isOwnReport) ?? resolveRecipient(directory, original);
  return resolved.kind === "local" ? { ...resolved, takes: "reports" } : resolved;
}

/**
 * The sender that a rewritten one stands for, however old it is; through all turns, where it was rewritten here several times.
 *
 * @returns Undefined where the address is none that we made.
 */
export function senderBehind(directory: Directory, { srs }: Forwarding, rewritten: Mailbox): Mailbox | undefined {
  const ours = asOurs(directory, rewritten);
  if (ours === undefined || directory.mailboxes.has(ours.address) || directory.aliases.has(ours.address)) {
    return undefined;
  }
  const reading = srs.read(rewritten.localPart);
  if (reading.kind === "other" || reading.kind === "forged") return undefined;
  return senderBehind(directory, { srs, isOn: false }, reading.original) ?? reading.original;
}
