import { assertEquals } from "@std/assert";
import { type Rate, RateLimit, type RateVerdict } from "../../../lib/policy/rate_limit.ts";

/** A limit, and a way to let time pass. */
function limit(): { take(name: string, rate: Rate, times: number): RateVerdict[]; pass(ms: number): void } {
  let ms = 1_000;
  const rates = new RateLimit({
    now: () => 0,
    monotonic: () => ms,
    sleep: () => Promise.reject(new Error("nothing sleeps here")),
  });
  return {
    take: (name, rate, times) => Array.from({ length: times }, () => rates.take(name, rate)),
    pass: (more) => void (ms += more),
  };
}

const THREE: Rate = { count: 3, perMs: 60_000 };

Deno.test("As many as the rate says are allowed at once, and then one for each share of the time", () => {
  const { take, pass } = limit();
  assertEquals(take("a", THREE, 5), ["within", "within", "within", "over", "still over"]);
  pass(19_999);
  assertEquals(take("a", THREE, 1), ["still over"]);
  pass(2);
  assertEquals(take("a", THREE, 2), ["within", "over"]);
});

Deno.test("Rest gives back what was used, and never more than the rate", () => {
  const { take, pass } = limit();
  take("a", THREE, 3);
  pass(10 * THREE.perMs);
  assertEquals(take("a", THREE, 4), ["within", "within", "within", "over"]);
});

Deno.test("Names do not count for each other, and a changed rate holds at once", () => {
  const { take } = limit();
  take("a", THREE, 3);
  assertEquals(take("b", THREE, 1), ["within"]);
  assertEquals(take("b", { count: 1, perMs: 1_000 }, 2), ["within", "over"]);
});
