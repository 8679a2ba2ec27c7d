import { assertEquals, assertRejects } from "@std/assert";
import { FakeClock } from "../../support/fake_clock.ts";

Deno.test("The fake clock ends sleeps in the order they are due, at their own time", async () => {
  const clock = new FakeClock(1000);
  const ended: string[] = [];
  const note = (name: string) => (): void => void ended.push(`${name}@${clock.monotonic()}/${clock.now()}`);
  const sleeps = [clock.sleep(30).then(note("c")), clock.sleep(10).then(note("a")), clock.sleep(10).then(note("b"))];
  assertEquals(clock.nextDueMs, 10);
  await clock.advance(9);
  assertEquals(ended, []);
  await clock.advance(21);
  await Promise.all(sleeps);
  assertEquals(ended, ["a@10/1010", "b@10/1010", "c@30/1030"]);
});

Deno.test("A sleep begun by woken code counts inside the same advance", async () => {
  const clock = new FakeClock();
  let rounds = 0;
  const loop = (async (): Promise<void> => {
    while (rounds < 5) {
      await clock.sleep(10);
      rounds++;
    }
  })();
  await clock.advance(35);
  assertEquals([rounds, clock.monotonic(), clock.sleeping], [3, 35, 1]);
  await clock.advance(100);
  await loop;
});

Deno.test("An aborted sleep rejects with the reason and is forgotten", async () => {
  const clock = new FakeClock();
  const stop = new AbortController();
  const sleep = clock.sleep(10, stop.signal);
  await clock.untilSleeping(1);
  stop.abort(new Error("enough"));
  await assertRejects(() => sleep, Error, "enough");
  assertEquals(clock.sleeping, 0);
  await assertRejects(() => clock.sleep(10, stop.signal), Error, "enough");
});

Deno.test("The wall clock jumps alone", async () => {
  const clock = new FakeClock("2026-01-01T00:00:00Z");
  clock.setWall("2025-12-31T00:00:00Z");
  assertEquals(clock.monotonic(), 0);
  await clock.advance(5);
  assertEquals([clock.now(), clock.monotonic()], [Date.parse("2025-12-31T00:00:00.005Z"), 5]);
});
