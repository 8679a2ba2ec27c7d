import { assertEquals } from "@std/assert";
import type { RemoteTarget } from "../../../../lib/delivery/remote/remote_target.ts";
import { type FakeRecords, FakeResolver } from "../../../support/fake_resolver.ts";
import { mxHop, testRequest, testTarget } from "../../../support/remote_delivery.ts";
import { readTestPem, type ScriptedPeer, startPeer } from "../../../support/scripted_peer.ts";

const mx = (...hosts: string[]): FakeRecords => ({
  MX: hosts.map((host) => {
    const [preference, exchange = ""] = host.split(" ");
    return { preference: Number(preference), exchange };
  }),
});
const ADDRESSES = { "mx.test": { A: ["127.0.0.1"] }, "other.test": { A: ["127.0.0.2"] } };

/** Delivers one message for each domain, one after the other, and tells the actions. */
async function deliver(target: RemoteTarget, ...domains: string[]): Promise<string[]> {
  const actions: string[] = [];
  for (const domain of domains) {
    const [outcome] = await target.deliver(testRequest({ hop: mxHop(domain), recipients: [`a@${domain}`] }));
    actions.push(`${outcome?.action} by ${outcome?.remoteMta}`);
  }
  return actions;
}

function connections(...peers: ScriptedPeer[]): number[] {
  return peers.map(({ connections }) => connections);
}

Deno.test("domains with the same MX host share its connection", async () => {
  await using peer = startPeer();
  const zone = { ...ADDRESSES, "a.test": mx("10 mx.test"), "b.test": mx("5 mx.test"), "c.test": mx("1 mx.test") };
  await using target = testTarget(zone, { mxPort: peer.port });
  assertEquals(await deliver(target, "a.test", "b.test", "c.test", "a.test"), Array(4).fill("relayed by mx.test"));
  assertEquals(connections(peer), [1]);
});

Deno.test("any of several equal hosts will do", async () => {
  await using peer = startPeer();
  await using other = startPeer({ host: "127.0.0.2", port: peer.port });
  const zone = { ...ADDRESSES, "a.test": mx("10 mx.test"), "b.test": mx("10 other.test", "10 mx.test") };
  await using target = testTarget(zone, { mxPort: peer.port });
  assertEquals(await deliver(target, "a.test", "b.test"), ["relayed by mx.test", "relayed by mx.test"]);
  assertEquals(connections(peer, other), [1, 0]);
});

Deno.test("a connection to a host that another domain likes less is not used for it", async () => {
  await using peer = startPeer();
  await using other = startPeer({ host: "127.0.0.2", port: peer.port });
  const zone = { ...ADDRESSES, "a.test": mx("10 mx.test"), "b.test": mx("10 other.test", "20 mx.test") };
  await using target = testTarget(zone, { mxPort: peer.port });
  assertEquals(await deliver(target, "a.test", "b.test"), ["relayed by mx.test", "relayed by other.test"]);
  assertEquals(connections(peer, other), [1, 1]);
});

Deno.test("a message that demands another use of TLS gets a connection of its own", async () => {
  await using peer = startPeer({ tls: "starttls", extensions: ["REQUIRETLS"] });
  const zone = { ...ADDRESSES, "a.test": { ...mx("10 mx.test"), isSecure: true } };
  const options = { mxPort: peer.port, caCertificates: [readTestPem("ca.pem")] };
  await using target = testTarget(zone, options);
  const request = { hop: mxHop("a.test"), recipients: ["a@a.test"] };
  for (const envelope of [{}, { requireTls: true as const }, {}, { requireTls: true as const }]) {
    assertEquals((await target.deliver(testRequest({ ...request, envelope })))[0]?.action, "relayed");
  }
  assertEquals(connections(peer), [2]);
});

Deno.test("a shared connection that the peer closed is replaced at once", async () => {
  await using peer = startPeer({
    replies: { mail: (_, talk) => talk.number === 1 && talk.transactions > 0 ? "drop" : undefined },
  });
  const zone = { ...ADDRESSES, "a.test": mx("10 mx.test"), "b.test": mx("10 mx.test") };
  await using target = testTarget(zone, { mxPort: peer.port });
  assertEquals(await deliver(target, "a.test", "b.test"), ["relayed by mx.test", "relayed by mx.test"]);
  assertEquals(connections(peer), [2]);
});

Deno.test("a host that puts a recipient off over a shared connection is not asked again in the same attempt", async () => {
  await using peer = startPeer({
    replies: { rcpt: (line) => line.includes("@b.test") ? "450 4.2.0 Grey" : undefined },
  });
  await using other = startPeer({ host: "127.0.0.2", port: peer.port });
  const zone = { ...ADDRESSES, "a.test": mx("10 mx.test"), "b.test": mx("10 mx.test", "20 other.test") };
  await using target = testTarget(zone, { mxPort: peer.port });
  assertEquals(await deliver(target, "a.test", "b.test"), ["relayed by mx.test", "relayed by other.test"]);
  assertEquals([connections(peer, other), peer.commands.filter((line) => line.includes("@b.test")).length], [
    [1, 1],
    1,
  ]);
});

Deno.test("a connection carries the number of messages that is allowed, and then another one is made", async () => {
  await using peer = startPeer();
  const zone = { ...ADDRESSES, "a.test": mx("10 mx.test") };
  await using target = testTarget(zone, { mxPort: peer.port, pool: { maxTransactions: 2 } });
  await deliver(target, "a.test", "a.test", "a.test", "a.test", "a.test");
  assertEquals(peer.messages.map(({ connection }) => connection), [1, 1, 2, 2, 3]);
});

Deno.test("a shutdown during the lookup leaves kept connections alone", async () => {
  await using peer = startPeer();
  const zone = { ...ADDRESSES, "a.test": mx("10 mx.test"), "b.test": mx("10 mx.test") };
  const resolver = new FakeResolver(zone);
  await using target = testTarget({}, { mxPort: peer.port, resolver });
  await deliver(target, "a.test");
  const stop = new AbortController();
  const lookup = resolver.lookup.bind(resolver);
  resolver.lookup = (name, type) => (stop.abort(), lookup(name, type));
  const request = testRequest({ hop: mxHop("b.test"), recipients: ["a@b.test"], signal: stop.signal });
  assertEquals((await target.deliver(request))[0]?.status, "4.3.2");
  assertEquals(peer.messages.length, 1);
});
