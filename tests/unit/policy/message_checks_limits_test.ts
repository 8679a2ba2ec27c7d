/** All checks of one message together: what a sender cannot win by making them slow. */

import { createHash } from "node:crypto";
import { assertEquals } from "@std/assert";
import type { DnsAnswer, RecordData, RecordType, Resolver } from "../../../lib/dns/resolver.ts";
import { makeDmarcPolicy } from "../../../lib/policy/dmarc_policy.ts";
import { MessageChecks } from "../../../lib/policy/message_checks.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeResolver } from "../../support/fake_resolver.ts";

const FORGED = "From: <ceo@bank.example>\r\nSubject: x\r\n";

/** Names below `slow.example` get no answer before the wait for it is given up; others do, as long as somebody waits. */
class SlowResolver implements Resolver {
  readonly #zone = new FakeResolver({ "_dmarc.bank.example": { TXT: ["v=DMARC1; p=reject"] } });

  async lookup<T extends RecordType>(name: string, type: T, signal?: AbortSignal): Promise<DnsAnswer<RecordData[T]>> {
    if (name.endsWith("slow.example") && !signal?.aborted) {
      await new Promise<void>((resolve) => signal?.addEventListener("abort", () => resolve()));
    }
    return signal?.aborted ? { kind: "failed", reason: "given up" } : await this.#zone.lookup(name, type);
  }
}

function checksOf(clock: FakeClock, reversePath: string): MessageChecks {
  const dmarc = makeDmarcPolicy({
    action: "enforce",
    onTemporaryError: "accept",
    trustedForwarders: [],
    trustedSealers: [],
  });
  return new MessageChecks(
    { clientAddress: "192.0.2.1", helo: "evil.example", reversePath, isSmtpUtf8: false },
    {
      resolver: new SlowResolver(),
      clock,
      random: () => 0,
      hostname: "mx.example.org",
      settings: { authservId: "mx.example.org", spf: true, dkim: true, dmarc, maySeal: true },
    },
  );
}

Deno.test("A message that takes minutes to come is judged by its DMARC policy", async () => {
  const clock = new FakeClock();
  const checks = checksOf(clock, "x@evil.example");
  checks.header(new TextEncoder().encode(FORGED));
  await clock.advance(120_000);
  checks.body(new TextEncoder().encode("\r\nHello\r\n"));
  const { decision, findings } = await checks.finish();
  assertEquals([findings.dmarc?.result, decision.action], ["fail", "reject"]);
});

Deno.test("A signature whose key is never answered does not keep the policy of the author from being looked up", async () => {
  const clock = new FakeClock();
  const checks = checksOf(clock, "x@evil.example");
  const hash = createHash("sha256").update("Hello\r\n").digest("base64");
  checks.header(
    new TextEncoder().encode(
      `DKIM-Signature: v=1; a=rsa-sha256; d=slow.example; s=s; h=from; bh=${hash}; b=AAAA\r\n${FORGED}`,
    ),
  );
  checks.body(new TextEncoder().encode("\r\nHello\r\n"));
  const finished = checks.finish();
  await clock.advance(21_000);
  const { decision, findings } = await finished;
  assertEquals([findings.dmarc?.result, decision.action], ["fail", "reject"]);
});

Deno.test("SPF that is never answered does not either", async () => {
  const clock = new FakeClock();
  const checks = checksOf(clock, "x@slow.example");
  checks.header(new TextEncoder().encode(FORGED));
  checks.body(new TextEncoder().encode("\r\nHello\r\n"));
  const finished = checks.finish();
  await clock.advance(21_000);
  const { decision, findings } = await finished;
  assertEquals([findings.dmarc?.result, decision.action], ["fail", "reject"]);
});

Deno.test("A second author whose domain is never answered does not hide the policy of the first", async () => {
  for (const authors of ["a@slow.example, <ceo@bank.example>", "<ceo@bank.example>, a@slow.example"]) {
    const clock = new FakeClock();
    const checks = checksOf(clock, "x@evil.example");
    checks.header(new TextEncoder().encode(`From: ${authors}\r\n`));
    checks.body(new TextEncoder().encode("\r\nHello\r\n"));
    const finished = checks.finish();
    for (let second = 0; second < 50; second++) await clock.advance(1_000);
    const { decision, findings } = await finished;
    assertEquals([findings.dmarc?.result, decision.action], ["fail", "reject"], authors);
  }
});
