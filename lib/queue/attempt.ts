/** One delivery attempt: from a routing decision to events for the journal and lines for the log. */

import type { Logger } from "../log/logger.ts";
import type { NextHop, RouteDecision } from "../delivery/next_hop.ts";
import type { DeliveryRequest } from "../delivery/target.ts";
import { isFinal, type Outcome } from "../mail/outcome.ts";
import { bornMs, notifyMs, overdueOutcome, returnMs } from "./deadline.ts";
import { nextAttempt, type ScheduleSettings } from "./schedule.ts";
import type { QueuedMessage, SpoolEvent } from "./spool.ts";

/** Takes a message one hop further; the kind of hop chooses the target. */
export type Deliver = (request: DeliveryRequest) => Promise<readonly Outcome[]>;

/** Says where a recipient goes next. */
export type Route = (address: string) => RouteDecision;

/** A problem of our own: the detail is in the log, the text goes to the sender. */
const OUR_PROBLEM: Outcome = {
  action: "delayed",
  status: "4.3.0",
  text: "Local problem of the mail system",
  isRemoteReply: false,
};

/** Asks for the next hop; a routing that throws delays the recipient. */
export function routeSafely(route: Route, queueId: string, address: string, logger: Logger): NextHop | Outcome {
  try {
    const decision = route(address);
    if (decision.kind === "hop") return decision.hop;
    const action = decision.status.startsWith("5") ? "failed" : "delayed";
    return { action, status: decision.status, text: decision.text, isRemoteReply: false };
  } catch (error) {
    logger.error("{queueId}: cannot find a route for {recipient}: {error}", { queueId, recipient: address, error });
    return OUR_PROBLEM;
  }
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
 * reply as its text.
 */
export function attemptEvents(
  message: QueuedMessage,
  recipients: readonly number[],
  outcomes: readonly Outcome[],
  nowMs: number,
  settings: ScheduleSettings,
  random: number,
): SpoolEvent[] {
  const at = new Date(nowMs).toISOString();
  const attempts = 1 + recipients.reduce((most, index) => Math.max(most, message.recipients[index]?.attempts ?? 0), 0);
  const { envelope } = message;
  const times = { releaseMs: bornMs(message), returnMs: returnMs(envelope), notifyMs: notifyMs(envelope) };
  const next = nextAttempt({ ...times, attempts, nowMs }, settings, random);
  return groupEqual(recipients, outcomes).map(({ outcome, indexes }) => {
    if (isFinal(outcome)) return { event: "attempt", at, recipients: indexes, outcome };
    if (next.kind === "retry") {
      return { event: "attempt", at, recipients: indexes, outcome, nextAttempt: new Date(next.atMs).toISOString() };
    }
    const expired: Outcome = overdueOutcome(envelope, nowMs) ?? { ...outcome, action: "failed", status: "4.4.7" };
    return { event: "attempt", at, recipients: indexes, outcome: expired };
  });
}

/** Logs an attempt: one line that says all, for the recipients with the same outcome. */
export function logAttempt(logger: Logger, message: QueuedMessage, event: SpoolEvent, hop: string): void {
  if (event.event !== "attempt") return;
  const { outcome } = event;
  const { recipients, reversePath, arrived } = message.envelope;
  const via = outcome.remoteMta === undefined
    ? hop
    : `${outcome.remoteMta}${outcome.remoteAddress === undefined ? "" : ` [${outcome.remoteAddress}]`}`;
  const fields = {
    queueId: message.queueId,
    action: outcome.action,
    recipient: event.recipients.map((index) => recipients[index]?.address).join(", "),
    sender: reversePath,
    ...(via !== hop && { hop }),
    via,
    delaySeconds: Math.max(0, Date.parse(event.at) - Date.parse(arrived)) / 1000,
    status: outcome.status,
    reply: outcome.text,
    ...(outcome.tls !== undefined && { tls: outcome.tls }),
    ...(event.nextAttempt !== undefined && { nextAttempt: event.nextAttempt }),
  };
  const isOpen = outcome.action === "delayed" || outcome.action === "failed";
  const line = `{queueId}: {action} ${
    isOpen ? "for" : "to"
  } {recipient} via {via} after {delaySeconds}s, status {status}: {reply}`;
  if (outcome.action === "delayed") logger.warning(`${line}; next attempt {nextAttempt}`, fields);
  else if (outcome.action === "failed") logger.warning(line, fields);
  else logger.info(line, fields);
}

interface Group {
  readonly outcome: Outcome;
  readonly indexes: number[];
}

function groupEqual(recipients: readonly number[], outcomes: readonly Outcome[]): Group[] {
  const groups: Map<string, Group> = new Map();
  recipients.forEach((index, i) => {
    const outcome = outcomes[i] ?? OUR_PROBLEM;
    const key = recipients.length === 1 ? "" : JSON.stringify(outcome);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { outcome, indexes: [index] });
    else group.indexes.push(index);
  });
  return [...groups.values()];
}
