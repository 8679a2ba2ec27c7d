import { assertEquals } from "@std/assert";
import { Ipv6Check } from "../../../../lib/delivery/remote/ipv6_check.ts";
import type { Logger } from "../../../../lib/log/logger.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { type FakeRecords, FakeResolver } from "../../../support/fake_resolver.ts";

const OURS = "2001:db8::7";
const POINTER = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
const GOOD = { [POINTER]: { PTR: ["mail.test"] }, "mail.test": { AAAA: ["2001:DB8:0:0::7"] } };
const HOUR = 3_600_000;

interface Lab {
  readonly check: Ipv6Check;
  readonly resolver: FakeResolver;
  readonly clock: FakeClock;
  readonly lines: string[];
}

function lab(zone: Record<string, FakeRecords>, addresses: readonly string[] = [OURS]): Lab {
  const [resolver, clock, lines] = [new FakeResolver(zone), new FakeClock(), [] as string[]];
  const info = (message: string, fields: Record<string, unknown> = {}): void => {
    lines.push(message.replace(/\{(\w+)\}/g, (_, name: string) => String(fields[name])));
  };
  const logger: Logger = { debug: info, info, warning: info, error: info };
  return { check: new Ipv6Check({ resolver, clock, logger, addresses: () => addresses }), resolver, clock, lines };
}

async function ask({ check }: Lab): Promise<string> {
  const use = await check.use(new AbortController().signal);
  return use.kind === "usable" ? use.source : use.reason;
}

Deno.test("an address whose name leads back to it is used, and one line says so", async () => {
  const it = lab(GOOD);
  assertEquals([await ask(it), await ask(it)], [OURS, OURS]);
  assertEquals(it.lines, ["IPv6 towards MX hosts: used, from 2001:db8::7, whose name is mail.test"]);
  assertEquals(it.resolver.questions.length, 2);
});

for (
  const [what, zone, addresses, reason] of [
    ["without a PTR record", {}, [OURS], "2001:db8::7 has no PTR record"],
    [
      "whose name is that of another address",
      { [POINTER]: { PTR: ["mail.test"] }, "mail.test": { AAAA: ["2001:db8::8"] } },
      [OURS],
      "mail.test, the name of 2001:db8::7, does not have that address",
    ],
    ["that is none", {}, ["192.0.2.1", "127.0.0.1"], "this machine has no global IPv6 address"],
    ["for one link or site only", {}, ["fe80::1", "fd00::2", "::1"], "this machine has no global IPv6 address"],
    ["whose PTR record nobody knows now", { [POINTER]: { failing: ["PTR"] } }, [OURS], "SERVFAIL from fake"],
  ] as [string, Record<string, FakeRecords>, string[], string][]
) {
  Deno.test(`an address ${what} is not used, and one line says why`, async () => {
    const it = lab(zone, addresses);
    assertEquals([await ask(it), await ask(it)], [reason, reason]);
    assertEquals(it.lines, [`IPv6 towards MX hosts: not used, because ${reason}`]);
  });
}

Deno.test("of several addresses the one with a confirmed name is used", async () => {
  const it = lab(GOOD, ["2001:db8::ffff", "fe80::1%eth0", "2001:DB8::7"]);
  assertEquals(await ask(it), OURS);
});

Deno.test("one name of several is enough", async () => {
  const it = lab({ ...GOOD, [POINTER]: { PTR: ["other.test", "mail.test"] } });
  assertEquals(await ask(it), OURS);
});

Deno.test("the result holds for an hour; a change is logged, no change is not", async () => {
  const it = lab(GOOD);
  await ask(it);
  it.resolver.zone = {};
  await it.clock.advance(HOUR - 1);
  assertEquals(await ask(it), OURS);
  await it.clock.advance(1);
  assertEquals(await ask(it), "2001:db8::7 has no PTR record");
  await it.clock.advance(HOUR);
  await ask(it);
  it.resolver.zone = GOOD;
  await it.clock.advance(HOUR);
  assertEquals(await ask(it), OURS);
  assertEquals(it.lines.length, 3);
});

Deno.test("a DNS failure changes nothing that was known, and is looked at again after five minutes", async () => {
  const it = lab(GOOD);
  await ask(it);
  it.resolver.zone = { [POINTER]: { failing: ["PTR"] } };
  await it.clock.advance(HOUR);
  assertEquals([await ask(it), it.lines.length], [OURS, 1]);
  it.resolver.zone = {};
  await it.clock.advance(HOUR / 12);
  assertEquals(await ask(it), "2001:db8::7 has no PTR record");
});

Deno.test("many who ask at the same time wait for one look", async () => {
  const it = lab(GOOD);
  assertEquals(await Promise.all([ask(it), ask(it), ask(it)]), [OURS, OURS, OURS]);
  assertEquals(it.resolver.questions.length, 2);
});

Deno.test("a look that is given up is not remembered", async () => {
  const it = lab({});
  await it.check.use(AbortSignal.abort());
  it.resolver.zone = GOOD;
  assertEquals([await ask(it), it.lines.length], [OURS, 1]);
});
