import { assertEquals } from "@std/assert";
import { sentence, type WhyFacts } from "../../../../lib/cli/queue/why_sentence.ts";
import type { Outcome } from "../../../../lib/mail/outcome.ts";
import type { RecipientState } from "../../../../lib/queue/spool.ts";
import { destination } from "../../../support/queue_command.ts";

const at = (time: string): number => Date.parse(time.includes("T") ? time : `2026-11-27T${time}:00Z`);

const greylisted: Outcome = {
  action: "delayed",
  status: "4.7.1",
  text: "451 4.7.1 Greylisted",
  isRemoteReply: true,
  remoteMta: "mx1.x.example",
  remoteAddress: "192.0.2.1:25",
  replyClass: "greylisting",
};
const refused: Outcome = {
  action: "delayed",
  status: "4.4.1",
  text: "Cannot connect to mx1: refused",
  isRemoteReply: false,
};

function state(more: Partial<RecipientState> = {}): RecipientState {
  return { index: 0, attempts: 0, nextAttemptMs: at("13:53"), isWarned: false, isReported: false, ...more };
}

/** At 13:53, by a running server, to be given up on 2 December. */
function facts(more: Partial<WhyFacts> = {}): WhyFacts {
  return {
    state: state(),
    nowMs: at("13:53"),
    isRunning: true,
    isHeld: false,
    isPostponed: false,
    giveUpMs: at("2026-12-02T13:20:00Z"),
    ...more,
  };
}

const delayed = { attempts: 3, nextAttemptMs: at("14:05"), lastOutcome: greylisted };
const google = { destination: "google" };
const suspension = (pattern: string, reason = ""): WhyFacts["suspension"] & object => ({
  pattern,
  reason,
  sinceMs: at("12:01"),
});

const cases: readonly [what: string, facts: WhyFacts, sentence: string][] = [
  [
    "a reply of the peer",
    facts({ state: state(delayed), lastMs: at("13:53") }),
    'waits until 14:05 UTC (in 12 min) for attempt 4: mx1.x.example [192.0.2.1:25] answered "451 4.7.1 Greylisted" ' +
    "(greylisting) at 13:53 UTC; given up on 2 Dec 13:20 UTC.",
  ],
  [
    "no connection",
    facts({ state: state({ ...delayed, lastOutcome: refused }), lastMs: at("2026-11-26T23:00:00Z") }),
    "waits until 14:05 UTC (in 12 min) for attempt 4: Cannot connect to mx1: refused on 26 Nov 23:00 UTC; " +
    "given up on 2 Dec 13:20 UTC.",
  ],
  [
    "a destination that takes nothing, so that nothing was tried",
    facts({ state: state({ ...delayed, attempts: 0, lastOutcome: refused }), isPostponed: true, lastMs: at("13:40") }),
    "waits until 14:05 UTC (in 12 min) for attempt 1: not tried at 13:40 UTC, Cannot connect to mx1: refused; " +
    "given up on 2 Dec 13:20 UTC.",
  ],
  [
    "an operator who holds it",
    facts({ isHeld: true, heldSinceMs: at("12:01"), state: state(delayed), suspension: suspension("*") }),
    "held by an operator since 12:01 UTC, until it is released.",
  ],
  [
    "an operator who holds it, from an unreadable line",
    facts({ isHeld: true }),
    "held by an operator, until it is released.",
  ],
  [
    "a suspended destination",
    facts({ ...google, suspension: suspension("google", "their wish") }),
    "destination google is suspended by an operator since 12:01 UTC (their wish), until it is resumed; " +
    "given up on 2 Dec 13:20 UTC.",
  ],
  [
    "a suspended domain",
    facts({ ...google, suspension: suspension("*.x.example") }),
    "mail for *.x.example is suspended by an operator since 12:01 UTC, until it is resumed; given up on 2 Dec 13:20 UTC.",
  ],
  [
    "all mail suspended",
    facts({ suspension: suspension("*", "migration") }),
    "all remote mail is suspended by an operator since 12:01 UTC (migration), until it is resumed; " +
    "given up on 2 Dec 13:20 UTC.",
  ],
  [
    "its sender, who wants it later",
    facts({ senderHoldMs: at("2026-11-30T09:00:00Z"), state: state({ nextAttemptMs: at("2026-11-30T09:00:00Z") }) }),
    "held by its sender's wish until 30 Nov 09:00 UTC (in 2 d); given up on 2 Dec 13:20 UTC.",
  ],
  [
    "the next year",
    facts({ senderHoldMs: at("2027-01-02T09:00:00Z"), state: state({ nextAttemptMs: at("2027-01-02T09:00:00Z") }) }),
    "held by its sender's wish until 2 Jan 2027 09:00 UTC (in 35 d); given up on 2 Dec 13:20 UTC.",
  ],
  [
    "a destination that is down, when it is due",
    facts({
      ...google,
      status: destination("google", {
        state: "down",
        sinceMs: at("12:01"),
        probeMs: at("14:10"),
        reason: "Connection refused",
      }),
    }),
    "due now, but destination google is down since 12:01 UTC (Connection refused); probed next at 14:10 UTC (in 17 min); " +
    "given up on 2 Dec 13:20 UTC.",
  ],
  [
    "its own time at a destination that is down",
    facts({
      ...google,
      state: state(delayed),
      lastMs: at("13:00"),
      status: destination("google", { state: "down", sinceMs: at("12:01"), probeMs: at("13:55") }),
    }),
    'waits until 14:05 UTC (in 12 min) for attempt 4: mx1.x.example [192.0.2.1:25] answered "451 4.7.1 Greylisted" ' +
    "(greylisting) at 13:00 UTC; destination google is down since 12:01 UTC; probed next at 13:55 UTC (in 2 min); " +
    "given up on 2 Dec 13:20 UTC.",
  ],
  [
    "a probe under way",
    facts({ ...google, status: destination("google", { state: "probing", sinceMs: at("12:01") }) }),
    "due now, but destination google is down since 12:01 UTC, and one message looks just now whether it is back; " +
    "given up on 2 Dec 13:20 UTC.",
  ],
  [
    "a rate limit",
    facts({ ...google, status: destination("google", { rateLimitedUntilMs: at("13:54") }) }),
    "due now, but the rate limit of destination google holds it back until 13:54 UTC (in 60 s); " +
    "given up on 2 Dec 13:20 UTC.",
  ],
  [
    "a rate limit that is over",
    facts({ ...google, status: destination("google", { rateLimitedUntilMs: at("13:00") }) }),
    "is being delivered just now (attempt 1); given up on 2 Dec 13:20 UTC.",
  ],
  [
    "its turn",
    facts({ ...google, status: destination("google", { running: 20, waiting: 35 }) }),
    "is being delivered, or waits for its turn at destination google, since 13:53 UTC (attempt 1; 20 of 20 deliveries " +
    "run, 35 wait); given up on 2 Dec 13:20 UTC.",
  ],
  [
    "its turn at a destination that wants less",
    facts({
      ...google,
      status: destination("google", {
        state: "limited",
        running: 2,
        waiting: 5,
        concurrency: 2,
        reason: "421 slow down",
      }),
    }),
    "is being delivered, or waits for its turn at destination google, since 13:53 UTC (attempt 1; 2 of 2 deliveries run, " +
    "fewer than allowed since 421 slow down, 5 wait); given up on 2 Dec 13:20 UTC.",
  ],
  ["nothing", facts(), "is being delivered just now (attempt 1); given up on 2 Dec 13:20 UTC."],
  [
    "a server",
    facts({ isRunning: false, state: state({ nextAttemptMs: at("13:00") }) }),
    "waits for a server to run: it is due since 13:00 UTC; given up on 2 Dec 13:20 UTC.",
  ],
  [
    "its time, without a server",
    facts({ isRunning: false, state: state({ ...delayed, lastOutcome: refused }), lastMs: at("13:00") }),
    "waits until 14:05 UTC (in 12 min) for attempt 4: Cannot connect to mx1: refused at 13:00 UTC, " +
    "if a server runs then: none does now; given up on 2 Dec 13:20 UTC.",
  ],
  [
    "the last attempt",
    facts({ giveUpMs: at("13:50"), state: state({ ...delayed, lastOutcome: refused }) }),
    "waits until 14:05 UTC (in 12 min) for attempt 4: Cannot connect to mx1: refused; the next attempt is the last.",
  ],
  [
    "nothing any more: delivered",
    facts({
      state: state({
        lastOutcome: { ...refused, action: "delivered", status: "2.0.0" },
        lastAttemptMs: at("13:00"),
        isReported: true,
      }),
    }),
    "delivered at 13:00 UTC.",
  ],
  [
    "a report of success",
    facts({
      state: state({
        lastOutcome: { ...greylisted, action: "relayed", status: "2.0.0", text: "250 2.0.0 Taken" },
        lastAttemptMs: at("13:00"),
      }),
    }),
    "handed to mx1.x.example [192.0.2.1:25] at 13:00 UTC: 250 2.0.0 Taken; its sender is yet to be told.",
  ],
  [
    "a report of failure",
    facts({
      state: state({
        lastOutcome: { ...greylisted, action: "failed", status: "5.1.1", text: "550 5.1.1 No such user" },
        lastAttemptMs: at("13:00"),
      }),
    }),
    "failed at 13:00 UTC: 550 5.1.1 No such user; its sender is yet to be told.",
  ],
  [
    "a reply with control characters",
    facts({
      state: state({ ...delayed, lastOutcome: { ...greylisted, text: "451 \x1b[2Jboo\u202e" } }),
      lastMs: at("13:00"),
    }),
    'waits until 14:05 UTC (in 12 min) for attempt 4: mx1.x.example [192.0.2.1:25] answered "451 \\x1b[2Jboo\\u{202e}" ' +
    "(greylisting) at 13:00 UTC; given up on 2 Dec 13:20 UTC.",
  ],
];
for (const [what, given, expected] of cases) {
  Deno.test(`why, waiting for ${what}`, () => assertEquals(sentence(given), expected));
}
