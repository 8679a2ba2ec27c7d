import { assertEquals, assertMatch } from "@std/assert";
import { MtaSts } from "../../../../lib/delivery/remote/mta_sts.ts";
import type { StsFetched } from "../../../../lib/delivery/remote/mta_sts_fetch.ts";
import { type KeptPolicy, StsStore } from "../../../../lib/delivery/remote/mta_sts_store.ts";
import type { TlsResult } from "../../../../lib/delivery/remote/tls_results.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { type FakeRecords, FakeResolver } from "../../../support/fake_resolver.ts";
import { LogLines } from "../../../support/log_lines.ts";
import { MemoryFiles } from "../../../support/memory_files.ts";

const DAY_MS = 86_400_000;
const SIGNAL = new AbortController().signal;
const NAME = "_mta-sts.a.test";

function policyText(mode: string, mx = "mx.a.test", maxAge = 7 * 86_400): string {
  return `version: STSv1\nmode: ${mode}\nmx: ${mx}\nmax_age: ${maxAge}\n`;
}

/** One domain `a.test` whose record and policy a test changes; `files` outlives a restart. */
class Site {
  readonly clock = new FakeClock();
  readonly log = new LogLines();
  readonly results: TlsResult[] = [];
  readonly resolver = new FakeResolver();
  files = new MemoryFiles();
  /** What the policy host answers; undefined: nothing, until `release`. */
  answer: StsFetched | undefined = { kind: "text", text: policyText("enforce") };
  /** Domains fetched so far. */
  fetched: string[] = [];
  release: (answer: StsFetched) => void = () => {};
  sts = this.start();

  constructor() {
    this.publish("1");
  }

  start(maxDomains = 100): MtaSts {
    const store = new StsStore({ files: this.files, folder: "/mta-sts", logger: this.log });
    const { resolver, clock, log: logger } = this;
    return new MtaSts({
      resolver,
      clock,
      logger,
      store,
      maxDomains,
      results: { record: (result) => void this.results.push(result) },
      fetch: (domain, signal) => {
        this.fetched.push(domain);
        if (this.answer !== undefined) return Promise.resolve(this.answer);
        return new Promise((resolve) => {
          this.release = resolve;
          signal.addEventListener(
            "abort",
            () => resolve({ kind: "failed", failure: "sts-policy-fetch-error", reason: "given up" }),
          );
        });
      },
    });
  }

  restart(): void {
    this.sts = this.start();
  }

  publish(id: string | undefined, records: FakeRecords = {}): void {
    this.resolver.zone = id === undefined ? {} : { [NAME]: { TXT: [`v=STSv1; id=${id};`], ...records } };
  }

  break(reason = "connection refused"): void {
    this.answer = { kind: "failed", failure: "sts-policy-fetch-error", reason };
  }

  /** Mode and first mx of the policy in force. */
  async policy(domain = "a.test"): Promise<string | undefined> {
    const policy = await this.sts.policyOf(domain, SIGNAL);
    return policy && `${policy.mode} ${policy.mx[0]}`;
  }
}

Deno.test("a policy is fetched once and counts for all messages after", async () => {
  const site = new Site();
  assertEquals([await site.policy(), await site.policy()], ["enforce mx.a.test", "enforce mx.a.test"]);
  assertEquals(site.fetched, ["a.test"]);
  assertEquals(site.log.lines, ["info: MTA-STS policy of a.test: enforce, mx mx.a.test, for 604800 s"]);
});

Deno.test("many messages at once wait for one fetch", async () => {
  const site = new Site();
  site.answer = undefined;
  const all = Promise.all([site.policy(), site.policy(), site.policy()]);
  while (site.fetched.length === 0) await Promise.resolve();
  for (let i = 0; i < 20; i++) await Promise.resolve();
  site.release({ kind: "text", text: policyText("testing") });
  assertEquals(await all, Array(3).fill("testing mx.a.test"));
  assertEquals(site.fetched.length, 1);
});

Deno.test("a domain without a record, or with two, has no policy and is not fetched", async () => {
  const site = new Site();
  site.publish(undefined);
  assertEquals(await site.policy(), undefined);
  site.publish("1", { TXT: ["v=STSv1; id=1;", "v=STSv1; id=2;"] });
  assertEquals(await site.policy(), undefined);
  site.publish("1", { failing: ["TXT"] });
  assertEquals(await site.policy(), undefined);
  assertEquals(site.fetched, []);
});

Deno.test("mode none is no policy, but it is known and not fetched again", async () => {
  const site = new Site();
  site.answer = { kind: "text", text: policyText("none") };
  assertEquals([await site.policy(), await site.policy()], [undefined, undefined]);
  assertEquals(site.fetched.length, 1);
});

Deno.test("another id means another policy, at once", async () => {
  const site = new Site();
  await site.policy();
  site.answer = { kind: "text", text: policyText("testing", "*.b.test") };
  assertEquals(await site.policy(), "enforce mx.a.test");
  site.publish("2");
  assertEquals(await site.policy(), "testing *.b.test");
  assertEquals(site.fetched.length, 2);
});

Deno.test("whatever becomes of the record, a policy counts until its max_age is over", async () => {
  const site = new Site();
  await site.policy();
  for (const spoil of [() => site.publish(undefined), () => site.publish("1", { failing: ["TXT"] })]) {
    spoil();
    assertEquals(await site.policy(), "enforce mx.a.test");
  }
  await site.clock.advance(7 * DAY_MS - 1);
  assertEquals(await site.policy(), "enforce mx.a.test");
  await site.clock.advance(1);
  assertEquals(await site.policy(), undefined);
});

Deno.test("a policy that cannot be fetched leaves the one from before in force, and is tried again after five minutes", async () => {
  const site = new Site();
  await site.policy();
  site.publish("2");
  site.break();
  for (let i = 0; i < 3; i++) assertEquals(await site.policy(), "enforce mx.a.test");
  assertEquals(site.fetched.length, 2);
  assertEquals(
    site.log.lines.at(-1),
    "warning: Cannot fetch the MTA-STS policy of a.test, the one from before stays in force: connection refused",
  );
  await site.clock.advance(5 * 60_000);
  site.answer = { kind: "text", text: policyText("testing") };
  assertEquals(await site.policy(), "testing mx.a.test");
});

Deno.test("a policy that is malformed counts like one that cannot be fetched; both are recorded", async () => {
  const site = new Site();
  site.answer = { kind: "text", text: "<html>" };
  assertEquals(await site.policy(), undefined);
  assertMatch(
    site.log.lines[0] ?? "",
    /^warning: Cannot fetch the MTA-STS policy of a\.test, none is in force: the line/,
  );
  site.publish("2");
  site.break();
  await site.policy();
  assertEquals(site.results.map(({ failure, recipientDomain, policy }) => [failure, recipientDomain, policy.type]), [
    ["sts-policy-invalid", "a.test", "sts"],
    ["sts-policy-fetch-error", "a.test", "sts"],
  ]);
});

Deno.test("a new id is fetched at once, also within five minutes of a failure", async () => {
  const site = new Site();
  site.break();
  await site.policy();
  site.answer = { kind: "text", text: policyText("enforce") };
  assertEquals(await site.policy(), undefined);
  site.publish("2");
  assertEquals(await site.policy(), "enforce mx.a.test");
});

Deno.test("a policy in use is refreshed once a day, long before it runs out, and nobody waits for that", async () => {
  const site = new Site();
  await site.policy();
  await site.clock.advance(DAY_MS - 1);
  await site.policy();
  assertEquals(site.fetched.length, 1);
  await site.clock.advance(1);
  site.answer = undefined;
  assertEquals(await site.policy(), "enforce mx.a.test");
  assertEquals(site.fetched.length, 2);
  site.release({ kind: "text", text: policyText("enforce") });
  await site.clock.advance(7 * DAY_MS - 1);
  assertEquals(await site.policy(), "enforce mx.a.test", "its time began anew");
  await site.sts[Symbol.asyncDispose]();
});

Deno.test("a policy for a short time is refreshed when half of it is over", async () => {
  const site = new Site();
  site.answer = { kind: "text", text: policyText("enforce", "mx.a.test", 600) };
  await site.policy();
  await site.clock.advance(299_999);
  await site.policy();
  assertEquals(site.fetched.length, 1);
  await site.clock.advance(1);
  await site.policy();
  assertEquals(site.fetched.length, 2);
});

Deno.test("a policy outlives a restart, with its age", async () => {
  const site = new Site();
  await site.policy();
  await site.clock.advance(6 * DAY_MS);
  site.restart();
  site.break();
  assertEquals(await site.policy(), "enforce mx.a.test");
  await site.clock.advance(DAY_MS);
  site.restart();
  assertEquals(await site.policy(), undefined);
});

Deno.test("a policy survives a crash at any moment after it was kept", async () => {
  const site = new Site();
  await site.policy();
  site.files = site.files.afterCrash(() => false);
  site.restart();
  site.publish(undefined);
  assertEquals(await site.policy(), "enforce mx.a.test");
});

Deno.test("a file that is damaged is a warning, and the policy is fetched anew", async () => {
  const site = new Site();
  await site.policy();
  site.files.overwrite("/mta-sts/a.test.json", new TextEncoder().encode('{"id":"1","fetched":"2026'));
  site.restart();
  assertEquals(await site.policy(), "enforce mx.a.test");
  assertEquals(site.fetched.length, 2);
  assertMatch(site.log.lines[1] ?? "", /^warning: Cannot read the MTA-STS policy \/mta-sts\/a\.test\.json/);
});

Deno.test("what is forgotten in memory is still on disk", async () => {
  const site = new Site();
  site.sts = site.start(1);
  await site.policy();
  site.resolver.zone = { "_mta-sts.b.test": { TXT: ["v=STSv1; id=1;"] }, ...site.resolver.zone };
  await site.policy("b.test");
  assertEquals(await site.policy(), "enforce mx.a.test");
  assertEquals(site.fetched, ["a.test", "b.test"]);
});

Deno.test("who gives up does not wait for a fetch; a stop ends it without a word", async () => {
  const site = new Site();
  site.answer = undefined;
  const controller = new AbortController();
  const waiting = site.sts.policyOf("a.test", controller.signal);
  while (site.fetched.length === 0) await Promise.resolve();
  controller.abort();
  assertEquals(await waiting, undefined);
  await site.sts[Symbol.asyncDispose]();
  assertEquals([site.log.lines, site.results], [[], []]);
});

Deno.test("policies in memory are bounded by their size, too, and those that are put out come back from the disk", async () => {
  const onDisk = new Map<string, KeptPolicy>();
  const loads: string[] = [];
  const resolver = new FakeResolver(
    Object.fromEntries(["a", "b", "c"].map((name) => [`_mta-sts.${name}.test`, { TXT: ["v=STSv1; id=1;"] }])),
  );
  await using sts = new MtaSts({
    resolver,
    clock: new FakeClock(),
    logger: new LogLines(),
    maxOctets: 2_000,
    results: { record: () => {} },
    fetch: () => Promise.resolve({ kind: "text", text: policyText("enforce") + "mx: mx.b.test\n".repeat(60) }),
    store: {
      load: (domain) => Promise.resolve((loads.push(domain), onDisk.get(domain))),
      save: (domain, kept) => Promise.resolve(void onDisk.set(domain, kept)),
    },
  });
  for (const domain of ["a.test", "b.test", "c.test", "c.test", "a.test"]) {
    loads.length = 0;
    assertEquals((await sts.policyOf(domain, SIGNAL))?.mode, "enforce");
  }
  assertEquals(loads, ["a.test"]);
});
