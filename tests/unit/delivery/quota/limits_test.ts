import { assert, assertEquals, assertFalse } from "@std/assert";
import {
  crossedThreshold,
  effectiveLimits,
  isWithin,
  percentUsed,
  raised,
} from "../../../../lib/delivery/quota/limits.ts";

Deno.test("Each limit of an account takes the place of the default one, and 0 takes it away", () => {
  const defaults = { octets: 1000, messages: 10 };
  assertEquals(effectiveLimits(defaults), defaults);
  assertEquals(effectiveLimits(defaults, { octets: 5 }), { octets: 5, messages: 10 });
  assertEquals(effectiveLimits(defaults, { messages: 0 }), { octets: 1000 });
  assertEquals(effectiveLimits(defaults, { octets: 0, messages: 0 }), undefined);
  assertEquals(effectiveLimits({}, {}), undefined);
  assertEquals(effectiveLimits({}, { octets: 7 }), { octets: 7 });
});

Deno.test("A mailbox may hold exactly its limit", () => {
  const limits = { octets: 1000, messages: 10 };
  assert(isWithin(limits, { octets: 1000, messages: 10 }));
  assertFalse(isWithin(limits, { octets: 1001, messages: 1 }));
  assertFalse(isWithin(limits, { octets: 1, messages: 11 }));
  assert(isWithin({}, { octets: 1e15, messages: 1e9 }));
});

Deno.test("A tenth more is a message more at least", () => {
  assertEquals(raised({ octets: 1005, messages: 3 }, 0.1), { octets: 1105, messages: 4 });
});

Deno.test("The nearer limit says how full a mailbox is", () => {
  assertEquals(percentUsed({ octets: 1000, messages: 10 }, { octets: 100, messages: 5 }), 50);
  assertEquals(percentUsed({ octets: 1000 }, { octets: 1500, messages: 5 }), 150);
});

Deno.test("Of the thresholds that a message takes a mailbox over, the highest counts, and only on the way up", () => {
  const limits = { octets: 1000 };
  const crossed = (before: number, after: number): number | undefined =>
    crossedThreshold(limits, { octets: before, messages: 1 }, { octets: after, messages: 2 }, [95, 80]);
  assertEquals(crossed(0, 799), undefined);
  assertEquals(crossed(799, 800), 80);
  assertEquals(crossed(800, 900), undefined);
  assertEquals(crossed(0, 990), 95);
  assertEquals(crossed(960, 999), undefined);
  assertEquals(crossed(990, 100), undefined);
});
