/** Whether the mailboxes that a recipient stands for have room (RFC 5321 §4.2.3: 452 and 552). */

import { isPostmaster } from "../delivery/quota/leeway.ts";
import type { MailboxQuotas } from "../delivery/quota/mailbox_quotas.ts";
import type { Outcome } from "../mail/outcome.ts";
import { SmtpError } from "../smtp/reply.ts";
import type { RecipientResolver } from "./services.ts";

/** One RCPT that would be accepted. */
export interface RoomQuestion {
  /** As the client gave it. */
  readonly forwardPath: string;
  /** What it stands for, at least one. */
  readonly targets: readonly string[];
  /** What the client says of the size of the message. */
  readonly announcedOctets: number | undefined;
}

/** A client does not wait for more mailboxes than these to be looked at; a list with more is taken. */
const MAX_MAILBOXES = 10;

/**
 * Refuses a recipient where none of its mailboxes takes the message. Where an address stands for several, one that does is
 * enough: the others must not lose the message because one of them is full, and what does not get there is told the
 * sender in a report.
 *
 * @returns Undefined, at once, where there is nothing to look at: a target is elsewhere, or has no quota.
 * @throws {SmtpError} The promise is rejected: 452 4.2.2, or 552 5.2.2.
 */
export function checkRoom(
  quotas: Pick<MailboxQuotas, "applyTo" | "check">,
  router: Pick<RecipientResolver, "accountOf">,
  { forwardPath, targets, announcedOctets }: RoomQuestion,
): Promise<void> | undefined {
  if (targets.length > MAX_MAILBOXES) return undefined;
  const accounts: string[] = [];
  for (const target of targets) {
    const account = router.accountOf(target);
    if (account === undefined || !quotas.applyTo(account)) return undefined;
    accounts.push(account);
  }
  const leeway = isPostmaster(forwardPath) ? "grace" : "none";
  return refuseFull(accounts.map((account) => quotas.check(account, announcedOctets, leeway)));
}

async function refuseFull(checks: readonly Promise<Outcome | undefined>[]): Promise<void> {
  const outcomes = await Promise.all(checks);
  const refusals = outcomes.filter((outcome) => outcome !== undefined);
  // Who may succeed later is not told that nobody ever will.
  const refusal = refusals.find(({ action }) => action === "delayed") ?? refusals[0];
  if (refusal === undefined || refusals.length < outcomes.length) return;
  const text = refusal.text.charAt(0).toUpperCase() + refusal.text.slice(1);
  if (refusal.action === "failed") throw new SmtpError(552, refusal.status, text);
  throw new SmtpError(452, refusal.status, `${text}; try again later`);
}
