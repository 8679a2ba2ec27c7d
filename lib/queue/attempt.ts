/** One delivery attempt: from a routing decision to events for the journal and lines for the log. */

import type { Logger } from "../log/logger.ts";
import type { Fallback, NextHop, RouteDecision, RouteHistory } from "../delivery/next_hop.ts";
import type { DeliveryRequest } from "../delivery/target.ts";
import { type EnvelopeRecipient, reversePathOf } from "../mail/envelope.ts";
import { isFinal, type Outcome } from "../mail/outcome.ts";
import { bornMs, notifyMs, overdueOutcome, returnMs } from "./deadline.ts";
import { type NextAttempt, nextAttempt, type ScheduleSettings } from "./schedule.ts";
import type { QueuedMessage, RecipientState, SpoolEvent } from "./spool.ts";

/** Takes a message one hop further; the kind of hop chooses the target. */
export type Deliver = (request: DeliveryRequest) => Promise<readonly Outcome[]>;

/** Says where a recipient goes next. */
export type Route = (address: string, history: RouteHistory) => RouteDecision;

/** A problem of our own: the detail is in the log, the text goes to the sender. */
const OUR_PROBLEM: Outcome = {
  action: "delayed",
  status: "4.3.0",
  text: "Local problem of the mail system",
  isRemoteReply: false,
};

/** Asks for the next hop of a recipient (by index); a routing that throws delays it. */
export function routeSafely(route: Route, message: QueuedMessage, index: number, logger: Logger): NextHop | Outcome {
  const { queueId, envelope } = message;
  const address = envelope.recipients[index]?.address ?? "";
  try {
    const decision = route(address, historyOf(message.recipients[index]));
    if (decision.kind === "hop") return decision.hop;
    const action = decision.status.startsWith("5") ? "failed" : "delayed";
    return { action, status: decision.status, text: decision.text, isRemoteReply: false };
  } catch (error) {
    logger.error("{queueId}: cannot find a route for {recipient}: {error}", { queueId, recipient: address, error });
    return OUR_PROBLEM;
  }
}

/** Recipients share a transaction where they share next hop, reverse-path and what goes in front of the content. */
export function transactionKey({ key }: NextHop, recipient: EnvelopeRecipient | undefined): string {
  const { reversePath, forwardedBy } = recipient ?? {};
  return reversePath === undefined && forwardedBy === undefined ? key : JSON.stringify([key, reversePath, forwardedBy]);
}

/** The fallback that a recipient (by index) may still take; undefined where there is none, or it is on it already. */
export function fallbackOf(route: Route, message: QueuedMessage, index: number): Fallback | undefined {
  try {
    const decision = route(message.envelope.recipients[index]?.address ?? "", historyOf(message.recipients[index]));
    return decision.kind === "hop" ? decision.fallback : undefined;
  } catch {
    // The next attempt asks again, and logs it.
    return undefined;
  }
}

function historyOf(state: RecipientState | undefined): RouteHistory {
  return { isOnFallback: state?.fallback !== undefined };
}

/** Tries once; a target that throws, or answers for fewer recipients than it was given, delays them. */
export async function deliverSafely(
  deliver: Deliver,
  request: DeliveryRequest,
  logger: Logger,
): Promise<readonly Outcome[]> {
  try {
    const outcomes = await deliver(request);
    if (outcomes.length === request.recipients.length) return outcomes;
    throw new TypeError(`${outcomes.length} outcomes for ${request.recipients.length} recipients`);
  } catch (error) {
    if (!request.signal.aborted) {
      const { queueId, hop: { key: hop } } = request;
      logger.error("{queueId}: delivery via {hop} broke off: {error}", { queueId, hop, error });
    }
    return request.recipients.map(() => OUR_PROBLEM);
  }
}

/**
 * Makes the events of an attempt: one for all recipients (by index) with the same outcome. A delay gets the time of the
 * next attempt, or, when the message is too old, becomes a failure with the status 4.4.7 (RFC 3463 §3.5) and the last
 * reply as its text. Where a fallback is due, a delay or a failure becomes a delay with an attempt at once.
 *
 * @param fallback The fallback that a recipient (by index) may take.
 */
export function attemptEvents(
  message: QueuedMessage,
  recipients: readonly number[],
  outcomes: readonly Outcome[],
  nowMs: number,
  settings: ScheduleSettings,
  random: number,
  fallback: (index: number) => Fallback | undefined = () => undefined,
): SpoolEvent[] {
  const at = new Date(nowMs).toISOString();
  const attempts = 1 + recipients.reduce((most, index) => Math.max(most, message.recipients[index]?.attempts ?? 0), 0);
  const { envelope } = message;
  const times = { releaseMs: bornMs(message), returnMs: returnMs(envelope), notifyMs: notifyMs(envelope) };
  const nextFor = ({ replyClass }: Outcome): NextAttempt =>
    nextAttempt({ ...times, attempts, nowMs, replyClass }, settings, random);
  const diverted = (index: number, outcome: Outcome): string | undefined => {
    const candidate = outcome.replyClass === undefined ? undefined : fallback(index);
    const isDue = candidate !== undefined && isFallbackDue(outcome, message.recipients[index], candidate);
    return isDue && nextFor(outcome).kind === "retry" ? candidate.key : undefined;
  };
  return groupEqual(recipients, outcomes, diverted).map(({ outcome, indexes, fallback }) => {
    if (fallback !== undefined) {
      const delayed: Outcome = { ...outcome, action: "delayed", status: `4${outcome.status.slice(1)}` };
      return { event: "attempt", at, recipients: indexes, outcome: delayed, nextAttempt: at, fallback };
    }
    if (isFinal(outcome)) return { event: "attempt", at, recipients: indexes, outcome };
    const next = nextFor(outcome);
    if (next.kind === "retry") {
      return { event: "attempt", at, recipients: indexes, outcome, nextAttempt: new Date(next.atMs).toISOString() };
    }
    const expired: Outcome = overdueOutcome(envelope, nowMs) ?? { ...outcome, action: "failed", status: "4.4.7" };
    return { event: "attempt", at, recipients: indexes, outcome: expired };
  });
}

/** A permanent refusal of a class of the fallback is enough; of transient ones it takes some. */
function isFallbackDue(
  { action, replyClass }: Outcome,
  state: RecipientState | undefined,
  fallback: Fallback,
): boolean {
  if (replyClass === undefined || !fallback.classes.includes(replyClass)) return false;
  if (action !== "delayed") return action === "failed";
  const earlier = fallback.classes.reduce((sum, one) => sum + (state?.failures?.[one] ?? 0), 0);
  return earlier + 1 >= fallback.after;
}

/** Logs an attempt: one line that says all, for the recipients with the same outcome. */
export function logAttempt(logger: Logger, message: QueuedMessage, event: SpoolEvent, hop: string): void {
  if (event.event !== "attempt") return;
  const { outcome } = event;
  const { envelope, envelope: { recipients, arrived } } = message;
  const via = outcome.remoteMta === undefined
    ? hop
    : `${outcome.remoteMta}${outcome.remoteAddress === undefined ? "" : ` [${outcome.remoteAddress}]`}`;
  const fields = {
    queueId: message.queueId,
    action: outcome.action,
    recipient: event.recipients.map((index) => recipients[index]?.address).join(", "),
    sender: reversePathOf(envelope, recipients[event.recipients[0] ?? 0]),
    ...(via !== hop && { hop }),
    via,
    delaySeconds: Math.max(0, Date.parse(event.at) - Date.parse(arrived)) / 1000,
    status: outcome.status,
    ...(outcome.replyClass !== undefined && { class: outcome.replyClass }),
    reply: outcome.text,
    ...(outcome.tls !== undefined && { tls: outcome.tls }),
    ...(event.nextAttempt !== undefined && { nextAttempt: event.nextAttempt }),
    ...(event.fallback !== undefined && { fallback: event.fallback }),
  };
  const isOpen = outcome.action === "delayed" || outcome.action === "failed";
  const line = `{queueId}: {action} ${
    isOpen ? "for" : "to"
  } {recipient} via {via} after {delaySeconds}s, status {status}: {reply}`;
  if (event.fallback !== undefined) logger.warning(`${line}; goes via the fallback {fallback} from now on`, fields);
  else if (outcome.action === "delayed") logger.warning(`${line}; next attempt {nextAttempt}`, fields);
  else if (outcome.action === "failed") logger.warning(line, fields);
  else logger.info(line, fields);
}

/**
 * Logs that nobody is told of a failure, because the message itself is a report, ours or somebody else's: one line that
 * says who did not get what, and why.
 */
export function logDoubleBounce(logger: Logger, { queueId, envelope }: QueuedMessage, event: SpoolEvent): void {
  if (event.event !== "attempt" || event.outcome.action !== "failed") return;
  if (reversePathOf(envelope, envelope.recipients[event.recipients[0] ?? 0]) !== "") return;
  const reportOn = envelope.session.service === "local" ? /report on ([^\s)]+)/.exec(envelope.trace)?.[1] : undefined;
  const what = reportOn === undefined ? "a message with the null reverse-path" : `our report on ${reportOn}`;
  logger.warning("{queueId}: double bounce: {what} to {recipient} ends here, nobody is told: {status} {reply}", {
    queueId,
    what,
    recipient: event.recipients.map((index) => envelope.recipients[index]?.address).join(", "),
    status: event.outcome.status,
    reply: event.outcome.text,
    ...(reportOn !== undefined && { reportOn }),
  });
}

interface Group {
  readonly outcome: Outcome;
  readonly fallback: string | undefined;
  readonly indexes: number[];
}

function groupEqual(
  recipients: readonly number[],
  outcomes: readonly Outcome[],
  diverted: (index: number, outcome: Outcome) => string | undefined,
): Group[] {
  const groups: Map<string, Group> = new Map();
  recipients.forEach((index, i) => {
    const outcome = outcomes[i] ?? OUR_PROBLEM;
    const fallback = diverted(index, outcome);
    const key = recipients.length === 1 ? "" : JSON.stringify([outcome, fallback]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { outcome, fallback, indexes: [index] });
    else group.indexes.push(index);
  });
  return [...groups.values()];
}
