/**
 * What is known about one destination, an MX site or a configured server: how much it takes at a time, and whether it
 * takes anything. Plain state and the rules that change it; jobs, timers and lists are `dispatcher.ts`.
 *
 * The limit starts low, grows by one for each round of deliveries that the destination took, and is halved when it asks
 * for less (so do Postfix's `default_destination_concurrency_positive_feedback` and TCP). A destination that takes
 * nothing is closed as one thing: nobody is sent there until its time comes, and then one message looks whether it is back.
 */

import type { Outcome } from "../mail/outcome.ts";
import { destinationPauseMs } from "./class_backoff.ts";
import { RateKeeper, type SendRate } from "./send_rate.ts";

/** What the configuration allows for a destination. */
export interface DestinationLimits {
  /** Deliveries at the same time at most. */
  readonly concurrency: number;
  /** Deliveries at the same time while nothing is known about it. */
  readonly initial: number;
  /** Messages in a time; absent: as many as it takes. */
  readonly rate?: SendRate;
  /** The first pause where it cannot be reached, milliseconds; default 60,000, and at most that. */
  readonly firstPauseMs?: number;
  /** No pause is longer, whatever the reason, milliseconds; default: as the reason says. */
  readonly longestPauseMs?: number;
}

/** What an attempt says about its destination. */
export type Verdict =
  /** It talked to us and took the attempt for what it was, whatever became of the recipients. */
  | { readonly kind: "took" }
  /** Nothing: the attempt did not come so far. */
  | { readonly kind: "neutral" }
  /** It wants less of us. */
  | { readonly kind: "pushback"; readonly reason: Outcome }
  /** It cannot be talked to. */
  | { readonly kind: "down"; readonly reason: Outcome };

/** A destination that takes nothing. */
export interface Closure {
  /** When one message may look again; monotonic milliseconds. */
  readonly untilMs: number;
  /** When it closed last; monotonic milliseconds. */
  readonly closedMs: number;
  /** It can be talked to, but asked for a pause. */
  readonly isPause: boolean;
  /** When it closed first, milliseconds since 1970. */
  readonly sinceMs: number;
  /** The last answer or fault. */
  readonly reason: Outcome;
}

/** The state of one destination. */
export interface DestinationState {
  /** Deliveries at the same time, 1 or more; not a whole number while it grows. */
  limit: number;
  /** Deliveries that run. */
  running: number;
  /** When it last took an attempt; monotonic milliseconds. */
  tookMs: number;
  /** When the limit was last lowered. */
  loweredMs: number;
  /** The reason of that, while the limit is still low. */
  loweredBy?: Outcome | undefined;
  /** Closed: nothing is sent before its time, and then one message. */
  closure?: Closure | undefined;
  /** Closures in a row, without a delivery between them. */
  closures: number;
  /** Of the configured rate. */
  readonly rate: RateKeeper;
}

/** The first pause of a destination that cannot be reached; each further one is twice as long, up to the longest. */
const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 30 * 60_000;
/** Destinations that closed at the same time shall not be probed at the same time. */
const JITTER = 0.1;

/** A destination that nothing is known about. */
export function newDestination({ initial }: DestinationLimits): DestinationState {
  return {
    limit: initial,
    running: 0,
    tookMs: -Infinity,
    loweredMs: -Infinity,
    closures: 0,
    rate: new RateKeeper(),
  };
}

/** How many deliveries may run at the same time, now that it is open. */
export function concurrencyOf({ limit }: DestinationState, { concurrency }: DestinationLimits): number {
  // Five fifths are not quite one, for a computer.
  return Math.floor(Math.min(limit + 1e-9, concurrency));
}

/** Whether one more delivery may start: how long to wait where it may not, `Infinity` for until another one ends. */
export function waitToStart(state: DestinationState, limits: DestinationLimits, nowMs: number): number {
  if (state.closure !== undefined) {
    return state.running > 0 ? Infinity : Math.max(0, state.closure.untilMs - nowMs);
  }
  if (state.running >= concurrencyOf(state, limits)) return Infinity;
  return limits.rate === undefined ? 0 : state.rate.waitMs(limits.rate, nowMs);
}

/** What is decided when: both clocks, and chance. */
export interface Moment {
  /** Monotonic milliseconds. */
  readonly nowMs: number;
  /** Milliseconds since 1970. */
  readonly wallMs: number;
  /** From 0 to below 1. */
  readonly random: number;
}

/** How a destination changed: `closed` and `reopened` are worth a line in the log. */
export type Change = "none" | "lowered" | "closed" | "stillClosed" | "reopened";

/**
 * Takes the verdict of an attempt.
 *
 * @param startedMs When the attempt began: what it says is older than what has happened since.
 */
export function noteVerdict(
  state: DestinationState,
  limits: DestinationLimits,
  verdict: Verdict,
  startedMs: number,
  moment: Moment,
): Change {
  switch (verdict.kind) {
    case "neutral":
      return "none";
    case "took":
      return noteTaken(state, limits, startedMs, moment);
    case "pushback": {
      const pauseMs = destinationPauseMs(verdict.reason.replyClass, state.closures + 1);
      if (pauseMs !== undefined) return close(state, limits, verdict.reason, moment, pauseMs);
      // Those that run at the same time all hear the same: it counts once.
      if (startedMs < state.loweredMs && state.closure === undefined) return "none";
      return lower(state, limits, verdict.reason, moment);
    }
    case "down":
      // Others get through: it is busy, or one of its hosts is ill.
      if (state.tookMs > startedMs) return lower(state, limits, verdict.reason, moment);
      return close(state, limits, verdict.reason, moment);
  }
}

function noteTaken(state: DestinationState, limits: DestinationLimits, startedMs: number, { nowMs }: Moment): Change {
  const { closure } = state;
  state.tookMs = nowMs;
  // What was under way when it asked for a pause does not end the pause.
  if (closure !== undefined && closure.isPause && startedMs < closure.closedMs) return "none";
  state.closures = 0;
  if (state.closure !== undefined) {
    state.closure = undefined;
    state.limit = Math.min(limits.initial, limits.concurrency);
    return "reopened";
  }
  state.limit = Math.min(limits.concurrency, state.limit + 1 / Math.max(1, Math.floor(state.limit)));
  if (state.limit >= limits.concurrency) state.loweredBy = undefined;
  return "none";
}

function lower(state: DestinationState, limits: DestinationLimits, reason: Outcome, moment: Moment): Change {
  // Not even one at a time: it wants nothing for now.
  if (state.closure !== undefined || state.limit < 2) return close(state, limits, reason, moment);
  state.limit = Math.max(1, state.limit / 2);
  state.loweredMs = moment.nowMs;
  state.loweredBy = reason;
  return "lowered";
}

function close(
  state: DestinationState,
  { firstPauseMs = FIRST_PAUSE_MS, longestPauseMs = Infinity }: DestinationLimits,
  reason: Outcome,
  { nowMs, wallMs, random }: Moment,
  askedMs?: number,
): Change {
  const { closure } = state;
  // Those that were under way when it closed say nothing new.
  if (closure !== undefined && closure.untilMs > nowMs) return "none";
  const usualMs = Math.min(Math.min(firstPauseMs, FIRST_PAUSE_MS) * 2 ** state.closures, LONGEST_PAUSE_MS);
  const pauseMs = Math.min(askedMs ?? usualMs, longestPauseMs);
  state.closure = {
    untilMs: nowMs + pauseMs * (1 + JITTER * random),
    closedMs: nowMs,
    isPause: reason.destination === "pushback",
    sinceMs: closure?.sinceMs ?? wallMs,
    reason,
  };
  state.closures++;
  state.limit = 1;
  return closure === undefined ? "closed" : "stillClosed";
}
