import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { graceMs, nextAttempt, type ScheduleSettings, waitFor } from "../../../lib/queue/schedule.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const DEFAULTS: ScheduleSettings = {
  retryMs: [5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR],
  warnAfterMs: 4 * HOUR,
  expireAfterMs: 5 * DAY,
};

/** The times of all attempts of a message that is always delayed, in milliseconds after its arrival. */
function attempts(settings: ScheduleSettings, random: () => number): number[] {
  const times = [0];
  for (;;) {
    const nowMs = times.at(-1) ?? 0;
    const next = nextAttempt({ releaseMs: 0, attempts: times.length, nowMs }, settings, random());
    if (next.kind === "expired") return times;
    times.push(next.atMs);
    if (times.length > 100_000) throw new Error("It does not end");
  }
}

Deno.test("the documented schedule: 5m 10m 20m 30m 1h 2h, then every 4h until 5 days are over", () => {
  const times = attempts(DEFAULTS, () => 0);
  const minutes = times.slice(0, 10).map((ms) => ms / MINUTE);
  assertEquals(minutes, [0, 5, 15, 35, 65, 125, 245, 485, 725, 965]);
  assertEquals(times.at(-1), 5 * DAY, "the last attempt is made at expiry");
  assertEquals(times.length, 36);
});

Deno.test("a wait is never shortened, because greylisting counts whole minutes, and prolonged by a tenth at most", () => {
  const now = { releaseMs: 0, attempts: 1, nowMs: 0 };
  assertEquals(nextAttempt(now, DEFAULTS, 0), { kind: "retry", atMs: 5 * MINUTE });
  const late = nextAttempt(now, DEFAULTS, 0.999999);
  assert(late.kind === "retry" && late.atMs <= 5.5 * MINUTE && late.atMs > 5.49 * MINUTE);
});

Deno.test("a message that came back after its expiry had one last attempt, and is given up after it", () => {
  assertEquals(nextAttempt({ releaseMs: 0, attempts: 3, nowMs: 6 * DAY }, DEFAULTS, 0.5), { kind: "expired" });
});

const settings: fc.Arbitrary<ScheduleSettings> = fc.record({
  retryMs: fc.array(fc.integer({ min: 10_000, max: DAY }), { minLength: 1, maxLength: 10 }),
  warnAfterMs: fc.constant(HOUR),
  expireAfterMs: fc.integer({ min: 0, max: 2 * DAY }),
});
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

Deno.test("an attempt is never in the past and never beyond expiry", () => {
  const time = fc.integer({ min: 0, max: 4 * DAY });
  fc.assert(
    fc.property(settings, fc.integer({ min: 1, max: 500 }), time, chance, (settings, attempts, nowMs, random) => {
      const next = nextAttempt({ releaseMs: 0, attempts, nowMs }, settings, random);
      if (next.kind === "expired") assert(nowMs >= settings.expireAfterMs);
      else assert(next.atMs > nowMs && next.atMs <= settings.expireAfterMs);
    }),
  );
});

Deno.test("the schedule always ends, at expiry", () => {
  fc.assert(
    fc.property(settings, chance, (settings, random) => {
      const times = attempts(settings, () => random);
      assertEquals(times.at(-1), settings.expireAfterMs);
    }),
    { numRuns: 30 },
  );
});

Deno.test("a clock that was set back delays an attempt by no more than the longest wait", () => {
  assertEquals(waitFor(1_000 * DAY, 0, DEFAULTS), 4.4 * HOUR);
  assertEquals(waitFor(5_000, 2_000, DEFAULTS), 3_000);
  assertEquals(waitFor(2_000, 5_000, DEFAULTS), 0);
});

Deno.test("after a start nothing is given up for an hour, or a part of a short age; what the sender set counts all the same", () => {
  const old = { releaseMs: 0, attempts: 9, nowMs: 10 * DAY };
  const graceUntilMs = old.nowMs + graceMs(DEFAULTS);
  assertEquals(graceMs(DEFAULTS), HOUR);
  assertEquals(graceMs({ expireAfterMs: HOUR }), 2.5 * MINUTE);
  assertEquals(nextAttempt(old, DEFAULTS, 0), { kind: "expired" });
  assertEquals(nextAttempt(old, { ...DEFAULTS, graceUntilMs }, 0), { kind: "retry", atMs: graceUntilMs });
  assertEquals(nextAttempt({ ...old, nowMs: graceUntilMs }, { ...DEFAULTS, graceUntilMs }, 0), { kind: "expired" });
  assertEquals(nextAttempt({ ...old, returnMs: HOUR }, { ...DEFAULTS, graceUntilMs }, 0), { kind: "expired" });
});
