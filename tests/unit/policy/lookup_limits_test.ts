import { assert, assertEquals, assertFalse } from "@std/assert";
import { LookupLimits } from "../../../lib/policy/lookup_limits.ts";
import { FakeClock } from "../../support/fake_clock.ts";

Deno.test("lookups end when their time is over, each at its own, and not those that were done", async () => {
  const clock = new FakeClock(undefined, true);
  const limits = new LookupLimits(clock);
  const [early, late, done] = [new AbortController(), new AbortController(), new AbortController()];
  limits.start(early, 20_000);
  limits.start(done, 20_000);
  await clock.advance(5_000);
  limits.start(late, 20_000);
  limits.stop(done);
  await clock.advance(14_999);
  assertFalse(early.signal.aborted);
  await clock.advance(1);
  assert(early.signal.aborted);
  assertEquals(early.signal.reason.name, "TimeoutError");
  assertFalse(late.signal.aborted);
  await clock.advance(5_000);
  assert(late.signal.aborted);
  assertFalse(done.signal.aborted);
});

Deno.test("a limit that is set again counts from then", async () => {
  const clock = new FakeClock(undefined, true);
  const limits = new LookupLimits(clock);
  const lookups = new AbortController();
  limits.start(lookups, 20_000);
  await clock.advance(15_000);
  limits.start(lookups, 20_000);
  await clock.advance(19_000);
  assertFalse(lookups.signal.aborted);
  await clock.advance(1_000);
  assert(lookups.signal.aborted);
});

Deno.test("nobody looks while there is nothing to look at, and somebody does again later", async () => {
  const clock = new FakeClock(undefined, true);
  const limits = new LookupLimits(clock);
  const first = new AbortController();
  limits.start(first, 3_000);
  limits.stop(first);
  await clock.advance(10_000);
  const second = new AbortController();
  limits.start(second, 3_000);
  await clock.advance(4_000);
  assert(second.signal.aborted);
  assertFalse(first.signal.aborted);
});
