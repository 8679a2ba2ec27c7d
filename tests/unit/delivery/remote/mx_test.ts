import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { findMxHosts, type MxOptions } from "../../../../lib/delivery/remote/mx.ts";
import { addressText } from "../../../../lib/delivery/remote/remote_host.ts";
import { type FakeRecords, FakeResolver } from "../../../support/fake_resolver.ts";

interface Lookup {
  readonly zone: Record<string, FakeRecords>;
  readonly domain?: string;
  readonly random?: () => number;
  readonly own?: readonly string[];
}

/** `mx1.test 192.0.2.1:25` for each host, or `failed 5.1.2`. */
async function find({ zone, domain = "example.test", random = () => 0, own = [] }: Lookup): Promise<string[]> {
  const options: MxOptions = {
    resolver: new FakeResolver(zone),
    random,
    port: 25,
    isOwnAddress: (host, port) => own.includes(host) && port === 25,
  };
  const answer = await findMxHosts(domain, options, new AbortController().signal);
  if (answer.kind === "none") return [`${answer.outcome.action} ${answer.outcome.status}`];
  return answer.hosts.map(({ name, address }) => `${name} ${addressText(address)}`);
}

const mx = (preference: number, exchange: string): { preference: number; exchange: string } => ({
  preference,
  exchange,
});
const HOSTS = { "a.test": { A: ["192.0.2.1"] }, "b.test": { A: ["192.0.2.2"] }, "c.test": { A: ["192.0.2.3"] } };

Deno.test("hosts come by preference, each with IPv6 before IPv4", async () => {
  const zone = {
    "example.test": { MX: [mx(20, "b.test"), mx(10, "a.test.")] },
    "a.test": { A: ["192.0.2.1"], AAAA: ["2001:db8::1"] },
    "b.test": { A: ["192.0.2.2"] },
  };
  assertEquals(await find({ zone }), ["a.test [2001:db8::1]:25", "a.test 192.0.2.1:25", "b.test 192.0.2.2:25"]);
});

Deno.test("the random source orders hosts of equal preference, and only those", async () => {
  const zone = { ...HOSTS, "example.test": { MX: [mx(10, "a.test"), mx(10, "b.test"), mx(5, "c.test")] } };
  const lots = (...values: number[]) => (): number => values.shift() ?? 0;
  const first = await find({ zone, random: lots(0.1, 0.9, 0.5) });
  const second = await find({ zone, random: lots(0.9, 0.1, 0.5) });
  assertEquals(first, ["c.test 192.0.2.3:25", "a.test 192.0.2.1:25", "b.test 192.0.2.2:25"]);
  assertEquals(second, ["c.test 192.0.2.3:25", "b.test 192.0.2.2:25", "a.test 192.0.2.1:25"]);
});

Deno.test("a domain without MX records is its own MX", async () => {
  assertEquals(await find({ zone: { "example.test": { A: ["192.0.2.9"] } } }), ["example.test 192.0.2.9:25"]);
});

Deno.test("a domain that is a CNAME uses the canonical name", async () => {
  const zone = { "example.test": { cname: "real.test" }, "real.test": { A: ["192.0.2.9"] } };
  assertEquals(await find({ zone }), ["real.test 192.0.2.9:25"]);
});

for (
  const [what, zone, expected] of [
    ["a name that does not exist", {}, "failed 5.1.2"],
    ["a null MX", { "example.test": { MX: [mx(0, "")], A: ["192.0.2.1"] } }, "failed 5.1.10"],
    ["an MX lookup that failed, though there is an address", {
      "example.test": { failing: ["MX"], A: ["192.0.2.1"] },
    }, "delayed 4.4.3"],
    ["neither MX nor address", { "example.test": { TXT: ["x"] } }, "failed 5.4.4"],
    ["an implicit MX whose address lookup failed", { "example.test": { failing: ["A"] } }, "delayed 4.4.3"],
    ["MX hosts that do not exist", { "example.test": { MX: [mx(1, "gone.test")] } }, "failed 5.4.4"],
    ["one MX host that does not exist and one that nobody knows", {
      "example.test": { MX: [mx(1, "gone.test"), mx(2, "a.test")] },
      "a.test": { failing: ["AAAA"] },
    }, "delayed 4.4.3"],
  ] as [string, Record<string, FakeRecords>, string][]
) {
  Deno.test(`${what}: ${expected}`, async () => {
    assertEquals(await find({ zone }), [expected]);
  });
}

Deno.test("an MX host without addresses is passed over, as is an empty name next to others", async () => {
  const zone = { ...HOSTS, "example.test": { MX: [mx(0, ""), mx(1, "gone.test"), mx(2, "a.test")] } };
  assertEquals(await find({ zone }), ["a.test 192.0.2.1:25"]);
});

Deno.test("one address family that fails does not hide the other", async () => {
  const zone: Record<string, FakeRecords> = { "example.test": { failing: ["AAAA"], A: ["192.0.2.1"] } };
  assertEquals(await find({ zone }), ["example.test 192.0.2.1:25"]);
});

Deno.test("where we are an MX, only hosts of better preference remain", async () => {
  const zone = { ...HOSTS, "example.test": { MX: [mx(10, "a.test"), mx(20, "b.test"), mx(20, "c.test")] } };
  assertEquals(await find({ zone, own: ["192.0.2.2"] }), ["a.test 192.0.2.1:25"]);
  assertEquals(await find({ zone, own: ["192.0.2.1"] }), ["failed 5.4.6"]);
});

Deno.test("our own address as implicit MX is a loop, and the text says so", async () => {
  const options: MxOptions = {
    resolver: new FakeResolver({ "example.test": { A: ["192.0.2.1"] } }),
    random: () => 0,
    port: 25,
    isOwnAddress: () => true,
  };
  const answer = await findMxHosts("example.test", options, new AbortController().signal);
  assert(answer.kind === "none");
  assertStringIncludes(answer.outcome.text, "Mail for example.test loops back to me");
});

Deno.test("a better MX that nobody can look up now is waited for, not called a loop", async () => {
  const zone: Record<string, FakeRecords> = {
    ...HOSTS,
    "example.test": { MX: [mx(10, "down.test"), mx(20, "a.test")] },
    "down.test": { failing: ["A", "AAAA"] },
  };
  assertEquals(await find({ zone, own: ["192.0.2.1"] }), ["delayed 4.4.3"]);
});

Deno.test("address literals need no DNS", async () => {
  assertEquals(await find({ zone: {}, domain: "[192.0.2.7]" }), ["192.0.2.7 192.0.2.7:25"]);
  assertEquals(await find({ zone: {}, domain: "[IPv6:2001:db8::7]" }), ["2001:db8::7 [2001:db8::7]:25"]);
  assertEquals(await find({ zone: {}, domain: "[x400:c=de]" }), ["failed 5.1.3"]);
  assertEquals(await find({ zone: {}, domain: "[192.0.2.7]", own: ["192.0.2.7"] }), ["failed 5.4.6"]);
});

Deno.test("of many MX hosts the ten best are used", async () => {
  const names = Array.from({ length: 30 }, (_, number) => `h${number}.test`);
  const zone = {
    "example.test": { MX: names.map((name, number) => mx(30 - number, name)) },
    ...Object.fromEntries(names.map((name) => [name, { A: ["192.0.2.1"] }])),
  };
  const hosts = await find({ zone });
  assertEquals([hosts.length, hosts[0]], [10, "h29.test 192.0.2.1:25"]);
});

Deno.test("many addresses of one family leave room for the other among the first", async () => {
  const AAAA = Array.from({ length: 12 }, (_, number) => `2001:db8::${number + 1}`);
  const hosts = await find({ zone: { "example.test": { AAAA, A: ["192.0.2.1", "192.0.2.2"] } } });
  assertEquals(hosts.length, 14);
  assertEquals(hosts.slice(0, 5).map((host) => host.replace("example.test ", "")), [
    "[2001:db8::1]:25",
    "192.0.2.1:25",
    "[2001:db8::2]:25",
    "192.0.2.2:25",
    "[2001:db8::3]:25",
  ]);
});

Deno.test("over many draws each of four equal hosts comes first about as often, and never before a better one", async () => {
  const zone = {
    "example.test": { MX: [mx(10, "a.test"), mx(10, "b.test"), mx(10, "c.test"), mx(10, "d.test"), mx(5, "e.test")] },
    ...Object.fromEntries([..."abcde"].map((name) => [`${name}.test`, { A: ["192.0.2.1"] }])),
  };
  // A fixed sequence, so that the test never fails by chance (Numerical Recipes, "ranqd1").
  let seed = 1;
  const random = (): number => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const seconds = new Map<string, number>();
  for (let draw = 0; draw < 2_000; draw++) {
    const [first = "", second = ""] = await find({ zone, random });
    assertStringIncludes(first, "e.test");
    seconds.set(second, (seconds.get(second) ?? 0) + 1);
  }
  assertEquals(seconds.size, 4);
  for (const [host, count] of seconds) assert(count > 400 && count < 600, `${host} came ${count} times`);
});

Deno.test("the names of the domain are noted for certificates: where a CNAME leads, under DNSSEC only", async () => {
  for (const isSecure of [false, true]) {
    const zone = {
      "example.test": { cname: "real.test", isSecure },
      "real.test": { MX: [mx(10, "a.test")], isSecure: true },
      ...HOSTS,
    };
    const options = { resolver: new FakeResolver(zone), random: () => 0, port: 25, isOwnAddress: () => false };
    const answer = await findMxHosts("example.test", options, new AbortController().signal);
    const names = answer.kind === "hosts" ? answer.domainNames : undefined;
    assertEquals(names, isSecure ? ["example.test", "real.test"] : ["example.test"]);
  }
});

Deno.test("a host is secure where all its addresses are, and every alias on the way", async () => {
  const isSecure = true;
  const zone = {
    "example.test": { MX: ["a", "b", "c", "d"].map((name, i) => mx(i, `${name}.test`)) },
    "a.test": { A: ["192.0.2.1"], isSecure },
    "b.test": { A: ["192.0.2.2"] },
    "c.test": { cname: "a.test", isSecure },
    "d.test": { cname: "b.test", isSecure },
  };
  const options = { resolver: new FakeResolver(zone), random: () => 0, port: 25, isOwnAddress: () => false };
  const answer = await findMxHosts("example.test", options, new AbortController().signal);
  assert(answer.kind === "hosts");
  assertEquals(answer.hosts.map(({ name, isSecure, canonicalName }) => [name, isSecure, canonicalName]), [
    ["a.test", true, undefined],
    ["b.test", undefined, undefined],
    ["c.test", true, "a.test"],
    ["d.test", undefined, "b.test"],
  ]);
});
