import { assertEquals } from "@std/assert";
import type { RemoteTarget } from "../../../../lib/delivery/remote/remote_target.ts";
import type { SessionFacts } from "../../../../lib/mail/envelope.ts";
import { type RequestParts, smarthostHop, testRequest, testTarget } from "../../../support/remote_delivery.ts";
import {
  DEFAULT_EXTENSIONS,
  type PeerOptions,
  readTestPem,
  type ScriptedPeer,
  startPeer,
} from "../../../support/scripted_peer.ts";

const ALICE: SessionFacts = {
  service: "submission",
  clientAddress: "192.0.2.1",
  helo: "laptop.example",
  protocol: "ESMTPSA",
  login: "alice@example.org",
};
const BOB: SessionFacts = { service: "mx", clientAddress: "192.0.2.2", helo: "mx.example", protocol: "SMTP" };
const TOLD = "XCLIENT ADDR=192.0.2.1 PROTO=ESMTP HELO=laptop.example LOGIN=alice@example.org";

function proxied(options: PeerOptions = {}): ScriptedPeer {
  return startPeer({ extensions: [...DEFAULT_EXTENSIONS, "XCLIENT ADDR PROTO HELO LOGIN"], ...options });
}

async function deliver(target: RemoteTarget, peer: ScriptedPeer, session: SessionFacts): Promise<string> {
  const hop: RequestParts["hop"] = smarthostHop({ port: peer.port, isToldClient: true });
  const [outcome] = await target.deliver(testRequest({ hop, recipients: ["a@example.test"], envelope: { session } }));
  return `${outcome?.action} ${outcome?.status}`;
}

Deno.test("a server with XCLIENT is told the client before the transaction, and greeted again", async () => {
  await using peer = proxied();
  await using target = testTarget({});
  assertEquals(await deliver(target, peer, ALICE), "relayed 2.6.0");
  assertEquals(peer.commands.slice(0, 4), [
    "EHLO client.test",
    TOLD,
    "EHLO laptop.example",
    "MAIL FROM:<sender@client.test> SIZE=36",
  ]);
});

Deno.test("a client that is not known, or calls itself something odd, is greeted for under our name", async () => {
  for (const helo of [{}, { helo: "zwei wörter" }]) {
    await using peer = proxied();
    await using target = testTarget({});
    assertEquals(await deliver(target, peer, { service: "mx", ...helo }), "relayed 2.6.0");
    assertEquals(peer.commands[2], "EHLO client.test");
  }
});

Deno.test("what the server offers after XCLIENT counts", async () => {
  await using peer = proxied({
    replies: {
      ehlo: () => peer.commands.includes(TOLD) ? "250 peer.test" : undefined,
    },
  });
  await using target = testTarget({});
  assertEquals(await deliver(target, peer, ALICE), "relayed 2.6.0");
  assertEquals(peer.messages[0]?.mail, "FROM:<sender@client.test>");
});

Deno.test("REQUIRETLS that the server offers no more after XCLIENT keeps the message back", async () => {
  await using peer = proxied({
    tls: "starttls",
    extensions: [...DEFAULT_EXTENSIONS, "REQUIRETLS", "XCLIENT ADDR PROTO HELO LOGIN"],
    replies: { ehlo: () => peer.commands.includes(TOLD) ? "250 peer.test" : undefined },
  });
  await using target = testTarget({}, { caCertificates: [readTestPem("ca.pem")] });
  const hop = smarthostHop({ host: "127.0.0.1", port: peer.port, isToldClient: true });
  const envelope = { session: ALICE, requireTls: true as const };
  const [outcome] = await target.deliver(testRequest({ hop, recipients: ["a@example.test"], envelope }));
  assertEquals([outcome?.action, outcome?.status, peer.messages.length], ["failed", "5.7.30", 0]);
});

Deno.test("a connection is used again for the same client only", async () => {
  await using peer = proxied();
  await using target = testTarget({});
  for (const session of [ALICE, ALICE, BOB, ALICE]) assertEquals(await deliver(target, peer, session), "relayed 2.6.0");
  assertEquals(peer.connections, 2);
  assertEquals(peer.messages.map(({ connection }) => connection), [1, 1, 2, 1]);
  const told = peer.commands.filter((line) => line.startsWith("XCLIENT"));
  assertEquals(told, [TOLD, "XCLIENT ADDR=192.0.2.2 PROTO=SMTP HELO=mx.example LOGIN=[UNAVAILABLE]"]);
});

Deno.test("mail of our own is nobody's: no XCLIENT", async () => {
  await using peer = proxied();
  await using target = testTarget({});
  assertEquals(await deliver(target, peer, { service: "local" }), "relayed 2.6.0");
  assertEquals(peer.commands.some((line) => line.startsWith("XCLIENT")), false);
});

Deno.test("without XCLIENT on offer the message goes as it always does", async () => {
  await using peer = startPeer();
  await using target = testTarget({});
  assertEquals(await deliver(target, peer, ALICE), "relayed 2.6.0");
  assertEquals(peer.commands[1], "MAIL FROM:<sender@client.test> SIZE=36");
});

Deno.test("a server that is not asked for it is told nothing, though it offers XCLIENT", async () => {
  await using peer = proxied();
  await using target = testTarget({});
  const hop = smarthostHop({ port: peer.port });
  await target.deliver(testRequest({ hop, recipients: ["a@example.test"], envelope: { session: ALICE } }));
  assertEquals(peer.commands[1], "MAIL FROM:<sender@client.test> SIZE=36");
});

for (const [reply, expected] of [["550 5.7.0 You?", "delayed 4.7.0"], ["421 4.3.0 Bye", "delayed 4.3.0"]] as const) {
  Deno.test(`a server that refuses XCLIENT with ${reply} gets nothing: it would take the message for ours`, async () => {
    await using peer = proxied({ replies: { xclient: reply } });
    await using target = testTarget({});
    assertEquals(await deliver(target, peer, ALICE), expected);
    assertEquals(peer.commands.some((line) => line.startsWith("MAIL")), false);
  });
}

Deno.test("an LMTP server is told the client too", async () => {
  await using peer = proxied({ protocol: "lmtp" });
  await using target = testTarget({});
  const hop = smarthostHop({ scheme: "lmtp", port: peer.port, isToldClient: true });
  const request = testRequest({ hop, recipients: ["a@example.test"], envelope: { session: ALICE } });
  assertEquals((await target.deliver(request))[0]?.action, "delivered");
  assertEquals(peer.commands.slice(0, 3), ["LHLO client.test", TOLD, "LHLO laptop.example"]);
});
