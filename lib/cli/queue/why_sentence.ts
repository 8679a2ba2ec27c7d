/** The sentence of `queue why`, from facts: a pure function, so that every case can be tried. */

import { isPending } from "../../queue/journal.ts";
import type { DestinationStatus } from "../../queue/queue_control.ts";
import type { RecipientState } from "../../queue/spool.ts";
import type { Suspension } from "../../queue/suspensions.ts";
import { hostText } from "./history.ts";
import { atText, durationText, printable, timeText } from "./units.ts";

/** What is known of a recipient; all times in milliseconds since 1970. */
export interface WhyFacts {
  /** Where it stands. */
  readonly state: RecipientState;
  /** The present. */
  readonly nowMs: number;
  /** A server works on the queue. */
  readonly isRunning: boolean;
  /** An operator stopped the message. */
  readonly isHeld: boolean;
  /** Since when. */
  readonly heldSinceMs?: number;
  /** Its sender wants no attempt before (RFC 4865). */
  readonly senderHoldMs?: number;
  /** The last outcome was no attempt, because its destination took nothing. */
  readonly isPostponed: boolean;
  /** When the last outcome came. */
  readonly lastMs?: number;
  /** When delivery is given up. */
  readonly giveUpMs: number;
  /** Where it goes, where that is known. */
  readonly destination?: string;
  /** What the server says of that destination. */
  readonly status?: DestinationStatus;
  /** An operator suspended it. */
  readonly suspension?: Suspension;
}

/** Says what the recipient waits for, and until when. */
export function sentence(facts: WhyFacts): string {
  if (!isPending(facts.state)) return `${finalText(facts)}.`;
  return `${waitText(facts)}${endText(facts)}.`;
}

function finalText({ state, nowMs }: WhyFacts): string {
  const { lastOutcome: outcome, lastAttemptMs, isReported } = state;
  const when = lastAttemptMs === undefined ? "" : ` ${atText(lastAttemptMs, nowMs)}`;
  const told = isReported ? "" : "; its sender is yet to be told";
  const text = printable(outcome?.text ?? "");
  switch (outcome?.action) {
    case "delivered":
      return `delivered${when}${told}`;
    case "relayed":
      return `handed to ${
        hostText(outcome.remoteMta, outcome.remoteAddress) ?? "the next server"
      }${when}: ${text}${told}`;
    case "expanded":
      return `stands for other recipients, which have the message${told}`;
    default:
      return `failed${when}: ${text}${told}`;
  }
}

/** The strongest reason first: what has to end before anything else can happen. */
function waitText(facts: WhyFacts): string {
  const { state, nowMs, isHeld, heldSinceMs, suspension, senderHoldMs = 0, isRunning, status } = facts;
  if (isHeld) {
    const since = heldSinceMs === undefined ? "" : ` since ${timeText(heldSinceMs, nowMs)}`;
    return `held by an operator${since}, until it is released`;
  }
  if (suspension !== undefined) return suspendedText(suspension, facts);
  if (state.attempts === 0 && senderHoldMs > nowMs && state.nextAttemptMs >= senderHoldMs) {
    return `held by its sender's wish until ${untilText(senderHoldMs, nowMs)}`;
  }
  const isDue = state.nextAttemptMs <= nowMs;
  if (!isRunning) {
    if (!isDue) return `${attemptText(facts)}${lastText(facts)}, if a server runs then: none does now`;
    return `waits for a server to run: it is due since ${timeText(state.nextAttemptMs, nowMs)}${lastText(facts)}`;
  }
  const blocked = status === undefined ? undefined : blockedText(status, facts);
  if (!isDue) return `${attemptText(facts)}${lastText(facts)}${blocked === undefined ? "" : `; ${blocked}`}`;
  if (blocked !== undefined) return `due now, but ${blocked}${lastText(facts)}`;
  return `${turnText(facts)}${lastText(facts)}`;
}

function suspendedText({ pattern, reason, sinceMs }: Suspension, { destination, nowMs }: WhyFacts): string {
  const what = pattern === "*"
    ? "all remote mail is"
    : pattern === destination?.toLowerCase()
    ? `destination ${printable(destination)} is`
    : `mail for ${printable(pattern)} is`;
  return `${what} suspended by an operator since ${timeText(sinceMs, nowMs)}` +
    `${reason === "" ? "" : ` (${printable(reason)})`}, until it is resumed`;
}

function attemptText({ state, nowMs }: WhyFacts): string {
  return `waits until ${untilText(state.nextAttemptMs, nowMs)} for attempt ${state.attempts + 1}`;
}

/** What the whole destination is held back by; undefined where nothing keeps it from its turn. */
function blockedText(status: DestinationStatus, { nowMs }: WhyFacts): string | undefined {
  const { key, state, sinceMs, reason, probeMs, rateLimitedUntilMs } = status;
  const name = `destination ${printable(key)}`;
  const since = sinceMs === undefined ? "" : ` since ${timeText(sinceMs, nowMs)}`;
  const why = reason === undefined || reason === "" ? "" : ` (${printable(reason)})`;
  switch (state) {
    case "suspended":
      return `${name} is suspended by an operator${since}${why}`;
    case "down": {
      const probe = probeMs === undefined ? "" : `; probed next ${atText(probeMs, nowMs)}${inText(probeMs, nowMs)}`;
      return `${name} is down${since}${why}${probe}`;
    }
    case "probing":
      return `${name} is down${since}${why}, and one message looks just now whether it is back`;
    default:
      if (rateLimitedUntilMs === undefined || rateLimitedUntilMs <= nowMs) return undefined;
      return `the rate limit of ${name} holds it back until ${untilText(rateLimitedUntilMs, nowMs)}`;
  }
}

/** It is due, and nothing is in its way. */
function turnText({ status, nowMs, state }: WhyFacts): string {
  const attempt = `attempt ${state.attempts + 1}`;
  if (status === undefined || status.waiting === 0) return `is being delivered just now (${attempt})`;
  const { key, running, concurrency, waiting, state: how, reason } = status;
  const limited = how === "limited" && reason !== undefined ? `, fewer than allowed since ${printable(reason)}` : "";
  return `is being delivered, or waits for its turn at destination ${printable(key)}, since ` +
    `${
      timeText(state.nextAttemptMs, nowMs)
    } (${attempt}; ${running} of ${concurrency} deliveries run${limited}, ${waiting} wait)`;
}

function lastText({ state, nowMs, lastMs, isPostponed }: WhyFacts): string {
  const { lastOutcome: outcome } = state;
  if (outcome === undefined) return "";
  const when = lastMs === undefined ? "" : ` ${atText(lastMs, nowMs)}`;
  const about = outcome.replyClass === undefined ? "" : ` (${outcome.replyClass})`;
  if (isPostponed) return `: not tried${when}, ${printable(outcome.text)}`;
  // Our own words name the host, where it matters.
  if (!outcome.isRemoteReply) return `: ${printable(outcome.text)}${when}`;
  const host = hostText(outcome.remoteMta, outcome.remoteAddress);
  return `: ${host ?? "the next server"} answered "${printable(outcome.text)}"${about}${when}`;
}

/** When all waiting ends; a held message does not expire. */
function endText({ isHeld, giveUpMs, nowMs }: WhyFacts): string {
  if (isHeld || !Number.isFinite(giveUpMs)) return "";
  return giveUpMs <= nowMs ? "; the next attempt is the last" : `; given up ${atText(giveUpMs, nowMs)}`;
}

function untilText(ms: number, nowMs: number): string {
  return `${timeText(ms, nowMs)}${inText(ms, nowMs)}`;
}

function inText(ms: number, nowMs: number): string {
  return ms <= nowMs ? "" : ` (in ${durationText(ms - nowMs)})`;
}
