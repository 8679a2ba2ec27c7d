/**
 * The short way of mail for mailboxes here: it is written straight into them while its client waits for the reply, and
 * there is never a spool file of it. What cannot go that way, or did not get there, is left to the queue.
 */

import type { NextHop } from "../delivery/next_hop.ts";
import type { DeliveryRequest, OpenDelivery } from "../delivery/target.ts";
import type { Content } from "../mail/content.ts";
import type { Envelope } from "../mail/envelope.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";
import { type Deliver, deliverSafely, logAttempt, type Route, routeSafely, transactionKey } from "./attempt.ts";
import { initialStates } from "./journal.ts";
import type { QueuedMessage } from "./spool.ts";

/** A complete message that is not in the spool. */
export interface DirectMessage {
  /** As the client will hear it. */
  readonly queueId: string;
  /** As it would be written to the spool. */
  readonly envelope: Envelope;
  /** In memory. */
  readonly content: Content;
}

/** What became of a message. */
export type DirectResult =
  /** It is durable in all of its mailboxes. `announce` logs that, one line for each. */
  | { readonly kind: "delivered"; announce(): void }
  /** No mailbox takes it, now or later; `outcome` says why, of the first one. */
  | { readonly kind: "refused"; readonly outcome: Outcome }
  /** These recipients are left, all or some: the queue has to take it for them. `announce` logs the others. */
  | { readonly kind: "left"; readonly envelope: Envelope; announce(): void };

/** What direct delivery works with. */
export interface DirectDeliveryOptions {
  /** Says where a recipient goes. */
  readonly route: Route;
  /** Writes into mailboxes. */
  readonly deliver: Deliver;
  /** Begins to write into one while the message comes. */
  readonly openMailbox: OpenMailbox;
  /** Its wall clock is in the log lines. */
  readonly clock: Clock;
  /** One line for each delivery. */
  readonly logger: Logger;
  /** Aborted when the server stops. */
  readonly signal: AbortSignal;
}

/** Begins to deliver a message that is still coming; see `MaildirTarget.open`. Never rejects. */
export type OpenMailbox = (request: DeliveryRequest) => Promise<OpenDelivery | Outcome | undefined>;

/** A long message on its way into its mailbox. */
export interface DirectStream extends OpenDelivery {
  /** Logs that it was delivered. */
  announce(outcome: Outcome): void;
}

/** Delivers while the client waits. Nothing of it ever rejects, but the `write` of a stream. */
export interface DirectDelivery {
  /** Delivers a message that is complete. */
  deliver(message: DirectMessage): Promise<DirectResult>;
  /**
   * Begins to deliver a long message while it comes: where all of its recipients lead to one mailbox.
   *
   * @param message Its content is the header section; its envelope says what goes in front.
   * @returns An outcome where the mailbox refuses it for good; undefined where it has to go through the queue.
   */
  open(message: DirectMessage): Promise<DirectStream | Outcome | undefined>;
}

/** Mailboxes that a client waits for; mail for more goes through the queue. */
const MAX_MAILBOXES = 16;

/** Recipients by index that share a delivery. */
interface Group {
  readonly hop: NextHop;
  readonly indexes: number[];
}

/** Makes the deliverer. */
export function directDelivery(options: DirectDeliveryOptions): DirectDelivery {
  return { deliver: (message) => deliver(message, options), open: (message) => open(message, options) };
}

async function deliver(
  { queueId, envelope, content }: DirectMessage,
  options: DirectDeliveryOptions,
): Promise<DirectResult> {
  const nothing = { kind: "left", envelope, announce: (): void => {} } as const;
  const message = asQueued({ queueId, envelope, content });
  const groups = mailboxesOf(message, options);
  if (groups === undefined) return nothing;
  const attempts = (await Promise.all(groups.map((group) => attempt(message, group, options)))).flat();
  const delivered = attempts.filter(({ outcome }) => outcome.action === "delivered");
  const announce = (): void => delivered.forEach(({ group, outcome }) => log(message, group, outcome, options));
  if (delivered.length === attempts.length) return { kind: "delivered", announce };
  const [first] = attempts;
  // Better told to the client than reported to a reverse-path that may be forged.
  if (first !== undefined && attempts.every(({ outcome }) => outcome.action === "failed")) {
    return { kind: "refused", outcome: first.outcome };
  }
  const done = new Set(delivered.flatMap(({ group }) => group.indexes));
  return {
    kind: "left",
    envelope: { ...envelope, recipients: envelope.recipients.filter((_, index) => !done.has(index)) },
    announce,
  };
}

async function open(
  { queueId, envelope, content }: DirectMessage,
  options: DirectDeliveryOptions,
): Promise<DirectStream | Outcome | undefined> {
  const message = asQueued({ queueId, envelope, content });
  const [group, ...others] = mailboxesOf(message, options) ?? [];
  if (group === undefined || others.length > 0) return undefined;
  const recipients = group.indexes.flatMap((index) => envelope.recipients[index] ?? []);
  // Members of a list have a reverse-path of their own: their way is through `deliver`.
  if (recipients.some(({ reversePath }) => reversePath !== undefined)) return undefined;
  const { signal, openMailbox } = options;
  const opened = await openMailbox({ queueId, envelope, content, hop: group.hop, recipients, signal });
  if (opened === undefined) return undefined;
  // What is delayed waits in the queue.
  if ("action" in opened) return opened.action === "failed" ? opened : undefined;
  return { ...opened, announce: (outcome) => log(message, group, outcome, options) };
}

function asQueued(message: DirectMessage): QueuedMessage {
  return { ...message, recipients: initialStates(message.envelope), isHeld: false };
}

/** True where nothing is asked for that only the queue can do: to wait, to watch the time, to report success. */
function isSimple({ holdUntil, deliverBy, recipients }: Envelope): boolean {
  return holdUntil === undefined && deliverBy === undefined &&
    recipients.every(({ notify, isExpanded }) =>
      !isExpanded && (notify === undefined || notify === "never" || !notify.includes("success"))
    );
}

/** The recipients by mailbox; undefined where one is somewhere else, there are many, or only the queue can do what is asked. */
function mailboxesOf(message: QueuedMessage, { route, logger }: DirectDeliveryOptions): Group[] | undefined {
  if (!isSimple(message.envelope)) return undefined;
  const groups = new Map<string, Group>();
  for (const [index, recipient] of message.envelope.recipients.entries()) {
    const hop = routeSafely(route, message, index, logger);
    if (!("key" in hop) || hop.kind !== "maildir") return undefined;
    const key = transactionKey(hop, recipient);
    const group = groups.get(key);
    if (group !== undefined) group.indexes.push(index);
    else if (groups.size === MAX_MAILBOXES) return undefined;
    else groups.set(key, { hop, indexes: [index] });
  }
  return [...groups.values()];
}

/** What became of a group: in parts, because recipients may lead to several folders of one mailbox. */
async function attempt(
  { queueId, envelope, content }: QueuedMessage,
  { hop, indexes }: Group,
  { deliver, logger, signal }: DirectDeliveryOptions,
): Promise<{ readonly group: Group; readonly outcome: Outcome }[]> {
  const recipients = indexes.flatMap((index) => envelope.recipients[index] ?? []);
  const outcomes = await deliverSafely(deliver, { queueId, envelope, content, hop, recipients, signal }, logger);
  return [...new Set(outcomes)].map((outcome) => ({
    group: { hop, indexes: indexes.filter((_, at) => outcomes[at] === outcome) },
    outcome,
  }));
}

function log(message: QueuedMessage, { hop, indexes }: Group, outcome: Outcome, options: DirectDeliveryOptions): void {
  const at = new Date(options.clock.now()).toISOString();
  logAttempt(options.logger, message, { event: "attempt", at, recipients: indexes, outcome }, hop.key);
}
