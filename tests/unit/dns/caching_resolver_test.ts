import { assertEquals } from "@std/assert";
import { DnsCache } from "../../../lib/dns/cache.ts";
import { CachingResolver } from "../../../lib/dns/caching_resolver.ts";
import type { Resolver } from "../../../lib/dns/resolver.ts";
import { StubResolver } from "../../../lib/dns/stub_resolver.ts";
import { systemClock } from "../../../lib/system/clock.ts";
import { type DnsServer, startDnsServer } from "../../support/dns_server.ts";
import { FakeClock } from "../../support/fake_clock.ts";

function cachingResolver(dns: DnsServer, clock = new FakeClock()): CachingResolver {
  const resolver = new StubResolver({ servers: [dns.address], clock: systemClock });
  return new CachingResolver({ resolver, cache: new DnsCache({ clock }) });
}

Deno.test("All spellings of a name share an answer until it expires", async () => {
  await using dns = await startDnsServer({ "example.test": { A: ["192.0.2.1"], ttlSeconds: 30 } });
  const clock = new FakeClock();
  const resolver = cachingResolver(dns, clock);
  for (const name of ["example.test", "Example.TEST", "example.test."]) {
    const answer = await resolver.lookup(name, "A");
    assertEquals(answer.kind === "found" && answer.records, ["192.0.2.1"]);
  }
  assertEquals(dns.count(), 1);
  assertEquals((await resolver.lookup("example.test", "AAAA")).kind, "noData");
  assertEquals(dns.count(), 2);
  dns.set("example.test", { A: ["192.0.2.2"] });
  await clock.advance(30_000);
  const answer = await resolver.lookup("example.test", "A");
  assertEquals(answer.kind === "found" && answer.records, ["192.0.2.2"]);
});

Deno.test("Negative answers and failures are kept, too", async () => {
  await using dns = await startDnsServer({ "down.test": { fault: "servfail" } });
  const clock = new FakeClock();
  const resolver = cachingResolver(dns, clock);
  for (let i = 0; i < 3; i++) {
    assertEquals((await resolver.lookup("no.test", "MX")).kind, "noName");
    assertEquals((await resolver.lookup("down.test", "MX")).kind, "failed");
  }
  assertEquals([dns.count("no.test"), dns.count("down.test")], [1, 1]);
  dns.set("down.test", { MX: [[10, "mx.test"]] });
  await clock.advance(5000);
  assertEquals((await resolver.lookup("down.test", "MX")).kind, "found");
});

Deno.test("Identical lookups at the same time share one query", async () => {
  await using dns = await startDnsServer({ "*": { A: ["192.0.2.1"], fault: { delayMs: 20 }, ttlSeconds: 0 } });
  const resolver = cachingResolver(dns);
  const answers = await Promise.all(Array.from({ length: 50 }, () => resolver.lookup("example.test", "A")));
  assertEquals(new Set(answers.map(({ kind }) => kind)), new Set(["found"]));
  assertEquals(dns.count(), 1);
  await resolver.lookup("example.test", "A");
  assertEquals(dns.count(), 2, "nothing was kept: the TTL is 0");
});

Deno.test("Who gives up leaves the others their answer; the last one to leave ends the query", async () => {
  await using dns = await startDnsServer({ "example.test": { fault: "timeout" } });
  const resolver = cachingResolver(dns);
  const [one, two, three] = [new AbortController(), new AbortController(), new AbortController()];
  const first = resolver.lookup("example.test", "A", one.signal);
  const second = resolver.lookup("example.test", "A", two.signal);
  await dns.untilQueried(1);
  const start = performance.now();
  one.abort();
  const gaveUp = { kind: "failed", reason: "Cannot look up A example.test: given up before there was an answer" };
  assertEquals<unknown>(await first, gaveUp);
  const third = resolver.lookup("example.test", "A", three.signal);
  two.abort();
  three.abort();
  assertEquals<unknown>(await Promise.all([second, third]), [gaveUp, gaveUp]);
  assertEquals(dns.count(), 1);
  // Giving up is not kept: the next lookup asks, and is answered.
  dns.set("example.test", { A: ["192.0.2.1"] });
  assertEquals((await resolver.lookup("example.test", "A")).kind, "found");
  assertEquals(performance.now() - start < 1900, true, "did not wait for the time limit");
  assertEquals<unknown>(await resolver.lookup("other.test", "A", AbortSignal.abort()), {
    kind: "failed",
    reason: "Cannot look up A other.test: given up before there was an answer",
  });
});

Deno.test("A lookup that was given up leaves nothing in the cache", async () => {
  const clock = new FakeClock();
  const cache = new DnsCache({ clock });
  const ended = Promise.withResolvers<void>();
  const lookup: Resolver["lookup"] = (_name, _type, signal) =>
    new Promise((resolve) => {
      signal?.addEventListener("abort", () => {
        resolve({ kind: "failed", reason: "given up" });
        ended.resolve();
      });
    });
  const stop = new AbortController();
  const answer = new CachingResolver({ resolver: { lookup }, cache }).lookup("example.test", "A", stop.signal);
  await new Promise((resolve) => setTimeout(resolve, 0));
  stop.abort();
  assertEquals((await answer).kind, "failed");
  await ended.promise;
  await clock.advance(0);
  assertEquals(cache.size, 0);
});

Deno.test("A hostile name reaches neither cache nor server", async () => {
  await using dns = await startDnsServer({ "k.test": { A: ["192.0.2.1"] } });
  const resolver = cachingResolver(dns);
  assertEquals((await resolver.lookup("k.test", "A")).kind, "found");
  // U+212A becomes "k" in lower case.
  for (const name of ["\u212a.test", "", "x".repeat(1e6), "a b"]) {
    assertEquals((await resolver.lookup(name, "A")).kind, "failed");
  }
  assertEquals(dns.count(), 1);
});
