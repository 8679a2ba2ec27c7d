import { assertEquals } from "@std/assert";
import type { Envelope } from "../../../lib/mail/envelope.ts";
import {
  applyEvent,
  initialStates,
  isDelayReportable,
  isPending,
  isToBeReported,
  isUnreported,
} from "../../../lib/queue/journal.ts";
import { delayedEvent, outcome, sampleEnvelope } from "../../support/queue_samples.ts";

Deno.test("a recipient is pending until an outcome is final, and a failure is left to report", () => {
  const envelope = sampleEnvelope(["a@x.example", "b@x.example"]);
  const states = initialStates(envelope);
  const message = { envelope, recipients: states, isHeld: false };
  assertEquals(states.map(isPending), [true, true]);
  applyEvent(message, delayedEvent("later", [0, 1]));
  assertEquals(states.map(isPending), [true, true]);
  const at = "2026-01-01T00:10:00.000Z";
  applyEvent(message, { event: "attempt", at, recipients: [0], outcome: outcome("delivered", "2.0.0") });
  applyEvent(message, { event: "attempt", at, recipients: [1], outcome: outcome("failed", "5.1.1") });
  assertEquals(states.map(isPending), [false, false]);
  assertEquals(states.map(isUnreported), [false, true]);
  assertEquals(states.map((state) => state.attempts), [2, 2]);
  applyEvent(message, { event: "reported", at, recipients: [1], kind: "failed" });
  assertEquals(states.map(isUnreported), [false, false]);
});

Deno.test("an operator's retry makes all that are pending due, and none that is final", () => {
  const envelope = sampleEnvelope(["a@x.example", "b@x.example"]);
  const states = initialStates(envelope);
  const message = { envelope, recipients: states, isHeld: false };
  applyEvent(message, delayedEvent("later", [0]));
  const at = "2026-01-01T00:01:00.000Z";
  applyEvent(message, { event: "attempt", at, recipients: [1], outcome: outcome("relayed", "2.0.0") });
  const before = states[1]?.nextAttemptMs;
  applyEvent(message, { event: "retry", at });
  assertEquals(states.map((state) => state.nextAttemptMs), [Date.parse(at), before]);
});

Deno.test("a hold stops a message, a release makes it due, and a postponement counts as no attempt", () => {
  const envelope = sampleEnvelope(["a@x.example"]);
  const message = { envelope, recipients: initialStates(envelope), isHeld: false };
  const at = "2026-01-01T00:01:00.000Z";
  const nextAttempt = "2026-01-01T00:06:00.000Z";
  applyEvent(message, { event: "postponed", at, recipients: [0], outcome: outcome("delayed", "4.4.1"), nextAttempt });
  applyEvent(message, { event: "held", at });
  const [state] = message.recipients;
  assertEquals([message.isHeld, state?.attempts, state?.nextAttemptMs], [true, 0, Date.parse(nextAttempt)]);
  assertEquals(state?.lastOutcome?.status, "4.4.1");
  applyEvent(message, { event: "released", at });
  assertEquals([message.isHeld, state?.nextAttemptMs], [false, Date.parse(at)]);
});

const REPORTS: readonly [string, Partial<Envelope>, boolean, boolean, boolean][] = [
  ["without NOTIFY: both", {}, true, true, false],
  ["NOTIFY=NEVER: none", { recipients: [{ address: "a@x", notify: "never" }] }, false, false, false],
  ["NOTIFY=SUCCESS: success only", { recipients: [{ address: "a@x", notify: ["success"] }] }, false, false, true],
  ["NOTIFY=FAILURE: failures only", { recipients: [{ address: "a@x", notify: ["failure"] }] }, true, false, false],
  ["NOTIFY=DELAY: warnings only", { recipients: [{ address: "a@x", notify: ["delay"] }] }, false, true, false],
  [
    "null reverse-path: none",
    { reversePath: "", recipients: [{ address: "a@x", notify: ["success"] }] },
    false,
    false,
    false,
  ],
];

for (const [what, more, failure, delay, success] of REPORTS) {
  Deno.test(`the sender hears of failure, delay and success as asked for; ${what}`, () => {
    const envelope = sampleEnvelope(["a@x"], more);
    assertEquals(isToBeReported(envelope, 0, outcome("failed", "5.0.0")), failure);
    assertEquals(isToBeReported(envelope, 0, outcome("delivered", "2.0.0")), success);
    assertEquals(isToBeReported(envelope, 0, { ...outcome("relayed", "2.0.0"), isDsnPassedOn: true }), false);
    assertEquals(isDelayReportable(envelope, 0), delay);
  });
}
