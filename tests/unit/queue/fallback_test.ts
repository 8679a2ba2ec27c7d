import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Fallback, RouteHistory } from "../../../lib/delivery/next_hop.ts";
import type { Outcome, ReplyClass } from "../../../lib/mail/outcome.ts";
import { attemptEvents, fallbackOf, logAttempt, logDoubleBounce } from "../../../lib/queue/attempt.ts";
import { applyEvent, initialStates } from "../../../lib/queue/journal.ts";
import { postponedEvents } from "../../../lib/queue/postponement.ts";
import type { QueuedMessage, SpoolEvent } from "../../../lib/queue/spool.ts";
import { memoryContent } from "../../../lib/mail/content.ts";
import { catchLog, sampleEnvelope } from "../../support/queue_samples.ts";
import type { Envelope } from "../../../lib/mail/envelope.ts";
import { DELIVERED, QueueLab } from "../../support/queue_lab.ts";

const MINUTE = 60_000;
const settings = { retryMs: [5 * MINUTE], warnAfterMs: 60 * MINUTE, expireAfterMs: 600 * MINUTE };
const FALLBACK: Fallback = { key: "smtp:u@smarthost.example:587", after: 3, classes: ["block", "reputation"] };
const startMs = Date.parse("2026-01-01T00:00:00.000Z");

function refused(action: "delayed" | "failed", replyClass?: ReplyClass): Outcome {
  const code = action === "failed" ? "5" : "4";
  return {
    action,
    status: `${code}.7.1`,
    text: `${code}50 ${code}.7.1 no`,
    isRemoteReply: true,
    remoteMta: "mx.example.org",
    ...(replyClass === undefined ? {} : { replyClass }),
  };
}

function message(recipients: readonly string[] = ["bob@x.example"], more: Partial<Envelope> = {}): QueuedMessage {
  const envelope = sampleEnvelope(recipients, more);
  const content = memoryContent(new Uint8Array());
  return { queueId: "q1", envelope, content, recipients: initialStates(envelope), isHeld: false };
}

/** An attempt after so many minutes, noted. */
function attempt(
  queued: QueuedMessage,
  minutes: number,
  outcomes: readonly Outcome[],
  fallback: Fallback | undefined = FALLBACK,
): SpoolEvent[] {
  const indexes = outcomes.map((_, index) => index);
  const at = startMs + minutes * MINUTE;
  const offered = (index: number): Fallback | undefined =>
    queued.recipients[index]?.fallback === undefined ? fallback : undefined;
  const events = attemptEvents(queued, indexes, outcomes, at, settings, 0, offered);
  for (const event of events) applyEvent(queued, event);
  return events;
}

Deno.test("after three delays of the classes a recipient goes by the fallback, at once", () => {
  const queued = message();
  const state = queued.recipients[0];
  attempt(queued, 0, [refused("delayed", "block")]);
  attempt(queued, 5, [refused("delayed", "reputation")]);
  attempt(queued, 10, [refused("delayed", "rate")]);
  attempt(queued, 15, [refused("delayed")]);
  assertEquals([state?.fallback, state?.nextAttemptMs], [undefined, startMs + 20 * MINUTE]);
  attempt(queued, 20, [refused("delayed", "block")]);
  assertEquals([state?.fallback, state?.nextAttemptMs], [FALLBACK.key, startMs + 20 * MINUTE]);
  assertEquals(state?.failures, { block: 2, reputation: 1, rate: 1 });
});

Deno.test("a permanent refusal of such a class is no bounce, but goes by the fallback at once", () => {
  const queued = message();
  const [event] = attempt(queued, 1, [refused("failed", "block")]);
  assertEquals(event?.event === "attempt" && [event.outcome.action, event.outcome.status, event.outcome.text], [
    "delayed",
    "4.7.1",
    "550 5.7.1 no",
  ]);
  assertEquals(queued.recipients[0]?.nextAttemptMs, startMs + MINUTE);
});

Deno.test("what the fallback refuses is final", () => {
  const queued = message();
  attempt(queued, 1, [refused("failed", "block")]);
  const [event] = attempt(queued, 2, [refused("failed", "block")]);
  assertEquals(event?.event === "attempt" && event.outcome.action, "failed");
});

Deno.test("another class, no fallback, or the end of the time allowed: the failure stands", () => {
  const cases: readonly (readonly [number, Outcome, Fallback | undefined])[] = [
    [0, refused("failed", "unknownUser"), FALLBACK],
    [0, refused("failed"), FALLBACK],
    [0, refused("failed", "block"), undefined],
    [600, refused("failed", "block"), FALLBACK],
    [600, refused("delayed", "block"), { ...FALLBACK, after: 1 }],
  ];
  for (const [minutes, outcome, fallback] of cases) {
    const queued = message();
    const at = startMs + minutes * MINUTE;
    const [event] = attemptEvents(queued, [0], [outcome], at, settings, 0, () => fallback);
    assertEquals(event?.event === "attempt" && [event.outcome.action, event.fallback], ["failed", undefined]);
  }
});

Deno.test("recipients with the same reply part where one of them has had its share", () => {
  const queued = message(["a@x.example", "b@x.example", "c@x.example"]);
  applyEvent(queued, {
    event: "attempt",
    at: "2026-01-01T00:00:00.000Z",
    recipients: [1],
    outcome: refused("delayed", "block"),
  });
  const same = refused("delayed", "block");
  const events = attempt(queued, 5, [same, same, refused("failed", "reputation")], { ...FALLBACK, after: 2 });
  assertEquals(events.map((event) => event.event === "attempt" && [event.recipients, event.fallback]), [
    [[0], undefined],
    [[1], FALLBACK.key],
    [[2], FALLBACK.key],
  ]);
});

Deno.test("a delivery asks for no fallback", () => {
  const outcome: Outcome = { action: "relayed", status: "2.0.0", text: "250 ok", isRemoteReply: true };
  let asked = 0;
  attemptEvents(message(), [0], [outcome], startMs, settings, 0, () => void asked++ as undefined);
  assertEquals(asked, 0);
});

Deno.test("the state after a restart is the same as before", () => {
  const queued = message();
  const events = [0, 5, 10].flatMap((minutes) => attempt(queued, minutes, [refused("delayed", "block")]));
  const restarted = message();
  for (const event of JSON.parse(JSON.stringify(events)) as SpoolEvent[]) applyEvent(restarted, event);
  assertEquals(restarted.recipients, queued.recipients);
  const histories: RouteHistory[] = [];
  const hop = { kind: "mx", domain: "x.example", key: "mx:x.example" } as const;
  fallbackOf(
    (_, history) => {
      histories.push(history);
      return { kind: "hop", hop };
    },
    restarted,
    0,
  );
  assertEquals(histories, [{ isOnFallback: true }]);
});

Deno.test("the log names the class, and the fallback from the moment it is taken", async () => {
  await using log = await catchLog();
  const queued = message();
  for (const minutes of [0, 5, 10]) {
    for (const event of attempt(queued, minutes, [refused("delayed", "block")])) {
      logAttempt(log.logger, queued, event, "mx");
    }
  }
  assertStringIncludes(log.lines[1] ?? "", "450 4.7.1 no; next attempt 2026-01-01T00:10:00.000Z");
  assertStringIncludes(log.lines[2] ?? "", `goes via the fallback ${FALLBACK.key} from now on`);
});

Deno.test("a double bounce is one line with recipients and reason, and names the report that was lost", async () => {
  await using log = await catchLog();
  const trace = "Received: by mail.example.org (posthorn, report on q0abc); Thu, 1 Jan 2026 00:00:00 +0000\r\n";
  const ours = message(["bob@x.example", "carol@x.example"], { reversePath: "", trace, session: { service: "local" } });
  const theirs = message(["bob@x.example"], { reversePath: "" });
  const at = "2026-01-01T00:00:00.000Z";
  logDoubleBounce(log.logger, ours, { event: "attempt", at, recipients: [0, 1], outcome: refused("failed") });
  logDoubleBounce(log.logger, theirs, { event: "attempt", at, recipients: [0], outcome: refused("failed") });
  logDoubleBounce(log.logger, theirs, { event: "attempt", at, recipients: [0], outcome: refused("delayed") });
  logDoubleBounce(log.logger, message(), { event: "attempt", at, recipients: [0], outcome: refused("failed") });
  assertEquals(log.lines, [
    "q1: double bounce: our report on q0abc to bob@x.example, carol@x.example ends here, nobody is told: 5.7.1 550 5.7.1 no",
    "q1: double bounce: a message with the null reverse-path to bob@x.example ends here, nobody is told: 5.7.1 550 5.7.1 no",
  ]);
});

Deno.test("while a destination as a whole refuses, its mail goes by the fallback without an attempt each", () => {
  const queued = message(["a@x.example", "b@x.example"]);
  const hasFallback = (index: number): Fallback | undefined => index === 0 ? FALLBACK : undefined;
  const postponed = (timesInARow: number, replyClass?: ReplyClass): SpoolEvent[] => {
    const postponement = { outcome: refused("delayed", replyClass), waitMs: MINUTE, timesInARow };
    return [...postponedEvents(queued, [0, 1], postponement, startMs, settings, hasFallback)];
  };
  const told = (events: readonly SpoolEvent[]): unknown[] =>
    events.map((event) => event.event === "postponed" && [event.recipients, event.fallback, event.nextAttempt]);
  const later = "2026-01-01T00:01:00.000Z";
  for (const events of [postponed(2, "block"), postponed(9, "rate"), postponed(9)]) {
    assertEquals(told(events), [[[0, 1], undefined, later]]);
  }
  const events = postponed(3, "block");
  assertEquals(told(events), [[[0], FALLBACK.key, "2026-01-01T00:00:00.000Z"], [[1], undefined, later]]);
  for (const event of events) applyEvent(queued, event);
  assertEquals(queued.recipients.map(({ fallback, attempts }) => [fallback, attempts]), [[FALLBACK.key, 0], [
    undefined,
    0,
  ]]);
});

Deno.test("mail that waits in memory for a destination which refuses all goes by the fallback without an attempt", async () => {
  const server = { scheme: "smtp", host: "smarthost.example", port: 587, tls: "opportunistic" } as const;
  await using lab = await QueueLab.open({
    route: (_, { isOnFallback }) =>
      isOnFallback ? { kind: "hop", hop: { kind: "smarthost", smarthost: server, key: FALLBACK.key } } : {
        kind: "hop",
        hop: { kind: "mx", domain: "x.example", key: "mx:x.example" },
        fallback: { ...FALLBACK, after: 1 },
      },
  });
  const blocked: Outcome = { ...refused("delayed", "block"), destination: "pushback" };
  lab.answer = (_, { hop }) => hop.kind === "mx" ? blocked : DELIVERED;
  for (let i = 0; i < 6; i++) await lab.accept(sampleEnvelope([`u${i}@x.example`]));
  await lab.advance(1_000);
  assertEquals(lab.requests.filter(({ hop }) => hop.kind === "mx").length, 1);
  assertEquals(await lab.onDisk(), []);
});
