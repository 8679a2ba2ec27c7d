import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Outage } from "../../../lib/dns/outage.ts";
import { StubResolver } from "../../../lib/dns/stub_resolver.ts";
import type { Logger } from "../../../lib/log/logger.ts";
import { startDnsServer } from "../../support/dns_server.ts";
import { FakeClock } from "../../support/fake_clock.ts";

function listLogger(): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const log = (level: string) => (message: string, fields: Record<string, unknown> = {}): void => {
    lines.push(`${level} ${message.replace(/\{(\w+)\}/g, (_, name: string) => String(fields[name]))}`);
  };
  return { logger: { debug: log("debug"), info: log("info"), warning: log("warning"), error: log("error") }, lines };
}

function lab(isAlive: () => boolean): { outage: Outage; clock: FakeClock; lines: string[]; checks: () => number } {
  const clock = new FakeClock();
  const { logger, lines } = listLogger();
  let checks = 0;
  const outage = new Outage({ clock, logger, isAlive: () => Promise.resolve((checks++, isAlive())) });
  return { outage, clock, lines, checks: () => checks };
}

Deno.test("Three silences and a check without answer are an outage: then lookups are refused, with one line", async () => {
  const { outage, clock, lines } = lab(() => false);
  outage.silent("no answer");
  outage.silent("no answer");
  await clock.advance(0);
  assertEquals([outage.isOn, await outage.refusal()], [false, undefined]);
  outage.silent("192.0.2.53:53 gave no answer within 2000 ms");
  await clock.advance(0);
  assertEquals(outage.isOn, true);
  assertEquals(
    await outage.refusal(),
    "no DNS server answers (last: 192.0.2.53:53 gave no answer within 2000 ms)",
  );
  for (let count = 0; count < 10; count++) outage.silent("still nothing");
  await clock.advance(0);
  assertEquals(lines, [
    "error No DNS server answers: mail to other servers waits (192.0.2.53:53 gave no answer within 2000 ms)",
  ]);
});

Deno.test("An answer in between starts the count again", async () => {
  const { outage, clock, checks } = lab(() => false);
  for (let count = 0; count < 5; count++) {
    outage.silent("no answer");
    outage.silent("no answer");
    outage.answered();
  }
  await clock.advance(0);
  assertEquals([outage.isOn, checks()], [false, 0]);
});

Deno.test("Servers that answer an easy question are not away, however many names take too long", async () => {
  const { outage, clock, lines, checks } = lab(() => true);
  for (let count = 0; count < 9; count++) {
    outage.silent("no answer");
    await clock.advance(0);
  }
  assertEquals([outage.isOn, checks(), lines.length], [false, 3, 0]);
});

Deno.test("During an outage the servers are asked again every five seconds, and all who wait learn the result", async () => {
  let isBack = false;
  const { outage, clock, lines, checks } = lab(() => isBack);
  for (let count = 0; count < 3; count++) outage.silent("no answer");
  await clock.advance(4_999);
  assert(await outage.refusal());
  assertEquals(checks(), 1);
  await clock.advance(1);
  const refusals = await Promise.all([outage.refusal(), outage.refusal(), outage.refusal()]);
  assertEquals([checks(), refusals.every((reason) => reason !== undefined)], [2, true]);
  isBack = true;
  await clock.advance(5_000);
  assertEquals(await Promise.all([outage.refusal(), outage.refusal()]), [undefined, undefined]);
  assertEquals([checks(), outage.isOn], [3, false]);
  assertEquals(lines.at(-1), "info DNS answers again, after 10 s");
});

Deno.test("An answer that comes late ends an outage at once", async () => {
  const { outage, clock, lines } = lab(() => false);
  for (let count = 0; count < 3; count++) outage.silent("no answer");
  await clock.advance(1_000);
  outage.answered();
  assertEquals([outage.isOn, lines.length], [false, 2]);
});

Deno.test("A thousand lookups of a thousand names at a dead server end within seconds, and later ones at once", async () => {
  await using dns = await startDnsServer({ "*": { fault: "timeout" } });
  const clock = new FakeClock();
  const { logger, lines } = listLogger();
  const resolver = new StubResolver({ servers: [dns.address], clock, logger, maxConcurrent: 20 });
  let ended = 0;
  const lookups = Array.from({ length: 1_000 }, (_, at) => resolver.lookup(`d${at}.test`, "MX").finally(() => ended++));
  await clock.untilSleeping(1_020);
  for (let ms = 0; ms < 6_000; ms += 500) await clock.advance(500);
  assertEquals(ended, 1_000);
  const asked = dns.count();
  assert(asked <= 61, `${asked} queries`);
  const answer = await lookups[999];
  assertStringIncludes(answer?.kind === "failed" ? answer.reason : "", "no DNS server answers");
  // Nothing waits now, and nothing is asked.
  for (let at = 0; at < 100; at++) assertEquals((await resolver.lookup(`e${at}.test`, "A")).kind, "failed");
  assertEquals(dns.count(), asked);
  dns.set("*", { A: ["192.0.2.1"] });
  await clock.advance(5_000);
  assertEquals((await resolver.lookup("back.test", "A")).kind, "found");
  assertEquals(lines.filter((line) => /No DNS server|answers again, after/.test(line)).length, 2);
});

Deno.test("Names whose own servers are away do not stop the lookups of others", async () => {
  await using dns = await startDnsServer({
    "*": { fault: "timeout" },
    "localhost": {},
    "good.test": { A: ["192.0.2.1"] },
  });
  const clock = new FakeClock();
  const resolver = new StubResolver({ servers: [dns.address], clock });
  const slow = Array.from({ length: 10 }, (_, at) => resolver.lookup(`d${at}.test`, "MX"));
  await clock.untilSleeping(20);
  await clock.advance(2_000);
  await dns.untilQueried(21);
  assertEquals((await resolver.lookup("good.test", "A")).kind, "found");
  await clock.advance(4_000);
  assert((await Promise.all(slow)).every(({ kind }) => kind === "failed"));
  assertEquals((await resolver.lookup("good.test", "A")).kind, "found");
});
