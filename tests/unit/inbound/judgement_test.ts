import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import fc from "fast-check";
import { SharedMemory } from "../../../lib/inbound/header_window.ts";
import type { Authentication } from "../../../lib/inbound/services.ts";
import type { CheckedMail } from "../../../lib/policy/message_checks.ts";
import { relayBlocks } from "../../../lib/policy/relay.ts";
import { SmtpError } from "../../../lib/smtp/reply.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeResolver } from "../../support/fake_resolver.ts";
import {
  cutAt,
  type IntakeWishes,
  takeMessage,
  testAuthentication,
} from "../../support/msgauth/authenticated_intake.ts";
import { allChecks, senderZone, SENDING_HOST, STRANGER } from "../../support/msgauth/check_lab.ts";
import { NOW_MS, verifyMessage } from "../../support/msgauth/dkim_check.ts";
import { testKey } from "../../support/msgauth/dkim_keys.ts";
import { signByHand } from "../../support/msgauth/signed_by_hand.ts";

const rsa = await testKey("rsa-sha256", "s1");
const ed25519 = await testKey("ed25519-sha256", "s1-ed");
const FIELDS = "From: ann@example.org\r\nTo: bob@example.net\r\nSubject: Hi\r\nDate: today\r\n";
const MESSAGE = `${FIELDS}\r\nHello\r\n\r\nBye\r\n`;
const SIGNED = await signByHand(MESSAGE, { key: rsa });
const FROM_STRANGER: IntakeWishes = { session: { clientAddress: STRANGER } };

const resolver = new FakeResolver(senderZone("p=reject", rsa, ed25519));
const authentication = testAuthentication({ resolver, keys: [rsa, ed25519] });
/** SPF, DKIM and no policy. */
const noted = testAuthentication({ resolver: new FakeResolver(senderZone("p=none", rsa)) });

/** Trace fields by name, and the first of them unfolded. */
function namesOf(trace: string): string[] {
  return trace.split("\r\n").flatMap((line) => /^([\w-]+):/.exec(line)?.[1] ?? []);
}

function unfolded(trace: string): string {
  return trace.replace(/\r\n[ \t]+/g, " ");
}

Deno.test("mail with a good signature is taken as it is, with the results in front of Received", async () => {
  const { envelope, content } = await takeMessage([SIGNED], authentication, FROM_STRANGER);
  assertEquals(content, SIGNED);
  assertEquals(namesOf(envelope.trace), ["Authentication-Results", "Received"]);
  assertMatch(unfolded(envelope.trace), /dkim=pass .*dmarc=pass/);
  assertMatch(unfolded(envelope.trace), /spf=fail .*smtp\.mailfrom=example\.org/);
  assertEquals(envelope.isQuarantined, undefined);
});

Deno.test("a signature passes wherever the content is cut", async () => {
  const split = SIGNED.indexOf("\r\n\r\n");
  for (let at = 1; at < SIGNED.length; at = at < split - 3 || at > split + 6 ? at + 37 : at + 1) {
    const { envelope, content } = await takeMessage([SIGNED.slice(0, at), SIGNED.slice(at)], noted, FROM_STRANGER);
    assertEquals(content, SIGNED);
    assertMatch(unfolded(envelope.trace), /dkim=pass/, `cut at ${at}`);
  }
  const { envelope } = await takeMessage([...SIGNED], noted, FROM_STRANGER);
  assertMatch(unfolded(envelope.trace), /dkim=pass/);
});

Deno.test("a forged message is refused with 550 5.7.1 where its domain wants that, and nothing of it stays", async () => {
  const error = await assertRejects(() => takeMessage([MESSAGE], authentication, FROM_STRANGER), SmtpError);
  assertEquals([error.reply.code, error.reply.enhanced], [550, "5.7.1"]);
  assertEquals(error.reply.lines, [
    "This message is refused under the DMARC policy of example.org: neither SPF nor DKIM shows that it is from there",
  ]);
});

Deno.test("where its domain wants that, it is put into quarantine; where it does not, it is only noted", async () => {
  for (const [policy, isQuarantined] of [["p=quarantine", true], ["p=none", undefined]] as const) {
    const checks = testAuthentication({ resolver: new FakeResolver(senderZone(policy, rsa)) });
    const { envelope } = await takeMessage([MESSAGE], checks, FROM_STRANGER);
    assertEquals(envelope.isQuarantined, isQuarantined);
    assertMatch(unfolded(envelope.trace), /dmarc=fail/);
  }
});

Deno.test("when DNS has no answer mail is taken, or the sender asked to try again later", async () => {
  const zone = senderZone("p=reject", rsa);
  zone["_dmarc.example.org"] = { failing: ["TXT"] };
  const failing = new FakeResolver(zone);
  const { envelope } = await takeMessage([MESSAGE], testAuthentication({ resolver: failing }), FROM_STRANGER);
  assertMatch(unfolded(envelope.trace), /dmarc=temperror/);
  const deferring = testAuthentication({ resolver: failing, settings: allChecks({ onTemporaryError: "defer" }) });
  const error = await assertRejects(() => takeMessage([MESSAGE], deferring, FROM_STRANGER), SmtpError);
  assertEquals([error.reply.code, error.reply.enhanced], [451, "4.7.1"]);
});

Deno.test("mail is taken where DNS never answers, after 20 seconds for the evidence and 20 for the policy", async () => {
  const clock = new FakeClock(NOW_MS);
  const silent = testAuthentication({ resolver: { lookup: () => new Promise(() => {}) }, clock });
  const taking = takeMessage([SIGNED], silent, FROM_STRANGER);
  await clock.advance(20_000);
  await clock.advance(20_000);
  const { envelope } = await taking;
  assertMatch(unfolded(envelope.trace), /iprev=temperror.*spf=temperror.*dkim=temperror.*dmarc=temperror/);
  assertEquals(clock.sleeping, 0);
});

Deno.test("fields that pretend to be ours are taken out, all others stay as they are, wherever content is cut", async () => {
  const forged = [
    "Authentication-Results: mx.test; dmarc=pass header.from=bank.example\r\n",
    "AUTHENTICATION-results : (a)\r\n\tMX.test\r\n 1; spf=pass\r\n",
    'authentication-results:"mx.test"; dkim=pass\r\n',
  ];
  const kept = [
    "Authentication-Results: mx.example.com; spf=pass\r\n",
    "X-Results: mx.test; spf=pass\r\n",
    "odd line\r\n",
  ];
  const body = "\r\nAuthentication-Results: mx.test; none\r\n\r\nAuthentication-Results: mx.test; none\r\n";
  const field = fc.oneof(
    fc.constantFrom(...forged).map((text) => ({ text, isForged: true })),
    fc.constantFrom(...kept, FIELDS).map((text) => ({ text, isForged: false })),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(field, { maxLength: 6 }),
      fc.array(fc.nat(2000), { maxLength: 5 }),
      async (fields, cuts) => {
        const sent = fields.map(({ text }) => text).join("") + body;
        const { content } = await takeMessage(cutAt(sent, cuts), noted);
        assertEquals(content, fields.filter(({ isForged }) => !isForged).map(({ text }) => text).join("") + body);
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("they are taken out where nothing is checked, too", async () => {
  const unchecked = testAuthentication({ resolver, more: { check: () => undefined } });
  const forged = "Authentication-Results: mx.test; spf=pass\r\n";
  const { envelope, content } = await takeMessage([forged + MESSAGE], unchecked);
  assertEquals([content, namesOf(envelope.trace)], [MESSAGE, ["Received"]]);
});

Deno.test("content without a body, an empty line, a header section or anything at all comes as it is", async () => {
  for (
    const message of [
      "",
      "\r\n",
      "\r\n\r\n",
      "\r\nbody\r\n",
      FIELDS,
      `${FIELDS}\r\n`,
      "From: ann@example.org",
      "no field",
    ]
  ) {
    for (const pieces of [[message], [...message]]) {
      const { envelope, content } = await takeMessage(pieces, noted);
      assertEquals([content, namesOf(envelope.trace)], [message, ["Authentication-Results", "Received"]]);
    }
  }
});

Deno.test("a header section of 200 KiB is checked as any other; where it is too long, or memory is short, it is refused", async () => {
  const long = (await signByHand(`X: ${"a".repeat(997)}\r\n`.repeat(205) + MESSAGE, { key: rsa }))
    .replace("Authentication", "X");
  for (const size of [4096, 65_536, 16_384, 1_000_000]) {
    const cuts = Array.from({ length: Math.floor(long.length / size) }, (_, index) => (index + 1) * size);
    const { envelope, content } = await takeMessage(cutAt(long, cuts), noted, FROM_STRANGER);
    assert(content === long, "the content is the same");
    assertMatch(unfolded(envelope.trace), /dkim=pass/, `in pieces of ${size}`);
  }
  const refused = async (wishes: IntakeWishes): Promise<string> =>
    (await assertRejects(() => takeMessage([long], noted, wishes), SmtpError)).message;
  assertMatch(await refused({ limits: { headerOctets: 200_000 } }), /^552 5\.3\.4 The header section is larger/);
  assertMatch(await refused({ services: { headerMemory: new SharedMemory(200_000) } }), /^452 4\.3\.1 Too much mail/);
});

Deno.test("a long header section gives back its memory, whatever becomes of the message", async () => {
  const long = `X: ${"a".repeat(997)}\r\n`.repeat(205);
  const headerMemory = new SharedMemory(300_000);
  for (let i = 0; i < 3; i++) {
    await takeMessage([long + MESSAGE], noted, { services: { headerMemory } });
    await assertRejects(() =>
      takeMessage([long + MESSAGE], authentication, { ...FROM_STRANGER, services: { headerMemory } })
    );
  }
  assert(headerMemory.reserve(300_000));
});

Deno.test("mail of users and of relay_from is signed and not checked", async () => {
  const ours: readonly IntakeWishes[] = [
    {
      session: { service: "submission", login: "ann@example.org" },
      settings: { submission: { senders: "any", bareLf: "refuse" } },
    },
    { session: { login: "ann@example.org" } },
    { settings: { relayFrom: relayBlocks([SENDING_HOST]) } },
  ];
  for (const wishes of ours) {
    for (
      const [header, body] of [[FIELDS, "\r\nHello\r\n"], [FIELDS, ""], [FIELDS, "\r\n"], [FIELDS, "\r\n\r\n\r\nBye"]]
    ) {
      const sent = `${header}${body}`;
      resolver.questions.length = 0;
      const { envelope, content } = await takeMessage([...sent], authentication, wishes);
      assertEquals(content, sent);
      assertEquals(resolver.questions, [], "nothing is looked up");
      assertEquals(namesOf(envelope.trace).slice(0, 3), ["DKIM-Signature", "DKIM-Signature", "Received"]);
      const results = await verifyMessage(envelope.trace + content, resolver);
      assertEquals(results.map(({ result }) => result), ["pass", "pass"]);
    }
  }
});

Deno.test("what users send for a domain without a key goes unsigned, and their fields stay", async () => {
  const message = `Authentication-Results: mx.test; auth=pass\r\n${
    MESSAGE.replace("ann@example.org", "ann@example.com")
  }`;
  const { envelope, content } = await takeMessage([message], authentication, {
    settings: { relayFrom: relayBlocks([SENDING_HOST]) },
  });
  assertEquals([content, namesOf(envelope.trace)], [message, ["Received"]]);
});

Deno.test("LMTP is neither checked nor signed", async () => {
  resolver.questions.length = 0;
  const relayFrom = relayBlocks([SENDING_HOST]);
  const message = `Authentication-Results: mx.test; spf=pass\r\n${MESSAGE}`;
  for (const settings of [{}, { relayFrom }]) {
    const { envelope, content } = await takeMessage([message], authentication, {
      session: { service: "lmtp" },
      settings,
    });
    assertEquals([content, namesOf(envelope.trace), resolver.questions], [message, ["Received"], []]);
  }
});

Deno.test("what was found out is told to those who write reports, refused or not", async () => {
  const seen: string[] = [];
  const note: Authentication["note"] = ({ decision }, { clientAddress, reversePath }) =>
    void seen.push(`${clientAddress} ${reversePath} ${decision.disposition}`);
  const noting = testAuthentication({ resolver, more: { note } });
  await takeMessage([SIGNED], noting, FROM_STRANGER);
  await assertRejects(() => takeMessage([MESSAGE], noting, FROM_STRANGER), SmtpError);
  assertEquals(seen, [`${STRANGER} ann@example.org none`, `${STRANGER} ann@example.org reject`]);
});

Deno.test("mail that an address of ours sends on is sealed as it is sent on: without the forged fields, with ours", async () => {
  const seal: Authentication["seal"] = (domain, { headerSection, trace }) =>
    Promise.resolve(`X-Seal: ${domain} ${namesOf(trace + new TextDecoder().decode(headerSection)).join(" ")}\r\n`);
  const sealing = testAuthentication({ resolver, more: { seal } });
  const message = `Authentication-Results: mx.test; spf=pass\r\n${MESSAGE}`;
  const recipients = [{ address: "alice@example.org" }, {
    address: "carol@elsewhere.test",
    forwardedBy: "team@example.org",
  }];
  const { envelope } = await takeMessage([message], sealing, { recipients });
  assertEquals(
    envelope.arcSeal,
    "X-Seal: example.org Authentication-Results Received From To Subject Date\r\n",
  );
  assertEquals((await takeMessage([message], sealing)).envelope.arcSeal, undefined);
});

Deno.test("whatever comes, checks and signatures end in a message taken, or a refusal with a reply", async () => {
  const line = fc.oneof(
    fc.constantFrom(
      "From: ann@example.org",
      "From: a@b, c@d",
      "From:",
      "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s1; h=from; bh=AAAA; b=AAAA",
      "DKIM-Signature: ;;;=",
      "ARC-Seal: i=1; cv=none; a=rsa-sha256; d=example.org; s=s1; b=",
      "ARC-Seal: i=99",
      "ARC-Message-Signature: i=1; a=rsa-sha256; d=example.org; s=s1; h=from; bh=; b=",
      "ARC-Authentication-Results: i=1; mx.test; none",
      "Authentication-Results: mx.test",
      "Authentication-Results: ((((",
      " folded",
      "",
      ":",
    ),
    fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 40 }),
  );
  const text = fc.array(line, { maxLength: 12 }).map((lines) => lines.join("\r\n"));
  const sender = fc.constantFrom("", "ann@example.org", "x@nowhere.test", "\u00e4@b\u00fccher.example");
  const mail = fc.record({ helo: fc.string({ unit: "binary", maxLength: 20 }), reversePath: sender });
  const relayFrom = relayBlocks([SENDING_HOST]);
  await fc.assert(
    fc.asyncProperty(
      text,
      fc.array(fc.nat(500), { maxLength: 4 }),
      mail,
      async (content, cuts, { helo, reversePath }) => {
        for (const settings of [{}, { relayFrom }]) {
          try {
            await takeMessage(cutAt(content, cuts), authentication, {
              reversePath,
              session: { greeting: { verb: "EHLO", name: helo } },
              settings,
            });
          } catch (error) {
            if (!(error instanceof SmtpError)) throw error;
          }
        }
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("the checks know the client, its greeting and the reverse-path", async () => {
  const seen: CheckedMail[] = [];
  const asking = testAuthentication({ resolver, more: { check: (mail) => void seen.push(mail) } });
  await takeMessage([MESSAGE], asking, { reversePath: "", session: { greeting: undefined } });
  await takeMessage([MESSAGE], asking, { session: { clientAddress: undefined } });
  const rest = { isSmtpUtf8: false };
  assertEquals(seen, [
    { clientAddress: SENDING_HOST, helo: "", reversePath: "", ...rest },
    { helo: "mail.example.org", reversePath: "ann@example.org", ...rest },
  ]);
});
