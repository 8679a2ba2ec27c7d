import { assertEquals, assertLess } from "@std/assert";
import { type CachedAnswer, DnsCache } from "../../../lib/dns/cache.ts";
import { FakeClock } from "../../support/fake_clock.ts";

function found(ttlSeconds: number, ...records: string[]): CachedAnswer {
  return { kind: "found", records, canonicalName: "example.test", isSecure: false, ttlSeconds };
}
const noName = (ttlSeconds: number): CachedAnswer => ({ kind: "noName", isSecure: false, ttlSeconds });

Deno.test("An answer is kept for its TTL, which counts down", async () => {
  const clock = new FakeClock();
  const cache = new DnsCache({ clock });
  cache.put("a", found(10, "192.0.2.1"));
  await clock.advance(3500);
  assertEquals(cache.get("a"), found(6, "192.0.2.1"));
  await clock.advance(6499);
  assertEquals(cache.get("a"), found(0, "192.0.2.1"));
  await clock.advance(1);
  assertEquals(cache.get("a"), undefined);
  assertEquals(cache.size, 0);
});

Deno.test("The time is capped, for records and for negative answers apart, and a TTL of 0 is not kept", async () => {
  const clock = new FakeClock();
  const cache = new DnsCache({ clock, maxTtlSeconds: 100, maxNegativeTtlSeconds: 50 });
  cache.put("found", found(9999, "192.0.2.1"));
  cache.put("noName", noName(9999));
  cache.put("noData", { kind: "noData", canonicalName: "n", isSecure: true, ttlSeconds: 20 });
  cache.put("zero", found(0, "192.0.2.1"));
  const kept = (): (string | undefined)[] => ["found", "noName", "noData", "zero"].filter((key) => cache.get(key));
  assertEquals(kept(), ["found", "noName", "noData"]);
  await clock.advance(20_000);
  assertEquals(kept(), ["found", "noName"]);
  await clock.advance(30_000);
  assertEquals(kept(), ["found"]);
  await clock.advance(50_000);
  assertEquals(kept(), []);
});

Deno.test("A failure is kept for a few seconds only", async () => {
  const clock = new FakeClock();
  const cache = new DnsCache({ clock });
  const failed: CachedAnswer = { kind: "failed", reason: "no answer" };
  cache.put("a", failed);
  await clock.advance(4999);
  assertEquals(cache.get("a"), failed);
  await clock.advance(1);
  assertEquals(cache.get("a"), undefined);
});

Deno.test("A newer answer takes the place of the older one, also when it may not be kept", () => {
  const cache = new DnsCache({ clock: new FakeClock() });
  cache.put("a", found(10, "192.0.2.1"));
  cache.put("a", found(20, "192.0.2.2"));
  assertEquals(cache.get("a"), found(20, "192.0.2.2"));
  cache.put("a", noName(0));
  assertEquals(cache.get("a"), undefined);
});

Deno.test("A full cache drops what was used longest ago", () => {
  const cache = new DnsCache({ clock: new FakeClock(), maxEntries: 3 });
  for (const key of ["a", "b", "c"]) cache.put(key, noName(60));
  cache.get("a");
  cache.put("d", noName(60));
  assertEquals(["a", "b", "c", "d"].filter((key) => cache.get(key) !== undefined), ["a", "c", "d"]);
  cache.clear();
  assertEquals(cache.size, 0);
});

Deno.test("Large answers do not make the cache grow without a bound", () => {
  const cache = new DnsCache({ clock: new FakeClock(), maxOctets: 1_000_000 });
  for (let i = 0; i < 100; i++) cache.put(`key${i}`, found(60, "x".repeat(50_000)));
  assertLess(cache.size, 11);
  cache.put("huge", found(60, "x".repeat(200_000)));
  assertEquals(cache.get("huge"), undefined);
  assertEquals(cache.get("key99"), found(60, "x".repeat(50_000)));
});
