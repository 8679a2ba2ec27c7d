import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { ReplyClass } from "../../../lib/mail/outcome.ts";
import { destinationPauseMs } from "../../../lib/queue/class_backoff.ts";
import { nextAttempt, type ScheduleSettings } from "../../../lib/queue/schedule.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const DEFAULTS: ScheduleSettings = {
  retryMs: [5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR],
  warnAfterMs: 4 * HOUR,
  expireAfterMs: 5 * DAY,
};

/** Minutes between the attempts of a message whose replies are all of the class. */
function waits(replyClass: ReplyClass | undefined, settings: ScheduleSettings, count: number): number[] {
  const found: number[] = [];
  let nowMs = 0;
  for (let attempts = 1; attempts <= count; attempts++) {
    const next = nextAttempt({ releaseMs: 0, attempts, nowMs, replyClass }, settings, 0);
    if (next.kind === "expired") break;
    found.push((next.atMs - nowMs) / MINUTE);
    nowMs = next.atMs;
  }
  return found;
}

Deno.test("who is greylisted comes again after 5 to 15 minutes, for some six hours, then by the schedule", () => {
  const minutes = waits("greylisting", DEFAULTS, 26);
  assertEquals(minutes.slice(0, 5), [5, 10, 15, 15, 15]);
  assertEquals(minutes.slice(22), [15, 15, 240, 240]);
});

Deno.test("a full mailbox is tried again after an hour at the earliest", () => {
  assertEquals(waits("mailboxFull", DEFAULTS, 7), [60, 60, 60, 60, 60, 120, 240]);
});

Deno.test("other replies follow the schedule", () => {
  for (const replyClass of [undefined, "rate", "block", "unknownUser", "system"] as const) {
    assertEquals(waits(replyClass, DEFAULTS, 4), [5, 10, 20, 30]);
  }
});

Deno.test("a schedule that an operator made short or slow stays so", () => {
  const short = { ...DEFAULTS, retryMs: [1_000, 2_000] };
  assertEquals(waits("greylisting", short, 2).map((minutes) => minutes * 60), [2, 2]);
  assertEquals(waits("mailboxFull", short, 2).map((minutes) => minutes * 60), [2, 2]);
  assertEquals(waits("greylisting", { ...DEFAULTS, retryMs: [HOUR, 2 * HOUR] }, 3), [60, 60, 60]);
});

const CLASSES = [undefined, "greylisting", "mailboxFull", "rate", "block", "system"] as const;

Deno.test("whatever the class, an attempt is in the future, not beyond expiry, and not beyond the longest wait", () => {
  fc.assert(fc.property(
    fc.constantFrom(...CLASSES),
    fc.array(fc.integer({ min: 1_000, max: DAY }), { minLength: 1, maxLength: 8 }),
    fc.integer({ min: 1, max: 100 }),
    fc.integer({ min: 0, max: 3 * DAY }),
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    (replyClass, retryMs, attempts, nowMs, random) => {
      const settings = { ...DEFAULTS, retryMs, expireAfterMs: 2 * DAY };
      const next = nextAttempt({ releaseMs: 0, attempts, nowMs, replyClass }, settings, random);
      if (next.kind === "expired") return assert(nowMs >= 2 * DAY);
      assert(next.atMs > nowMs && next.atMs <= 2 * DAY);
      assert(next.atMs <= nowMs + Math.max(...retryMs) * 1.1 + 1);
    },
  ));
});

Deno.test("a destination that wants less rests from a minute up to half an hour, one that blocks us up to four", () => {
  const minutes = (replyClass: ReplyClass, times: number[]): (number | undefined)[] =>
    times.map((one) => (destinationPauseMs(replyClass, one) ?? NaN) / MINUTE);
  assertEquals(minutes("rate", [1, 2, 3, 5, 6, 1000]), [1, 2, 4, 16, 30, 30]);
  for (const replyClass of ["block", "reputation"] as const) {
    assertEquals(minutes(replyClass, [1, 2, 4, 5, 1000]), [15, 30, 120, 240, 240]);
  }
  assertEquals(destinationPauseMs("greylisting", 1), undefined);
  assertEquals(destinationPauseMs(undefined, 1), undefined);
});
