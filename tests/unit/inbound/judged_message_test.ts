/** Message authentication where mail comes in: what is checked, signed and taken out, however the octets are cut. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { IncomingMessage } from "../../../lib/inbound/incoming_message.ts";
import type { Authentication } from "../../../lib/inbound/services.ts";
import type { Session } from "../../../lib/inbound/session.ts";
import { MessageChecks } from "../../../lib/policy/message_checks.ts";
import { OutgoingSignature } from "../../../lib/policy/outgoing_signature.ts";
import { systemClock } from "../../../lib/system/clock.ts";
import { FakeResolver } from "../../support/fake_resolver.ts";
import { MemorySpool } from "../../support/memory_spool.ts";
import { octetsOf, signWhole, verifyMessage } from "../../support/msgauth/dkim_check.ts";
import { testKey, zoneOf } from "../../support/msgauth/dkim_keys.ts";
import { testServices, testSession } from "../../support/test_session.ts";

const KEY = await testKey("ed25519-sha256", "s");
const resolver = new FakeResolver(zoneOf(KEY));
const MESSAGE = "From: <alice@example.org>\r\nTo: <x@example.net>\r\nSubject: x\r\n\r\nHello  there\r\n\r\nBye\r\n";

const authentication: Authentication = {
  authservId: "mx.test",
  check: (mail) =>
    new MessageChecks(mail, {
      resolver,
      clock: systemClock,
      random: () => 0,
      hostname: "mx.test",
      settings: { authservId: "mx.test", spf: true, dkim: true, maySeal: true },
    }),
  sign: () => new OutgoingSignature((domain) => Promise.resolve(domain === "example.org" ? [KEY] : [])),
};

/** What is stored of a message that comes in pieces of so many octets. */
async function stored(message: Uint8Array, pieceOctets: number, more: Partial<Session> = {}): Promise<string> {
  const spool = new MemorySpool();
  const session = testSession({
    transaction: {
      reversePath: "alice@example.org",
      options: { body: "7BIT", smtpUtf8: false },
      recipients: [{ address: "alice@example.org" }],
      addresses: new Map(),
      accepted: [],
      chunks: undefined,
    },
    ...more,
  });
  const services = testServices({ spool, authentication: () => authentication });
  const incoming = new IncomingMessage({ session, services } as ConstructorParameters<typeof IncomingMessage>[0]);
  for (let at = 0; at < message.length; at += pieceOctets) {
    await incoming.write(message.subarray(at, at + pieceOctets));
  }
  incoming.check(undefined);
  await incoming.accept();
  const [queued] = spool.messages;
  return `${queued?.envelope.trace}${new TextDecoder("latin1").decode(queued?.content.inMemory)}`;
}

Deno.test("A signature passes on its way in, wherever the message is cut", async () => {
  const signed = await signWhole(octetsOf(MESSAGE), [KEY], systemClock.now());
  for (let octets = 1; octets <= signed.length + 1; octets += octets < 20 ? 1 : 37) {
    assertStringIncludes(await stored(signed, octets), "dkim=pass", `pieces of ${octets}`);
  }
});

Deno.test("What our users submit leaves with a signature that others find good, wherever the message is cut", async () => {
  for (const octets of [1, 7, 10_000]) {
    const sent = await stored(octetsOf(MESSAGE), octets, { service: "submission", login: "alice@example.org" });
    const [finding] = await verifyMessage(sent, resolver, systemClock.now());
    assertEquals(finding?.result, "pass", `pieces of ${octets}: ${finding?.problem}`);
  }
});

Deno.test("A message without a body is signed and checked as well", async () => {
  const bare = "From: <alice@example.org>\r\nSubject: x\r\n";
  const sent = await stored(octetsOf(bare), 10, { service: "submission", login: "alice@example.org" });
  const [finding] = await verifyMessage(`${sent}\r\n`, resolver, systemClock.now());
  assertEquals(finding?.result, "pass", finding?.problem);
  assertMatch(await stored(octetsOf(bare), 10), /^Authentication-Results: mx\.test;/);
});

Deno.test("Results in our name are taken out of what strangers and our users send", async () => {
  const forged = "Authentication-Results : MX.test; dkim=pass header.d=bank.example\r\n";
  for (const session of [{}, { service: "submission", login: "alice@example.org" }] as const) {
    for (const octets of [1, 10_000]) {
      const kept = await stored(octetsOf(`Subject: x\r\n${forged}${MESSAGE}`), octets, session);
      assertEquals(kept.includes("bank.example"), false, kept);
      if (!("login" in session)) continue;
      const [finding] = await verifyMessage(kept, resolver, systemClock.now());
      assertEquals(finding?.result, "pass", finding?.problem);
    }
  }
});
