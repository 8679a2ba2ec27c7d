import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { DnsAnswer, RecordData, RecordType, Resolver } from "../../../lib/dns/resolver.ts";
import type { Checked } from "../../../lib/policy/message_checks.ts";
import { type CheckedMail, MessageChecks } from "../../../lib/policy/message_checks.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeResolver } from "../../support/fake_resolver.ts";
import { allChecks, beginChecks, type CheckWishes, senderZone, STRANGER } from "../../support/msgauth/check_lab.ts";
import { NOW_MS, octetsOf, splitMessage } from "../../support/msgauth/dkim_check.ts";
import { testKey } from "../../support/msgauth/dkim_keys.ts";
import { signByHand } from "../../support/msgauth/signed_by_hand.ts";

const key = await testKey("rsa-sha256", "s1");
const MAIL: CheckedMail = { helo: "mail.example.org", reversePath: "ann@example.org", isSmtpUtf8: false };
const FIELDS = "From: ann@example.org\r\nTo: bob@example.net\r\nSubject: Hi\r\nDate: today\r\n";
const MESSAGE = `${FIELDS}\r\nHello\r\n\r\nBye\r\n`;

async function check(message: string, wishes: CheckWishes): Promise<Checked> {
  const checks = beginChecks(wishes);
  const { header, body } = splitMessage(octetsOf(message));
  checks.header(header);
  for (const octet of body) checks.body(Uint8Array.of(octet));
  return await checks.finish();
}

/** All in one line, unfolded. */
function resultsIn({ field }: Checked): string {
  return field.replace(/\r\n[ \t]+/g, " ");
}

/** A resolver that never answers; one that does not heed its signal is worse. */
function silent(heedsSignal: boolean): Resolver {
  return {
    lookup: <T extends keyof RecordData>(_name: string, _type: T, signal?: AbortSignal) =>
      new Promise<DnsAnswer<RecordData[T]>>((resolve) => {
        const end = (): void => resolve({ kind: "failed", reason: "given up" });
        if (heedsSignal && signal?.aborted) end();
        else if (heedsSignal) signal?.addEventListener("abort", end, { once: true });
      }),
  };
}

/** As the real one: what is asked with an aborted signal has no answer. */
class HeedfulResolver extends FakeResolver {
  override lookup<T extends RecordType>(
    name: string,
    type: T,
    signal?: AbortSignal,
  ): Promise<DnsAnswer<RecordData[T]>> {
    return signal?.aborted ? Promise.resolve({ kind: "failed", reason: "given up" }) : super.lookup(name, type);
  }
}

Deno.test("mail from its own host with its own signature passes everything, and the field says so", async () => {
  const resolver = new FakeResolver(senderZone("p=reject", key));
  const checked = await check(await signByHand(MESSAGE, { key }), { resolver });
  const { iprev, spf, dkim, dmarc } = checked.findings;
  assertEquals(
    [iprev?.result, spf.map(({ identity, result }) => `${identity} ${result}`), dkim[0]?.result, dmarc?.result],
    ["pass", ["helo pass", "mailfrom pass"], "pass", "pass"],
  );
  assertEquals(checked.decision.action, "accept");
  const text = resultsIn(checked);
  assertMatch(text, /^Authentication-Results: mx\.test;/);
  assert(text.endsWith("\r\n"));
  for (
    const part of [
      "iprev=pass (mail.example.org) policy.iprev=192.0.2.10",
      "smtp.mailfrom=example.org",
      "smtp.helo=mail.example.org",
      "dkim=pass (2048-bit key) header.d=example.org",
      "dmarc=pass (dis=none) header.from=example.org",
    ]
  ) assertStringIncludes(text, part);
});

Deno.test("a forged message is refused, put aside or let in as its author domain asks", async () => {
  for (const [policy, action] of [["p=reject", "reject"], ["p=quarantine", "quarantine"], ["p=none", "accept"]]) {
    const resolver = new FakeResolver(senderZone(policy ?? "", key));
    const { decision, findings } = await check(MESSAGE, { resolver, mail: { clientAddress: STRANGER } });
    assertEquals([findings.spf[1]?.result, findings.dmarc?.result, decision.action], ["fail", "fail", action]);
    if (decision.action === "reject") {
      assertEquals([decision.reply.code, decision.reply.enhanced], [550, "5.7.1"]);
    }
  }
});

Deno.test("a changed body fails, and mail without anything to check has nothing to show", async () => {
  const signed = (await signByHand(MESSAGE, { key })).replace("Bye", "Pay");
  const zone = senderZone("p=none", key);
  const broken = await check(signed, { resolver: new FakeResolver(zone), mail: { clientAddress: STRANGER } });
  assertEquals([broken.findings.dkim[0]?.result, broken.findings.dmarc?.result], ["fail", "fail"]);
  const { findings, decision, field } = await check("", {
    resolver: new FakeResolver(),
    mail: { reversePath: "", helo: "[192.0.2.10]" },
  });
  assertEquals([findings.spf.map(({ identity, result }) => [identity, result]), findings.dkim, decision.action], [
    [["helo", "none"]],
    [],
    "accept",
  ]);
  assertMatch(field, /^Authentication-Results: mx\.test;[^]*\tspf=none smtp\.helo=[^]*;\r\n\tdkim=none \(not signed\)/);
});

Deno.test("a client without an address has no name and no SPF; signature, ARC and DMARC are checked", async () => {
  const resolver = new FakeResolver(senderZone("p=reject", key));
  const settings = allChecks();
  const checkWithout = async (message: string): Promise<Checked> => {
    const checks = new MessageChecks(MAIL, {
      resolver,
      clock: new FakeClock(NOW_MS),
      random: () => 0,
      hostname: "mx",
      settings,
    });
    const { header, body } = splitMessage(octetsOf(message));
    checks.header(header);
    checks.body(body);
    return await checks.finish();
  };
  const signed = await checkWithout(await signByHand(MESSAGE, { key }));
  assertMatch(
    resultsIn(signed),
    /^Authentication-Results: mx\.test; spf=none reason="The client has no address" smtp\.mailfrom=example\.org; spf=none .*dkim=pass.*dmarc=pass/,
  );
  const unsigned = await checkWithout(MESSAGE);
  assertEquals([unsigned.decision.action, unsigned.findings.dmarc?.request], ["quarantine", "reject"]);
  assertMatch(resultsIn(unsigned), /dkim=none \(not signed\); dmarc=fail \(dis=quarantine by local_policy\)/);
  assertEquals(resolver.questions.filter((question) => /arpa|TXT (?:mail\.)?example\.org$/.test(question)), []);
});

Deno.test("only what is switched on is looked up", async () => {
  const resolver = new FakeResolver(senderZone("p=reject", key));
  const settings = { authservId: "mx.test", spf: false, dkim: false, maySeal: false };
  const { findings, decision } = await check(await signByHand(MESSAGE, { key }), { resolver, settings });
  assertEquals([findings.spf, findings.dkim, findings.dmarc, decision.action], [[], [], undefined, "accept"]);
  assertEquals(resolver.questions.filter((question) => /^TXT/.test(question)), []);
});

Deno.test("DNS that never answers ends within the time limit as a temporary error", async () => {
  for (const heedsSignal of [true, false]) {
    for (const onTemporaryError of ["accept", "defer"] as const) {
      const clock = new FakeClock(NOW_MS);
      const checking = check(await signByHand(MESSAGE, { key }), {
        resolver: silent(heedsSignal),
        clock,
        settings: allChecks({ onTemporaryError }),
      });
      let checked: Checked | undefined;
      checking.then((result) => checked = result);
      await clock.advance(20_000);
      await clock.advance(19_000);
      assertEquals(checked, undefined);
      await clock.advance(1000);
      await clock.advance(0);
      assert(checked !== undefined, `over in 40 s; heeds its signal: ${heedsSignal}`);
      const { findings: { iprev, spf, dkim, dmarc }, decision } = checked;
      assertEquals([iprev?.result, spf[1]?.result, dkim[0]?.result, dmarc?.result], Array(4).fill("temperror"));
      assertEquals(decision.action, onTemporaryError);
      if (decision.action === "defer") assertEquals([decision.reply.code, decision.reply.enhanced], [451, "4.7.1"]);
      assertEquals(clock.sleeping, 0, "no timer is left");
    }
  }
});

Deno.test("a message that takes minutes to come in is checked as any other", async () => {
  const clock = new FakeClock(NOW_MS);
  const checks = beginChecks({ resolver: new HeedfulResolver(senderZone("p=reject", key)), clock });
  const { header, body } = splitMessage(octetsOf(await signByHand(MESSAGE, { key })));
  checks.header(header);
  await clock.advance(300_000);
  checks.body(body);
  const { findings: { spf, dkim, dmarc }, decision } = await checks.finish();
  assertEquals([spf[1]?.result, dkim[0]?.result, dmarc?.result, decision.action], ["pass", "pass", "pass", "accept"]);
  await clock.advance(1000);
  assertEquals(clock.sleeping, 0, "nobody looks at time limits any more");
});

Deno.test("checks of a message that is given up leave nothing running", async () => {
  const clock = new FakeClock(NOW_MS);
  const checks = beginChecks({ resolver: silent(true), clock });
  checks.header(octetsOf(FIELDS));
  checks.abort();
  checks.abort();
  await clock.advance(1000);
  assertEquals(clock.sleeping, 0);
});

Deno.test("The body is hashed for a seal where one may follow, and else only for signatures", async () => {
  const message = "From: <a@example.org>\r\n\r\nHello\r\n";
  const resolver = new FakeResolver({});
  const hashOf = async (maySeal: boolean): Promise<string> =>
    (await check(message, { resolver, settings: { authservId: "mx.test", spf: true, dkim: true, maySeal } })).bodyHash
      .toBase64();
  assertEquals([await hashOf(true), await hashOf(false)], ["Ba3gj8+xBPQLJTahTfzW6RbWQ/XPgESxkCi2B66PSQg=", ""]);
});
