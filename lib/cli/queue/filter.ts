/** Which messages a command is about. */

import type { ReplyClass } from "../../mail/outcome.ts";
import { domainOf } from "../../mail/mailbox.ts";
import { isPending } from "../../queue/journal.ts";
import type { QueuedMessage, RecipientState } from "../../queue/spool.ts";

/** Where a recipient stands, as `list` shows it. */
export type StateName = "waiting" | "delivered" | "relayed" | "expanded" | "failed";

/** What messages and recipients must be like; all of what is there must hold, for one and the same recipient. */
export interface Filter {
  /** Domain of the recipient, or `*.domain` for those below it. */
  readonly domain?: string;
  /** The recipient, whatever its case, or `@domain`. */
  readonly recipient?: string;
  /** The reverse-path, whatever its case, or `@domain`; empty: the null reverse-path. */
  readonly sender?: string;
  /** The destination of the recipient, as the running server names it. */
  readonly destination?: string;
  /** `held`: an operator stopped the message; `waiting`: it is tried again, and not held. */
  readonly state?: StateName | "held";
  /** Age of the message in milliseconds, at least. */
  readonly olderThanMs?: number;
  /** Age of the message in milliseconds, at most. */
  readonly newerThanMs?: number;
  /** Somewhere in the last reply, whatever its case. */
  readonly reply?: string;
  /** What the last reply is about. */
  readonly replyClass?: ReplyClass;
}

/** The destination of an address, where it is known. */
export type DestinationOf = (address: string) => string | undefined;

/** True where nothing is asked for: every message matches. */
export function isEmptyFilter(filter: Filter): boolean {
  return Object.keys(filter).length === 0;
}

/** Where a recipient stands. */
export function stateNameOf(state: RecipientState): StateName {
  const action = state.lastOutcome?.action;
  return isPending(state) || action === undefined || action === "delayed" ? "waiting" : action;
}

/**
 * Says whether a message matches.
 *
 * @param destinationOf Asked only where the filter names a destination.
 */
export function matches(message: QueuedMessage, filter: Filter, nowMs: number, destinationOf: DestinationOf): boolean {
  const { envelope, recipients, isHeld } = message;
  const { olderThanMs = 0, newerThanMs = Infinity, sender, state } = filter;
  const ageMs = nowMs - Date.parse(envelope.arrived);
  if (filter.olderThanMs !== undefined && ageMs < olderThanMs) return false;
  if (ageMs > newerThanMs) return false;
  if (sender !== undefined && !isAddress(envelope.reversePath, sender)) return false;
  if (state === "held" && !isHeld) return false;
  if (state === "waiting" && isHeld) return false;
  return recipients.some((recipient) => {
    const address = envelope.recipients[recipient.index]?.address ?? "";
    return matchesRecipient(address, recipient, filter, destinationOf);
  });
}

function matchesRecipient(
  address: string,
  recipient: RecipientState,
  { domain, recipient: wanted, destination, state, reply, replyClass }: Filter,
  destinationOf: DestinationOf,
): boolean {
  const { lastOutcome } = recipient;
  if (domain !== undefined && !isDomain(domainOf(address), domain)) return false;
  if (wanted !== undefined && !isAddress(address, wanted)) return false;
  if (state !== undefined && (state === "held" ? "waiting" : state) !== stateNameOf(recipient)) return false;
  if (reply !== undefined && lastOutcome?.text.toLowerCase().includes(reply.toLowerCase()) !== true) return false;
  if (replyClass !== undefined && lastOutcome?.replyClass !== replyClass) return false;
  return destination === undefined || destinationOf(address)?.toLowerCase() === destination.toLowerCase();
}

function isDomain(domain: string, wanted: string): boolean {
  return wanted.startsWith("*.") ? domain.endsWith(wanted.slice(1)) : domain === wanted;
}

function isAddress(address: string, wanted: string): boolean {
  if (wanted.startsWith("@")) return address !== "" && domainOf(address) === wanted.slice(1).toLowerCase();
  return address.toLowerCase() === wanted.toLowerCase();
}
