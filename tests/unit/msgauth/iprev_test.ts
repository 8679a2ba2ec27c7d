import { assertEquals } from "@std/assert";
import type { IprevFinding } from "../../../lib/msgauth/findings.ts";
import { checkIprev, type IprevOptions } from "../../../lib/msgauth/iprev.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeResolver } from "../../support/fake_resolver.ts";

const REVERSE = "7.2.0.192.in-addr.arpa";

function check(resolver: IprevOptions["resolver"], ip = "192.0.2.7"): Promise<IprevFinding> {
  return checkIprev({ ip, resolver, clock: new FakeClock("2026-01-01T00:00:00Z", true) });
}

Deno.test("a name that leads back to the address passes, also of an IPv4-mapped client and among others", async () => {
  const resolver = new FakeResolver({
    [REVERSE]: { PTR: ["gone.example", "Mail.Example."] },
    "mail.example": { A: ["192.0.2.1", "192.0.2.7"] },
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": { PTR: ["six.example"] },
    "six.example": { AAAA: ["2001:DB8:0::1"] },
  });
  assertEquals(await check(resolver), { result: "pass", name: "mail.example" });
  assertEquals(await check(resolver, "::ffff:192.0.2.7"), { result: "pass", name: "mail.example" });
  assertEquals(await check(resolver, "2001:db8::1"), { result: "pass", name: "six.example" });
});

Deno.test("names that lead elsewhere or nowhere fail, and an address without a name is permerror", async () => {
  assertEquals(
    await check(
      new FakeResolver({ [REVERSE]: { PTR: ["a.example", "b.example"] }, "a.example": { A: ["192.0.2.8"] } }),
    ),
    { result: "fail" },
  );
  assertEquals(await check(new FakeResolver()), { result: "permerror" });
  assertEquals(await check(new FakeResolver({ [REVERSE]: { PTR: ["", "a\\.b.example"] } })), { result: "permerror" });
  assertEquals(await check(new FakeResolver(), "/run/socket"), { result: "permerror" });
});

Deno.test("DNS that fails is temperror, unless another name passes", async () => {
  const zone = {
    [REVERSE]: { PTR: ["slow.example", "mail.example"] },
    "slow.example": { failing: ["A" as const] },
    "mail.example": { A: ["192.0.2.1"] },
  };
  assertEquals(await check(new FakeResolver({ [REVERSE]: { failing: ["PTR"] } })), { result: "temperror" });
  assertEquals(await check(new FakeResolver(zone)), { result: "temperror" });
  assertEquals(await check(new FakeResolver({ ...zone, "mail.example": { A: ["192.0.2.7"] } })), {
    result: "pass",
    name: "mail.example",
  });
});

Deno.test("only ten names of an address are looked at, each once", async () => {
  const names = Array.from({ length: 200 }, (_, index) => `n${Math.floor(index / 2)}.example`);
  const resolver = new FakeResolver({ [REVERSE]: { PTR: names }, "n7.example": { A: ["192.0.2.7"] } });
  assertEquals(await check(resolver), { result: "fail" });
  assertEquals(resolver.questions.length, 6);
});

Deno.test("iprev ends with temperror after 20 seconds", async () => {
  const clock = new FakeClock("2026-01-01T00:00:00Z", true);
  const running = checkIprev({ ip: "192.0.2.7", resolver: { lookup: () => new Promise(() => {}) }, clock });
  await clock.advance(20_000);
  assertEquals(await running, { result: "temperror" });
});
