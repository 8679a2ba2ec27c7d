/** Messages that are not tried, because their destination takes nothing for now: what is recorded, and for how long. */

import type { Logger } from "../log/logger.ts";
import type { Fallback } from "../delivery/next_hop.ts";
import { reversePathOf } from "../mail/envelope.ts";
import type { Outcome } from "../mail/outcome.ts";
import { attemptEvents } from "./attempt.ts";
import { expiryMs } from "./deadline.ts";
import type { DestinationState } from "./destination.ts";
import type { ScheduleSettings } from "./schedule.ts";
import type { QueuedMessage, RecipientState, SpoolEvent } from "./spool.ts";
import type { Suspension } from "./suspensions.ts";

/** Why a message is not tried, and until when. */
export interface Postponement {
  /** A delay: goes to the journal, the log and a DSN. */
  readonly outcome: Outcome;
  /** From now, milliseconds. */
  readonly waitMs: number;
  /** Times in a row that the destination gave this reason. */
  readonly timesInARow?: number;
}

/** While one message looks at a closed destination, the others wait for this time. */
const PROBE_MS = 60_000;
/** Of what is suspended: the system takes no messages (RFC 3463 §3.4). */
const SUSPENDED = "4.3.2";

/** For a destination that takes nothing, or has enough to do; after its time comes, one message looks first. */
export function postponementOf(key: string, state: DestinationState | undefined, nowMs: number): Postponement {
  const closure = state?.closure;
  if (closure === undefined) {
    const text = `More mail waits for ${key} than it takes at a time`;
    // It is due, and is parked until its turn comes.
    return { outcome: { action: "delayed", status: "4.4.5", text, isRemoteReply: false }, waitMs: 0 };
  }
  const { status, text, remoteMta, remoteAddress, replyClass, destination } = closure.reason;
  return {
    outcome: {
      action: "delayed",
      status,
      text: `Not tried now, because ${key} takes no mail: ${text}`,
      isRemoteReply: false,
      ...(remoteMta !== undefined && { remoteMta }),
      ...(remoteAddress !== undefined && { remoteAddress }),
      ...(replyClass !== undefined && { replyClass }),
      ...(destination !== undefined && { destination }),
    },
    // Its time is over while one message looks, which takes minutes if nobody answers: to come back at once would be in vain.
    waitMs: closure.untilMs > nowMs ? closure.untilMs - nowMs : PROBE_MS,
    timesInARow: state?.closures ?? 1,
  };
}

/** For a destination or domain that an operator suspended; the longest wait of the schedule, because `resume` comes first. */
export function suspension({ pattern, reason }: Suspension, { retryMs }: ScheduleSettings): Postponement {
  const why = reason === "" ? "" : `: ${reason}`;
  const text = `Mail for ${pattern} is suspended by the administrator${why}`;
  return {
    outcome: { action: "delayed", status: SUSPENDED, text, isRemoteReply: false },
    waitMs: retryMs.at(-1) ?? PROBE_MS,
  };
}

/** True for a recipient that was not tried for the reason that {@linkcode suspension} gives. */
export function isSuspended({ lastOutcome }: RecipientState): boolean {
  return lastOutcome?.status === SUSPENDED && !lastOutcome.isRemoteReply;
}

/**
 * The events of recipients that are not tried: postponed, or failed where their time is over. One with a fallback goes
 * there at once where the destination as a whole has refused as often as it would have to refuse this recipient.
 */
export function postponedEvents(
  message: QueuedMessage,
  recipients: readonly number[],
  { outcome, waitMs, timesInARow = 0 }: Postponement,
  nowMs: number,
  settings: ScheduleSettings,
  fallback: (index: number) => Fallback | undefined = () => undefined,
): readonly SpoolEvent[] {
  const endMs = expiryMs(message, settings);
  if (nowMs >= endMs) return attemptEvents(message, recipients, recipients.map(() => outcome), nowMs, settings, 0);
  const nextAttempt = new Date(Math.min(endMs, Math.ceil(nowMs + waitMs))).toISOString();
  const at = new Date(nowMs).toISOString();
  const { replyClass } = outcome;
  const byFallback = new Map<string | undefined, number[]>();
  for (const index of recipients) {
    const other = replyClass === undefined ? undefined : fallback(index);
    const isDue = replyClass !== undefined && other?.classes.includes(replyClass) && timesInARow >= other.after;
    const key = isDue ? other?.key : undefined;
    const others = byFallback.get(key);
    if (others === undefined) byFallback.set(key, [index]);
    else others.push(index);
  }
  return Array.from(byFallback, ([key, indexes]) => ({
    event: "postponed",
    at,
    recipients: indexes,
    outcome,
    ...(key === undefined ? { nextAttempt } : { nextAttempt: at, fallback: key }),
  }));
}

/** Logs that recipients were not tried: one line that says all. */
export function logPostponed(
  logger: Logger,
  { queueId, envelope, envelope: { recipients, arrived } }: QueuedMessage,
  event: SpoolEvent & { readonly event: "postponed" },
): void {
  const next = event.fallback === undefined ? "next {nextAttempt}" : "goes via the fallback {fallback} from now on";
  logger.info(
    `{queueId}: not tried for {recipient} after {delaySeconds}s, status {status}: {reply}; ${next}`,
    {
      queueId,
      recipient: event.recipients.map((index) => recipients[index]?.address).join(", "),
      sender: reversePathOf(envelope, recipients[event.recipients[0] ?? 0]),
      delaySeconds: (Date.parse(event.at) - Date.parse(arrived)) / 1000,
      status: event.outcome.status,
      reply: event.outcome.text,
      nextAttempt: event.nextAttempt,
      ...(event.fallback !== undefined && { fallback: event.fallback }),
    },
  );
}
