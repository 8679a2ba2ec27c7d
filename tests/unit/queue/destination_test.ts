import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Outcome } from "../../../lib/mail/outcome.ts";
import {
  concurrencyOf,
  type DestinationState,
  newDestination,
  noteVerdict,
  type Verdict,
  waitToStart,
} from "../../../lib/queue/destination.ts";
import { outcome } from "../../support/queue_samples.ts";

const LIMITS = { concurrency: 20, initial: 5 };
const MINUTE = 60_000;
const REFUSED: Outcome = { ...outcome("delayed", "4.4.1", "connection refused"), destination: "down" };
const BUSY: Outcome = { ...outcome("delayed", "4.7.0", "421 busy"), destination: "pushback" };
const TOOK: Verdict = { kind: "took" };
const DOWN: Verdict = { kind: "down", reason: REFUSED };
const PUSHBACK: Verdict = { kind: "pushback", reason: BUSY };

/** A destination and a clock that moves with each verdict. */
function track(): { state: DestinationState; nowMs: number; note: (verdict: Verdict, startedMs?: number) => string } {
  const tracked = {
    state: newDestination(LIMITS),
    nowMs: 0,
    note: (verdict: Verdict, startedMs?: number): string => {
      const { nowMs } = tracked;
      return noteVerdict(tracked.state, LIMITS, verdict, startedMs ?? nowMs, { nowMs, wallMs: nowMs, random: 0 });
    },
  };
  return tracked;
}

Deno.test("a limit grows by one in each round of deliveries that were taken, up to what is allowed", () => {
  const { state, note } = track();
  const sizes: number[] = [];
  for (let round = 0; round < 20; round++) {
    sizes.push(concurrencyOf(state, LIMITS));
    for (let i = concurrencyOf(state, LIMITS); i > 0; i--) note(TOOK);
  }
  assertEquals(sizes, [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 20, 20, 20, 20]);
});

Deno.test("a destination that asks for less gets half, once for all that were under way, and at last nothing for a while", () => {
  const tracked = track();
  const { state, note } = tracked;
  const steps: [string, number][] = [];
  for (const atMs of [1_000, 2_000, 3_000]) {
    tracked.nowMs = atMs;
    const started = atMs - 10;
    const first = note(PUSHBACK, started);
    steps.push([first, Math.floor(state.limit)]);
    if (first === "lowered") assertEquals(note(PUSHBACK, started), "none", "the same round");
  }
  assertEquals(steps, [["lowered", 2], ["lowered", 1], ["closed", 1]]);
  assertEquals(waitToStart(state, LIMITS, tracked.nowMs), MINUTE);
});

Deno.test("a destination that is down rests for 1, 2, 4, ... 30 minutes, one attempt between, until it takes one", () => {
  const tracked = track();
  const { state, note } = tracked;
  const rests: number[] = [];
  for (let probe = 0; probe < 8; probe++) {
    assertEquals(note(DOWN), probe === 0 ? "closed" : "stillClosed");
    assertEquals(note(DOWN), "none", "those that were under way say nothing new");
    const waitMs = waitToStart(state, LIMITS, tracked.nowMs);
    rests.push(waitMs / MINUTE);
    tracked.nowMs += waitMs;
    assertEquals(waitToStart(state, LIMITS, tracked.nowMs), 0);
    state.running = 1;
    assertEquals(waitToStart(state, LIMITS, tracked.nowMs), Infinity, "one at a time");
    state.running = 0;
  }
  assertEquals(rests, [1, 2, 4, 8, 16, 30, 30, 30]);
  assertEquals(state.closure?.sinceMs, 0);
  assertEquals(note(TOOK), "reopened");
  assertEquals([state.closure, state.limit], [undefined, 5]);
  note(DOWN, tracked.nowMs + 1);
  assertEquals(waitToStart(state, LIMITS, tracked.nowMs), MINUTE, "the rests begin anew");
});

Deno.test("one connection that fails among others that work closes nothing", () => {
  const tracked = track();
  tracked.nowMs = 5_000;
  tracked.note(TOOK, 4_000);
  assertEquals(tracked.note(DOWN, 1_000), "lowered");
  assertEquals(tracked.state.closure, undefined);
});

Deno.test("an attempt that did not come so far says nothing", () => {
  const { state, note } = track();
  note(DOWN);
  assertEquals(note({ kind: "neutral" }), "none");
  assert(state.closure !== undefined);
});

Deno.test("a reply about rates or reputation makes a pause at once, which those under way do not end", () => {
  const tracked = track();
  tracked.nowMs = MINUTE;
  const rate: Outcome = { ...BUSY, replyClass: "rate" };
  assertEquals(tracked.note({ kind: "pushback", reason: rate }), "closed");
  assertEquals(waitToStart(tracked.state, LIMITS, tracked.nowMs), MINUTE);
  tracked.nowMs += 1_000;
  assertEquals(tracked.note(TOOK, MINUTE - 1), "none", "it began before the pause");
  tracked.nowMs += MINUTE;
  assertEquals(tracked.note({ kind: "pushback", reason: { ...BUSY, replyClass: "reputation" } }), "stillClosed");
  assertEquals(waitToStart(tracked.state, LIMITS, tracked.nowMs), 30 * MINUTE, "the second in a row");
  tracked.nowMs += 30 * MINUTE;
  assertEquals(tracked.note(TOOK), "reopened");
});

Deno.test("a rate spreads messages evenly and lets a twentieth go at once", () => {
  const limits = { ...LIMITS, rate: { count: 60, perMs: 60 * MINUTE } };
  const { state } = track();
  const sent: number[] = [];
  for (let nowMs = 0; sent.length < 6; nowMs += 1_000) {
    if (waitToStart(state, limits, nowMs) > 0) continue;
    state.rate.take(limits.rate, nowMs);
    sent.push(nowMs / MINUTE);
    nowMs -= 1_000;
  }
  assertEquals(sent, [0, 0, 0, 1, 2, 3]);
});

Deno.test("whatever happens, the limit stays between 1 and what is allowed, and every rest ends", () => {
  const verdict = fc.constantFrom<Verdict>(TOOK, DOWN, PUSHBACK, { kind: "neutral" });
  fc.assert(
    fc.property(fc.array(fc.record({ verdict, ageMs: fc.nat(60_000), stepMs: fc.nat(600_000) })), (steps) => {
      const tracked = track();
      for (const step of steps) {
        tracked.nowMs += step.stepMs;
        tracked.note(step.verdict, tracked.nowMs - step.ageMs);
        const { state, nowMs } = tracked;
        assert(state.limit >= 1 && state.limit <= LIMITS.concurrency);
        assert(waitToStart(state, LIMITS, nowMs) <= 30 * MINUTE);
      }
    }),
  );
});

Deno.test("the first pause of a destination that is down is no longer than the first wait of the schedule, nor than a minute", () => {
  for (
    const [firstPauseMs, expected] of [[1_000, [1_000, 2_000, 4_000]], [5 * MINUTE, [
      MINUTE,
      2 * MINUTE,
      4 * MINUTE,
    ]]] as const
  ) {
    const state = newDestination(LIMITS);
    const pauses: number[] = [];
    for (let nowMs = 0; pauses.length < 3; nowMs = state.closure?.untilMs ?? 0) {
      noteVerdict(state, { ...LIMITS, firstPauseMs }, DOWN, nowMs, { nowMs, wallMs: nowMs, random: 0 });
      pauses.push((state.closure?.untilMs ?? 0) - nowMs);
    }
    assertEquals(pauses, [...expected]);
  }
});

Deno.test("no pause is longer than the longest wait of the schedule, not even one that a reply asks for", () => {
  const limits = { ...LIMITS, longestPauseMs: 5_000 };
  const blocked: Outcome = { ...BUSY, replyClass: "block" };
  for (const verdict of [{ kind: "pushback", reason: blocked }, { kind: "down", reason: REFUSED }] as const) {
    const state = newDestination(limits);
    noteVerdict(state, limits, verdict, 0, { nowMs: 0, wallMs: 0, random: 0 });
    assertEquals(state.closure?.untilMs, 5_000);
  }
});
