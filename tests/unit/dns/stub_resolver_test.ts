import { assertEquals, assertGreater, assertLess, assertStringIncludes, assertThrows } from "@std/assert";
import { systemClock } from "../../../lib/system/clock.ts";
import type { DnsServer } from "../../../lib/dns/server.ts";
import { StubResolver, type StubResolverOptions } from "../../../lib/dns/stub_resolver.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { type DnsFault, startDnsServer } from "../../support/dns_server.ts";

function resolverOf(servers: DnsServer[], options: Partial<StubResolverOptions> = {}): StubResolver {
  return new StubResolver({ servers, clock: systemClock, ...options });
}

Deno.test("Each record type is found with its data, owner and TTL", async () => {
  const digest = Uint8Array.of(1, 2, 3);
  const long = "k".repeat(300);
  await using dns = await startDnsServer({
    "Example.test": {
      A: ["192.0.2.1", "192.0.2.2"],
      AAAA: ["2001:db8::1"],
      MX: [[20, "b.example.test"], [10, "A.example.test"]],
      TXT: ["v=spf1 -all", ["one ", "two"], long, "\xff"],
      PTR: ["host.example.test"],
      TLSA: [[3, 1, 1, digest]],
      SRV: [[0, 1, 465, "Mail.example.test"]],
      ttlSeconds: 77,
    },
    "null.test": { MX: [[0, "."]] },
  });
  const resolver = resolverOf([dns.address]);
  const found = { kind: "found", canonicalName: "example.test", isSecure: false, ttlSeconds: 77 } as const;
  assertEquals<unknown>(await resolver.lookup("EXAMPLE.test.", "A"), { ...found, records: ["192.0.2.1", "192.0.2.2"] });
  assertEquals<unknown>(await resolver.lookup("example.test", "AAAA"), { ...found, records: ["2001:db8::1"] });
  assertEquals<unknown>(await resolver.lookup("example.test", "MX"), {
    ...found,
    records: [{ preference: 20, exchange: "b.example.test" }, { preference: 10, exchange: "a.example.test" }],
  });
  assertEquals<unknown>(await resolver.lookup("example.test", "TXT"), {
    ...found,
    records: ["v=spf1 -all", "one two", long, "\xff"],
  });
  assertEquals<unknown>(await resolver.lookup("example.test", "PTR"), { ...found, records: ["host.example.test"] });
  assertEquals<unknown>(await resolver.lookup("example.test", "TLSA"), {
    ...found,
    records: [{ usage: 3, selector: 1, matchingType: 1, data: digest }],
  });
  assertEquals<unknown>(await resolver.lookup("example.test", "SRV"), {
    ...found,
    records: [{ priority: 0, weight: 1, port: 465, target: "mail.example.test" }],
  });
  const nullMx = await resolver.lookup("null.test", "MX");
  assertEquals<unknown>(nullMx.kind === "found" && nullMx.records, [{ preference: 0, exchange: "" }]);
});

Deno.test("No such record, no such name and no answer are told apart", async () => {
  await using dns = await startDnsServer({
    "example.test": { A: ["192.0.2.1"], ttlSeconds: 60, isSecure: true },
    "a.b.example.test": {},
    "down.test": { fault: "servfail" },
  });
  const resolver = resolverOf([dns.address]);
  assertEquals<unknown>(await resolver.lookup("example.test", "MX"), {
    kind: "noData",
    canonicalName: "example.test",
    isSecure: true,
    ttlSeconds: 60,
  });
  assertEquals((await resolver.lookup("b.example.test", "MX")).kind, "noData");
  assertEquals<unknown>(await resolver.lookup("no.test", "MX"), { kind: "noName", isSecure: false, ttlSeconds: 300 });
  const { host, port } = dns.address;
  assertEquals<unknown>(await resolver.lookup("down.test", "MX"), {
    kind: "failed",
    reason: `Cannot look up MX of "down.test": ${host}:${port} answered SERVFAIL`,
  });
  assertEquals(dns.count("down.test"), 1, "a server that said SERVFAIL is not asked at once again");
});

const badServers: [DnsFault, string][] = [
  ["servfail", "answered SERVFAIL"],
  ["refused", "answered REFUSED"],
  ["timeout", "gave no answer within 100 ms"],
  ["wrongId", "gave no answer within 100 ms"],
  ["wrongQuestion", "gave no answer within 100 ms"],
  ["wrongPort", "gave no answer within 100 ms"],
  ["garbage", "gave no answer within 100 ms"],
  ["malformed", "failed: Message ends"],
  ["noRecursion", "does not resolve names for others"],
  ["truncateBroken", "failed: "],
];
for (const [fault, reason] of badServers) {
  const name = typeof fault === "string" ? fault : "delay";
  Deno.test(`A server with the fault "${name}" makes the lookup go to the next server, or fail`, async () => {
    await using bad = await startDnsServer({ "*": { fault } });
    await using good = await startDnsServer({ "example.test": { A: ["192.0.2.1"] } });
    const answer = await resolverOf([bad.address, good.address], { udpTimeoutMs: 100 }).lookup("example.test", "A");
    assertEquals(answer.kind === "found" && answer.records, ["192.0.2.1"]);
    assertGreater(bad.count("example.test", "A"), 0);
    const failure = await resolverOf([bad.address], { udpTimeoutMs: 100, rounds: 1 }).lookup("example.test", "A");
    assertStringIncludes(failure.kind === "failed" ? failure.reason : failure.kind, reason);
  });
}

Deno.test("A server that did not answer is asked again in the next round, with more time", async () => {
  await using dns = await startDnsServer({ "slow.test": { fault: "timeout" } });
  const clock = new FakeClock();
  const resolver = resolverOf([dns.address], { clock });
  const lookup = resolver.lookup("slow.test", "A");
  await dns.untilQueried(1);
  await clock.advance(2000);
  await dns.untilQueried(2);
  await clock.advance(3999);
  dns.set("slow.test", { A: ["192.0.2.1"] });
  await clock.advance(1);
  const { host, port } = dns.address;
  assertEquals<unknown>(await lookup, {
    kind: "failed",
    reason: `Cannot look up A of "slow.test": ${host}:${port} gave no answer within 4000 ms`,
  });
  assertEquals((await resolver.lookup("slow.test", "A")).kind, "found");
  assertEquals(dns.count(), 3);
});

Deno.test("A dead server is asked after the others, and by one lookup again when its time is over", async () => {
  await using dead = await startDnsServer({ "*": { fault: "timeout" } });
  await using good = await startDnsServer({ "*": { A: ["192.0.2.1"] } });
  const clock = new FakeClock();
  const resolver = resolverOf([dead.address, good.address], { clock });
  const first = resolver.lookup("a.test", "A");
  await dead.untilQueried(1);
  await clock.advance(2000);
  assertEquals((await first).kind, "found");
  assertEquals((await resolver.lookup("b.test", "A")).kind, "found");
  assertEquals([dead.count(), good.count()], [1, 2]);
  dead.set("*", { A: ["192.0.2.2"] });
  await clock.advance(30_000);
  const back = await resolver.lookup("c.test", "A");
  assertEquals(back.kind === "found" && back.records, ["192.0.2.2"]);
  assertEquals([dead.count(), good.count()], [2, 2]);
});

Deno.test("A truncated answer is fetched over TCP", async () => {
  const texts = Array.from({ length: 200 }, (_, i) => `${i}`.padEnd(250, "."));
  await using dns = await startDnsServer({ "big.test": { TXT: texts, fault: "truncate" } });
  const answer = await resolverOf([dns.address]).lookup("big.test", "TXT");
  assertEquals<unknown>(answer.kind === "found" && answer.records, texts);
  assertEquals(dns.queries.map(({ transport }) => transport), ["udp", "tcp"]);
});

Deno.test("Spoofed answers are ignored and the true one is awaited", async () => {
  await using dns = await startDnsServer({ "bank.test": { A: ["192.0.2.1"], fault: "spoofed" } });
  const answer = await resolverOf([dns.address], { udpTimeoutMs: 1000 }).lookup("bank.test", "A");
  assertEquals<unknown>(answer.kind === "found" && answer.records, ["192.0.2.1"]);
  assertEquals(dns.count(), 1);
});

Deno.test("Every query has a source port and an id that cannot be foretold", async () => {
  await using dns = await startDnsServer({ "*": { A: ["192.0.2.1"] } });
  const resolver = resolverOf([dns.address]);
  for (let i = 0; i < 60; i++) await resolver.lookup(`h${i}.test`, "A");
  const ports = dns.queries.map(({ sourcePort }) => sourcePort);
  const ids = dns.queries.map(({ id }) => id);
  assertGreater(new Set(ports).size, 55);
  assertGreater(new Set(ids).size, 55);
  for (const numbers of [ports, ids]) {
    const steps = numbers.slice(1).map((number, i) => number - (numbers[i] ?? 0));
    assertGreater(new Set(steps).size, 50, "not counted up");
    assertGreater(Math.max(...numbers) - Math.min(...numbers), 2000);
  }
});

Deno.test("A query asks for recursion and DNSSEC with EDNS0, and again without EDNS0 where that is not known", async () => {
  await using dns = await startDnsServer({ "old.test": { A: ["192.0.2.1"], fault: "formerr" } });
  const answer = await resolverOf([dns.address], { nextId: () => 0x1234 }).lookup("old.test", "A");
  assertEquals(answer.kind, "found");
  assertEquals(dns.queries.map(({ octets }) => octets.toHex()), [
    "1234" + "0120" + "0001000000000001" + "036f6c64047465737400" + "00010001" + "00" + "0029" + "04d0" + "00008000" +
    "0000",
    "1234" + "0120" + "0001000000000000" + "036f6c64047465737400" + "00010001",
  ]);
});

Deno.test("The AD bit counts only when every answer of the chain has it", async () => {
  await using dns = await startDnsServer({
    "safe.test": { CNAME: "target.test", isSecure: true, isLazy: true },
    "target.test": { A: ["192.0.2.1"], isSecure: true },
    "half.test": { CNAME: "loose.test", isSecure: true, isLazy: true },
    "loose.test": { A: ["192.0.2.1"] },
    "mixed.test": { CNAME: "target.test", isLazy: true },
  });
  const resolver = resolverOf([dns.address]);
  const isSecure = async (name: string): Promise<boolean | string> => {
    const answer = await resolver.lookup(name, "A");
    return answer.kind === "found" ? answer.isSecure : answer.kind;
  };
  assertEquals(
    await Promise.all(["target.test", "safe.test", "half.test", "mixed.test"].map(isSecure)),
    [true, true, false, false],
  );
});

Deno.test("Of servers that are not trusted no answer is secure, whatever its AD bit says", async () => {
  await using dns = await startDnsServer({ "safe.test": { A: ["192.0.2.1"], isSecure: true } });
  const resolver = resolverOf([dns.address], { isTrusted: false });
  for (const type of ["A", "MX"] as const) {
    const answer = await resolver.lookup("safe.test", type);
    assertEquals(answer.kind !== "failed" && answer.isSecure, false);
  }
  const none = await resolver.lookup("other.test", "A");
  assertEquals([none.kind, none.kind !== "failed" && none.isSecure], ["noName", false]);
});

Deno.test("A CNAME record can be asked for itself, and is not followed then", async () => {
  await using dns = await startDnsServer({
    "www.test": { CNAME: "target.test", isSecure: true },
    "target.test": { CNAME: "end.test" },
    "end.test": { A: ["192.0.2.1"] },
  });
  const resolver = resolverOf([dns.address]);
  const answer = await resolver.lookup("www.test", "CNAME");
  assertEquals(answer.kind === "found" && [answer.records, answer.canonicalName, answer.isSecure], [
    ["target.test"],
    "www.test",
    true,
  ]);
  assertEquals((await resolver.lookup("end.test", "CNAME")).kind, "noData");
});

Deno.test("CNAME records are followed inside an answer and by asking again, with the least TTL", async () => {
  for (const isLazy of [false, true]) {
    await using dns = await startDnsServer({
      "www.test": { CNAME: "Two.test", ttlSeconds: 50, isLazy },
      "two.test": { CNAME: "end.test", ttlSeconds: 20, isLazy },
      "end.test": { A: ["192.0.2.1"], ttlSeconds: 90 },
      "gone.test": { CNAME: "nowhere.test", ttlSeconds: 10, isLazy },
    });
    const resolver = resolverOf([dns.address]);
    assertEquals<unknown>(await resolver.lookup("www.test", "A"), {
      kind: "found",
      records: ["192.0.2.1"],
      canonicalName: "end.test",
      isSecure: false,
      ttlSeconds: 20,
    });
    assertEquals(dns.count(), isLazy ? 3 : 1);
    const noData = await resolver.lookup("www.test", "MX");
    assertEquals([noData.kind, noData.kind === "noData" && noData.canonicalName], ["noData", "end.test"]);
    assertEquals<unknown>(await resolver.lookup("gone.test", "MX"), {
      kind: "noName",
      isSecure: false,
      ttlSeconds: 10,
    });
  }
});

Deno.test("CNAME loops and endless chains fail", async () => {
  for (const isLazy of [false, true]) {
    await using dns = await startDnsServer({
      "self.test": { CNAME: "self.test", isLazy },
      "a.test": { CNAME: "b.test", isLazy },
      "b.test": { CNAME: "A.test", isLazy },
      ...Object.fromEntries(
        Array.from({ length: 15 }, (_, i) => [`c${i}.test`, { CNAME: `c${i + 1}.test`, isLazy }]),
      ),
      "c15.test": { A: ["192.0.2.1"] },
    });
    const resolver = resolverOf([dns.address]);
    const reason = async (name: string): Promise<string> => {
      const answer = await resolver.lookup(name, "A");
      return answer.kind === "failed" ? answer.reason : answer.kind;
    };
    assertEquals(await reason("self.test"), 'Cannot look up A of "self.test": CNAME loop at "self.test"');
    assertEquals(await reason("a.test"), 'Cannot look up A of "a.test": CNAME loop at "a.test"');
    assertEquals(await reason("c0.test"), 'Cannot look up A of "c0.test": CNAME chain has more than 8 links');
    assertEquals(await reason("c7.test"), "found");
  }
});

Deno.test("A text that is no domain name fails without a query", async () => {
  await using dns = await startDnsServer({ "*": { A: ["192.0.2.1"] } });
  const resolver = resolverOf([dns.address]);
  const hostile = ["", ".", "..", "a..b", ".a", "a b.test", "ä.test", "a\0b", "a\r\nb", "\ud800", "x".repeat(1e6)];
  hostile.push("x".repeat(64) + ".test", `${"x".repeat(60)}.`.repeat(5), "\\", "a\\25", "a\\999", "\u212a.test");
  for (const name of hostile) {
    const answer = await resolver.lookup(name, "A");
    assertStringIncludes(answer.kind === "failed" ? answer.reason : answer.kind, "Cannot look up A of ");
    assertLess(answer.kind === "failed" ? answer.reason.length : 0, 500);
  }
  assertEquals(dns.count(), 0);
  const longest = `${"x".repeat(63)}.${"x".repeat(63)}.${"x".repeat(63)}.${"x".repeat(61)}`;
  assertEquals((await resolver.lookup(longest, "A")).kind, "found");
  assertEquals((await resolver.lookup(`_25._tcp.${"x".repeat(63)}`, "A")).kind, "found");
});

Deno.test("A lookup ends at its time limit and at the signal of its caller", async () => {
  await using dns = await startDnsServer({ "*": { fault: "timeout" } });
  const slow = resolverOf([dns.address], { udpTimeoutMs: 60_000, totalTimeoutMs: 50 });
  const late = await slow.lookup("example.test", "A");
  assertEquals<unknown>(late, {
    kind: "failed",
    reason: 'Cannot look up A of "example.test": no answer within 50 ms',
  });
  const stop = new AbortController();
  const lookup = resolverOf([dns.address], { udpTimeoutMs: 60_000 }).lookup("example.test", "A", stop.signal);
  const again = resolverOf([dns.address]).lookup("example.test", "A", AbortSignal.abort());
  stop.abort();
  for (const answer of await Promise.all([lookup, again])) {
    assertEquals<unknown>(answer, {
      kind: "failed",
      reason: 'Cannot look up A of "example.test": given up before there was an answer',
    });
  }
});

Deno.test("Lookups above the number allowed at a time wait for their turn or their signal", async () => {
  await using dns = await startDnsServer({ "*": { A: ["192.0.2.1"], fault: { delayMs: 10 } } });
  const resolver = resolverOf([dns.address], { maxConcurrent: 3 });
  const stop = new AbortController();
  const impatient = Array.from(
    { length: 9 },
    (_, i) => resolver.lookup(`h${i}.test`, "A", i === 5 ? stop.signal : undefined),
  );
  stop.abort();
  const kinds = (await Promise.all(impatient)).map(({ kind }) => kind);
  assertEquals(kinds.filter((kind) => kind === "found").length, 8);
  assertEquals([kinds[5], dns.count()], ["failed", 8]);
});

Deno.test("A server without an address or a port is refused at once", () => {
  assertThrows(() => resolverOf([]), RangeError, "no DNS server given");
  assertThrows(() => resolverOf([{ host: "dns.example", port: 53 }]), RangeError, '"dns.example": not an IP address');
  assertThrows(() => resolverOf([{ host: "::1", port: 0 }]), RangeError, '"[::1]:0": port');
});

Deno.test("Lookups leave no socket behind", async () => {
  await using dns = await startDnsServer({ "*": { A: ["192.0.2.1"] } });
  const resolver = resolverOf([dns.address]);
  const openFiles = (): number => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = openFiles();
  for (let i = 0; i < 400; i++) await resolver.lookup(`h${i}.test`, "A");
  // Other tests of this process open files at the same time; a leak would show as 400.
  assertLess(openFiles(), before + 200);
});
