import { assertEquals } from "@std/assert";
import { type DestinationRule, limitsByRules } from "../../../lib/queue/destination_rules.ts";

const START = Date.UTC(2026, 11, 1);
const DAY = 24 * 3600 * 1000;
const RULES: readonly DestinationRule[] = [
  { name: "google", concurrency: 10, rate: { count: 2_000, perMs: 3_600_000 } },
  { name: "*.example.net", concurrency: 2 },
  { name: "*", warmUp: { startMs: START, perDay: 100 } },
];

Deno.test("the first rule that matches a destination counts, and what it does not say is as for all", () => {
  assertEquals(limitsByRules(RULES, 20, "google", START), {
    concurrency: 10,
    initial: 5,
    rate: { count: 2_000, perMs: 3_600_000 },
  });
  assertEquals(limitsByRules(RULES, 20, "mx1.example.net", START), { concurrency: 2, initial: 2 });
  assertEquals(limitsByRules([], 20, "example.net", START), { concurrency: 20, initial: 5 });
});

Deno.test("a new sender sends a hundred messages on the first day, half as many again each day, and all after 40 days", () => {
  const perDay = (day: number): number | undefined =>
    limitsByRules(RULES, 20, "mx.other.example", START + day * DAY).rate?.count;
  assertEquals([-1, 0, 0.9, 1, 2, 3, 40, 41].map(perDay), [100, 100, 100, 150, 225, 337, 1_105_733_232, undefined]);
});

Deno.test("of a rate and a warm-up the lower one counts", () => {
  const rules = [{ name: "*", rate: { count: 10, perMs: 3_600_000 }, warmUp: { startMs: START, perDay: 100 } }];
  const rateOn = (day: number): number | undefined => limitsByRules(rules, 20, "x", START + day * DAY).rate?.perMs;
  assertEquals([rateOn(0), rateOn(1), rateOn(3)], [DAY, DAY, 3_600_000]);
});
