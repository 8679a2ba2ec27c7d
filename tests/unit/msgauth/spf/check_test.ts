import { assert, assertEquals, assertMatch } from "@std/assert";
import type { DnsAnswer, RecordData, RecordType, Resolver } from "../../../../lib/dns/resolver.ts";
import type { SpfFinding } from "../../../../lib/msgauth/findings.ts";
import { checkSpf, type SpfOptions } from "../../../../lib/msgauth/spf/check.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { FakeResolver } from "../../../support/fake_resolver.ts";
import { type SpfZone, SpfZoneResolver } from "../../../support/spf_zone.ts";

const CLIENT = "192.0.2.7";

function check(zone: SpfZone | Resolver, options: Partial<SpfOptions> = {}): Promise<SpfFinding> {
  const resolver = "lookup" in zone && typeof zone.lookup === "function"
    ? zone as Resolver
    : new SpfZoneResolver(zone as SpfZone);
  return checkSpf({
    identity: "mailfrom",
    ip: CLIENT,
    helo: "mail.sender.example",
    reversePath: "alice@sender.example",
    receiver: "mx.example.org",
    clock: new FakeClock("2026-01-01T00:00:00Z", true),
    ...options,
    resolver,
  });
}

const record = (text: string): SpfZone => ({ "sender.example": [{ TXT: text }] });

Deno.test("a finding names the identity, the domain and the mechanism that matched, without its qualifier", async () => {
  const zone = record("v=spf1 ip4:192.0.2.0/24 -all");
  const about = { identity: "mailfrom", domain: "sender.example" } as const;
  assertEquals(await check(zone), { ...about, result: "pass", mechanism: "ip4:192.0.2.0/24" });
  assertEquals(await check(zone, { ip: "198.51.100.1" }), { ...about, result: "fail", mechanism: "all" });
  assertEquals(await check(record("v=spf1 a:other.example"), {}), { ...about, result: "neutral" });
  assertEquals(await check({}), { ...about, result: "none" });
});

Deno.test("HELO is checked as postmaster of its domain, and so is MAIL with the null reverse-path", async () => {
  const zone: SpfZone = {
    "mail.sender.example": [{ TXT: "v=spf1 exists:%{l}.%{o}.ok.example -all" }],
    "postmaster.mail.sender.example.ok.example": [{ A: "127.0.0.2" }],
    "sender.example": [{ TXT: "v=spf1 -all" }],
  };
  const domain = "mail.sender.example";
  const mechanism = "exists:%{l}.%{o}.ok.example";
  assertEquals(await check(zone, { identity: "helo" }), { identity: "helo", domain, result: "pass", mechanism });
  assertEquals(await check(zone, { reversePath: "" }), { identity: "mailfrom", domain, result: "pass", mechanism });
  assertEquals((await check(zone)).result, "fail");
});

Deno.test("a HELO that is no full domain name, and a client without an address, give none without a question", async () => {
  const resolver = new FakeResolver();
  for (
    const helo of [
      "localhost",
      "[192.0.2.7]",
      "[IPv6:2001:db8::1]",
      "192.0.2.7",
      "a..b",
      "",
      ".",
      "x".repeat(300),
      "a b\r\nX: y",
      "a b.example",
      "é b.example",
      'a"b.example',
      "a@b.example",
    ]
  ) {
    const finding = await check(resolver, { identity: "helo", helo });
    assertEquals(finding.result, "none", helo);
    assertMatch(finding.domain, /^[\x20-\x7e]{0,255}$/);
  }
  const about = { identity: "mailfrom", domain: "sender.example", result: "none" } as const;
  for (const ip of ["/run/lmtp.sock", undefined]) {
    assertEquals(await check(resolver, { ip }), { ...about, problem: "The client has no address" });
  }
  assertEquals(resolver.questions, []);
});

Deno.test("a domain is asked for in A-labels, lower case, whether the sender writes it so or not", async () => {
  const zone: SpfZone = { "xn--bcher-kva.example": [{ TXT: "v=spf1 exists:%{d}.%{o}.%{h}.ok.example" }] };
  const resolver = new SpfZoneResolver({
    ...zone,
    "xn--bcher-kva.example.xn--bcher-kva.example.xn--ml-via.example.ok.example": [{ A: "127.0.0.2" }],
  });
  for (const reversePath of ["a@BÜCHER.example", "a@xn--BCHER-kva.example."]) {
    const { domain, result } = await check(resolver, { reversePath, helo: "mäl.example" });
    assertEquals([domain, result], ["xn--bcher-kva.example", "pass"]);
  }
});

Deno.test("a local part outside US-ASCII matches no term that names it", async () => {
  const options = { reversePath: "jürgen@sender.example" };
  const zone = record("v=spf1 exists:%{l}.ok.example include:%{s}.ok.example ~exists:%{d} -all exp=%{l}.example");
  assertEquals((await check(zone, options)).result, "fail");
  assertEquals((await check(record("v=spf1 redirect=%{l}.ok.example"), options)).result, "neutral");
  const explained = { ...record("v=spf1 -all exp=why.example"), "why.example": [{ TXT: "Not you, %{l}!" }] };
  assertEquals((await check(explained, options)).explanation, "Not you, j?rgen!");
});

Deno.test("a client of a dual-stack socket is an IPv4 client", async () => {
  const zone = record("v=spf1 ip6:::ffff:192.0.2.7 ip4:192.0.2.7 -all");
  assertEquals((await check(zone, { ip: "::ffff:192.0.2.7" })).mechanism, "ip4:192.0.2.7");
});

Deno.test("a quoted local part is its content in macros", async () => {
  const zone: SpfZone = {
    ...record("v=spf1 exists:%{l}.ok.example -all"),
    "a b.ok.example": [{ A: "127.0.0.2" }],
  };
  assertEquals((await check(zone, { reversePath: '"a b"@sender.example' })).result, "pass");
});

Deno.test("all macros expand in an explanation, upper-case ones escaped for a URL", async () => {
  const zone: SpfZone = {
    ...record("v=spf1 -all exp=why.%{d}"),
    "why.sender.example": [{
      TXT: "%{s} %{l} %{o} %{d2r} %{i} %{p} %{h} %{c} %{r} %{t} %{v} %%%_%- %{S} %{H1r-} %{l1r.-}",
    }],
    "7.2.0.192.in-addr.arpa": [{ PTR: "out.sender.example" }],
    "out.sender.example": [{ A: CLIENT }],
  };
  const { explanation } = await check(zone, { reversePath: "al-ice.x@sender.example", helo: "a_b~(1)" });
  assertEquals(
    explanation,
    "al-ice.x@sender.example al-ice.x sender.example example.sender 192.0.2.7 out.sender.example a_b~(1) 192.0.2.7 " +
      "mx.example.org 1767225600 in-addr % %20 al-ice.x%40sender.example a_b~%281%29 al",
  );
});

Deno.test("an explanation is printable, bounded, and given for fail only", async () => {
  const explained = (text: string, all = "-all"): SpfZone => ({
    ...record(`v=spf1 ${all} exp=why.example`),
    "why.example": [{ TXT: text }],
  });
  assertEquals((await check(explained("Go away."))).explanation, "Go away.");
  assertEquals((await check(explained("Go away.", "~all"))).explanation, undefined);
  assertEquals((await check(explained(`${"%{s}".repeat(20_000)}`))).explanation?.length, 400);
  assertEquals(
    (await check(explained("Your name is %{h}"), { helo: "x\r\n250 ok\x00é" })).explanation,
    "Your name is x??250 ok??",
  );
  for (const broken of ["a\rb", "a\nb", "tab\there", "caf\xe9", "%{q}", "%", "", "%{d0}"]) {
    const { result, explanation } = await check(explained(broken));
    assertEquals([result, explanation], ["fail", undefined], JSON.stringify(broken));
  }
});

Deno.test("what is wrong with a record is said with its term", async () => {
  const problems: readonly [string, RegExp][] = [
    ["moo", /Cannot read the SPF record of "sender\.example": No such mechanism: "moo"/],
    ["-all:x", /"all" takes no argument/],
    ["include", /"include" names no domain/],
    ["a:museum", /"museum" is no full domain name/],
    ["ip4:192.0.2", /No address behind ip4/],
    ["ip4:192.0.2.1/33", /No such prefix length: "ip4:192\.0\.2\.1\/33"/],
    ["ip6:fe80::1%eth0", /No address behind ip6/],
    ["exists:%{t}.example", /for explanations only, at "%\{t\}\.example"/],
    ["a:%x.example", /A "%" that begins no macro/],
    ["exp=a.example EXP=b.example", /Two modifiers "EXP="/],
    ["a:caf\xe9.example", /may not stand there, at "\?\.example"/],
  ];
  for (const [term, problem] of problems) {
    const finding = await check(record(`v=spf1 ${term} -all`));
    assertEquals(finding.result, "permerror", term);
    assertMatch(finding.problem ?? "", problem);
  }
  assertMatch((await check(record(`v=spf1 ${"x".repeat(60_000)}`))).problem ?? "", /^.{1,300}$/);
});

Deno.test("only exp explains, whatever other modifiers are called", async () => {
  const zone: SpfZone = {
    ...record("v=spf1 explanation=why.example constructor=why.example EXP=other.example -all"),
    "why.example": [{ TXT: "wrong" }],
    "other.example": [{ TXT: "right" }],
  };
  assertEquals((await check(zone)).explanation, "right");
  assertEquals((await check(record("v=spf1 explanation=x explanation=x -all"))).result, "fail");
});

Deno.test("terms that need DNS are counted over all records, and void lookups, too", async () => {
  const zone: SpfZone = {
    "sender.example": [{ TXT: "v=spf1 include:five.example include:five.example a:x.example -all" }],
    "five.example": [{ TXT: "v=spf1 a:x.example a:x.example a:x.example a:x.example -all" }],
    "x.example": [{ A: "198.51.100.1" }],
    "tight.example": [{ TXT: "v=spf1 include:five.example include:five.example ip4:192.0.2.7 -all" }],
    "void.example": [{ TXT: "v=spf1 a:no1.example include:void2.example -all" }],
    "void2.example": [{ TXT: "v=spf1 exists:no2.example mx:no3.example -all" }],
  };
  assertEquals((await check(zone)).problem, "More than 10 terms need DNS lookups");
  assertEquals((await check(zone, { reversePath: "a@tight.example" })).result, "pass");
  const { result, problem } = await check(zone, { reversePath: "a@void.example" });
  assertEquals([result, problem], ["permerror", 'More than 2 lookups gave nothing, the last one MX of "no3.example"']);
});

Deno.test("records that are longer together than two DNS answers can be are not read", async () => {
  const long = (next: string): string => `v=spf1 ${"ip4:10.0.0.0/8 ".repeat(4_000)} ${next}`;
  const zone = {
    "sender.example": [{ TXT: long("redirect=two.example") }],
    "two.example": [{ TXT: long("redirect=three.example") }],
    "three.example": [{ TXT: long("+all") }],
  };
  assertEquals((await check(zone)).problem, "The SPF records have more than 131072 octets in all");
  assertEquals((await check(zone, { reversePath: "a@two.example" })).result, "pass");
});

Deno.test("%{p} is the domain itself rather than a name below it, and that rather than any other", async () => {
  const explainedBy = async (...names: readonly string[]): Promise<string | undefined> => {
    const zone: Record<string, readonly Record<string, string>[]> = {
      "sender.example": [{ TXT: "v=spf1 -all exp=why.example" }, { A: CLIENT }],
      "why.example": [{ TXT: "%{p}" }],
      "7.2.0.192.in-addr.arpa": names.map((PTR) => ({ PTR })),
      "other.example": [{ A: CLIENT }],
      "sub.sender.example": [{ A: CLIENT }],
    };
    return (await check(zone)).explanation;
  };
  assertEquals(await explainedBy("other.example", "sub.sender.example", "Sender.Example."), "sender.example");
  assertEquals(await explainedBy("other.example", "sub.sender.example"), "sub.sender.example");
  assertEquals(await explainedBy("gone.example", "other.example"), "other.example");
  assertEquals(await explainedBy("gone.sender.example"), "unknown");
  assertEquals(await explainedBy(), "unknown");
});

Deno.test("the owner of an address cannot turn fail into permerror or temperror by its PTR records", async () => {
  const names = Array.from({ length: 12 }, (_, index) => ({ PTR: `no${index}.sender.example` }));
  const zone: SpfZone = {
    ...record("v=spf1 ptr exists:%{p}.ok.example -all"),
    "7.2.0.192.in-addr.arpa": [...names, { PTR: "out.sender.example" }],
    "no3.sender.example": ["TIMEOUT"],
    "out.sender.example": [{ A: CLIENT }],
  };
  const resolver = new SpfZoneResolver(zone);
  assertEquals((await check(resolver)).result, "fail");
  // TXT, PTR, the first ten names once, and unknown.ok.example.
  assertEquals(resolver.questions, 13);
});

Deno.test("names of the client whose servers do not answer take no time from the rest of the check", async () => {
  const zone = new SpfZoneResolver({
    ...record("v=spf1 exists:%{p}.ok.example -all"),
    "7.2.0.192.in-addr.arpa": Array.from({ length: 10 }, (_, index) => ({ PTR: `no${index}.slow.example` })),
  });
  const clock = new FakeClock("2026-01-01T00:00:00Z", true);
  // As the resolver of a server, which gives each question ten seconds.
  const resolver: Resolver = {
    lookup: async (name, type, signal) => {
      if (!name.endsWith("slow.example")) return await zone.lookup(name, type);
      await clock.sleep(10_000, signal).catch(() => {});
      return { kind: "failed", reason: "no answer" };
    },
  };
  const finding = check(resolver, { clock });
  for (let second = 0; second < 30; second++) await clock.advance(1_000);
  assertEquals((await finding).result, "fail");
});

Deno.test("a null MX matches nothing, and exchanges are tried by preference", async () => {
  const zone = (...exchanges: readonly [number, string][]): SpfZone => ({
    "sender.example": [{ TXT: "v=spf1 mx -all" }, ...exchanges.map((MX) => ({ MX }))],
    "near.example": [{ A: CLIENT }],
    "far.example": ["TIMEOUT"],
  });
  assertEquals((await check(zone([0, ""]))).result, "fail");
  assertEquals((await check(zone([20, "far.example"], [10, "near.example"]))).result, "pass");
  assertEquals((await check(zone([10, "far.example"], [20, "near.example"]))).result, "temperror");
});

Deno.test("DNS that fails gives temperror with the reason", async () => {
  const finding = await check({ "sender.example": ["TIMEOUT"] });
  assertEquals([finding.result, finding.problem], ["temperror", 'Cannot look up TXT of "sender.example": no answer']);
});

/** Never answers, and does not heed its signal. */
const silentResolver: Resolver = {
  lookup: <T extends RecordType>(): Promise<DnsAnswer<RecordData[T]>> => new Promise(() => {}),
};

Deno.test("a check ends with temperror after 20 seconds, or when it is given up", async () => {
  const clock = new FakeClock("2026-01-01T00:00:00Z", true);
  let finding: SpfFinding | undefined;
  void check(silentResolver, { clock }).then((found) => finding = found);
  await clock.advance(19_999);
  assertEquals(finding, undefined);
  await clock.advance(1);
  assertEquals([finding?.result, finding?.problem], ["temperror", "No result within 20000 ms"]);

  const controller = new AbortController();
  const running = check(silentResolver, { signal: controller.signal });
  controller.abort();
  assertEquals((await running).problem, "Given up before there was a result");
  assertEquals((await check(silentResolver, { signal: controller.signal })).result, "temperror");
});

Deno.test("a resolver with a bug makes a check temperror", async () => {
  const broken: Resolver = { lookup: () => Promise.reject(new TypeError("oops")) };
  const { result, problem } = await check(broken);
  assertEquals([result, problem], ["temperror", "The check broke off: oops"]);
});

Deno.test("a target with a backslash or a blank is asked for with escapes", async () => {
  const resolver = new FakeResolver({ "sender.example": { TXT: ["v=spf1 a:x\\y%_z.example -all"] } });
  await check(resolver);
  assert(resolver.questions.includes("A x\\\\y\\032z.example"), resolver.questions.join());
});
