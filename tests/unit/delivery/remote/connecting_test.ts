import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Outcome } from "../../../../lib/mail/outcome.ts";
import type { FakeRecords } from "../../../support/fake_resolver.ts";
import { mxHop, TEST_LIMITS, testRequest, testTarget } from "../../../support/remote_delivery.ts";
import { type PeerAnswer, type PeerPoint, startPeer } from "../../../support/scripted_peer.ts";

const HOP = mxHop("example.test");
const ONE = { "example.test": { MX: [{ preference: 10, exchange: "mx1.test" }] } };
const TWO = {
  "example.test": { MX: [{ preference: 10, exchange: "mx1.test" }, { preference: 20, exchange: "mx2.test" }] },
};

function tell({ action, status, destination }: Outcome): string {
  return [action, status, ...(destination === undefined ? [] : [destination])].join(" ");
}

/** A port of loopback on which nobody listens. */
async function closedPort(): Promise<number> {
  const peer = startPeer();
  const { port } = peer;
  await peer[Symbol.asyncDispose]();
  return port;
}

Deno.test("a host that takes connections over IPv4 only gets the message at once, also where it has IPv6 addresses", async () => {
  await using peer = startPeer();
  const zone = { ...ONE, "mx1.test": { AAAA: ["::1"], A: ["127.0.0.1"] } };
  await using target = testTarget(zone, { mxPort: peer.port });
  const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  assertEquals([outcome?.action, outcome?.remoteAddress], ["relayed", `127.0.0.1:${peer.port}`]);
});

Deno.test("a host with both kinds of addresses is reached over IPv6 first", async () => {
  await using peer = startPeer({ host: "::1" });
  await using second = startPeer({ port: peer.port });
  const zone = { ...ONE, "mx1.test": { AAAA: ["::1"], A: ["127.0.0.1"] } };
  await using target = testTarget(zone, { mxPort: peer.port });
  const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  assertEquals([outcome?.remoteAddress, second.connections], [`[::1]:${peer.port}`, 0]);
});

Deno.test("a host whose first address refuses the session is asked at its next one", async () => {
  await using first = startPeer({ replies: { greeting: "554 5.7.1 Not you" } });
  await using second = startPeer({ host: "127.0.0.2", port: first.port });
  const zone = { ...ONE, "mx1.test": { A: ["127.0.0.1", "127.0.0.2"] } };
  await using target = testTarget(zone, { mxPort: first.port });
  const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  assertEquals([outcome?.action, first.connections, second.messages.length], ["relayed", 1, 1]);
});

Deno.test("a host with ten dead addresses leaves tries for the next one", async () => {
  await using peer = startPeer({ host: "127.0.0.99" });
  const dead = Array.from({ length: 10 }, (_, number) => `127.0.1.${number + 1}`);
  const zone = { ...TWO, "mx1.test": { A: dead }, "mx2.test": { A: ["127.0.0.99"] } };
  await using target = testTarget(zone, { mxPort: peer.port });
  const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  assertEquals([outcome?.action, outcome?.remoteMta], ["relayed", "mx2.test"]);
});

Deno.test("one attempt tries ten addresses in all", async () => {
  const names = ["a", "b", "c", "d", "e"];
  const zone: Record<string, FakeRecords> = {
    "example.test": { MX: names.map((name, at) => ({ preference: at, exchange: `${name}.test` })) },
  };
  const peers = [];
  const first = startPeer({ host: "127.0.2.1", replies: { greeting: "421 4.7.0 Later" } });
  peers.push(first);
  for (const [at, name] of names.entries()) {
    const A = [1, 2, 3, 4, 5].map((number) => `127.0.2.${5 * at + number}`);
    zone[`${name}.test`] = { A };
    for (const host of A) {
      if (host !== "127.0.2.1") peers.push(startPeer({ host, port: first.port, replies: first.options.replies ?? {} }));
    }
  }
  await using target = testTarget(zone, { mxPort: first.port });
  const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  assertEquals(outcome?.text, "421 4.7.0 Later");
  assertEquals(peers.reduce((sum, { connections }) => sum + connections, 0), 10);
  // Four of the first, four of the second, two of the third.
  assertEquals(peers.filter(({ connections }) => connections > 0).map(({ host }) => host), [
    ...["127.0.2.1", "127.0.2.2", "127.0.2.3", "127.0.2.4", "127.0.2.6", "127.0.2.7", "127.0.2.8", "127.0.2.9"],
    ...["127.0.2.11", "127.0.2.12"],
  ]);
  for (const peer of peers) await peer[Symbol.asyncDispose]();
});

const FAULTS: readonly [what: string, replies: Partial<Record<PeerPoint, PeerAnswer>>, expected: string][] = [
  ["is closed before its greeting", { greeting: "drop" }, "delayed 4.4.2 down"],
  ["never greets", { greeting: "silent" }, "delayed 4.4.2 down"],
  ["greets with rubbish", { greeting: "\u0000 rubbish" }, "delayed 4.5.0"],
  ["greets with 421", { greeting: "421 4.7.0 Too many" }, "delayed 4.7.0 pushback"],
  ["greets with 454", { greeting: "454 4.7.0 Not now" }, "delayed 4.7.0 pushback"],
  ["greets with 554", { greeting: "554 5.7.1 Not you" }, "delayed 4.7.1 pushback"],
  ["answers EHLO with 421", { ehlo: "421 4.7.0 Slow down" }, "delayed 4.7.0 pushback"],
  ["answers EHLO with 450", { ehlo: "450 4.7.0 Slow down" }, "delayed 4.7.0 pushback"],
  ["answers EHLO and HELO with 550", { ehlo: "550 5.7.1 No", helo: "550 5.7.1 No" }, "delayed 4.7.1"],
  ["is closed after EHLO", { ehlo: "drop" }, "delayed 4.4.2"],
  ["answers MAIL with 421", { mail: "421 4.7.0 Slow down" }, "delayed 4.7.0 pushback"],
  ["answers MAIL with 451", { mail: "451 4.3.0 Hm" }, "delayed 4.3.0"],
  ["answers RCPT with 421", { rcpt: "421 4.7.0 Slow down" }, "delayed 4.7.0 pushback"],
  ["answers RCPT with 450", { rcpt: "450 4.2.0 Grey" }, "delayed 4.2.0"],
  ["is closed after RCPT", { rcpt: "drop" }, "delayed 4.4.2"],
  ["answers DATA with 421", { data: "421 4.7.0 Slow down" }, "delayed 4.7.0 pushback"],
  ["answers the final dot with 421", { dot: "421 4.7.0 Slow down" }, "delayed 4.7.0 pushback"],
  ["answers the final dot with 451", { dot: "451 4.7.0 Hm" }, "delayed 4.7.0"],
  ["says 421 and closes", { rcpt: "421 4.7.0 Slow down", data: "drop" }, "delayed 4.7.0 pushback"],
];

for (const [what, replies, expected] of FAULTS) {
  Deno.test(`a destination whose only host ${what}: ${expected}`, async () => {
    await using peer = startPeer({ replies });
    const limits = { ...TEST_LIMITS, greetingMs: 100 };
    await using target = testTarget({ ...ONE, "mx1.test": { A: ["127.0.0.1"] } }, { mxPort: peer.port, limits });
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
    assertEquals(outcomes.map(tell), [expected]);
  });

  Deno.test(`after a first host that ${what} the next one takes the message`, async () => {
    await using first = startPeer({ replies });
    await using second = startPeer({ host: "127.0.0.2", port: first.port });
    const zone = { ...TWO, "mx1.test": { A: ["127.0.0.1"] }, "mx2.test": { A: ["127.0.0.2"] } };
    const limits = { ...TEST_LIMITS, greetingMs: 100 };
    await using target = testTarget(zone, { mxPort: first.port, limits });
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
    assertEquals([outcomes.map(tell), second.messages.length], [["relayed 2.6.0"], 1]);
  });
}

Deno.test("what our own network cannot reach says nothing about the destination: only what is silent makes it down", async () => {
  const port = await closedPort();
  // TCP to a multicast address fails as it does without any route: ENETUNREACH.
  for (
    const [A, expected] of [[["224.0.0.1"], "delayed 4.3.5"], [
      ["224.0.0.1", "127.0.0.1"],
      "delayed 4.4.1 down",
    ]] as const
  ) {
    await using target = testTarget({ ...ONE, "mx1.test": { A } }, { mxPort: port });
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
    assertEquals(outcomes.map(tell), [expected]);
  }
});

Deno.test("a destination none of whose hosts takes connections is down, for every recipient", async () => {
  const zone = { ...TWO, "mx1.test": { A: ["127.0.0.1"] }, "mx2.test": { A: ["127.0.0.2"] } };
  await using target = testTarget(zone, { mxPort: await closedPort() });
  const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test", "b@example.test"] }));
  assertEquals(outcomes.map(tell), ["delayed 4.4.1 down", "delayed 4.4.1 down"]);
});

Deno.test("a destination is not down where one host speaks, whatever it says", async () => {
  const zone = { ...TWO, "mx1.test": { A: ["127.0.0.1"] }, "mx2.test": { A: ["127.0.0.2"] } };
  await using second = startPeer({ host: "127.0.0.2", replies: { ehlo: "drop" } });
  await using target = testTarget(zone, { mxPort: second.port });
  const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  assertEquals(outcomes.map(tell), ["delayed 4.4.2"]);
});

Deno.test("a first host that wants less of us is remembered though the second does not answer", async () => {
  const zone = { ...TWO, "mx1.test": { A: ["127.0.0.1"] }, "mx2.test": { A: ["127.0.0.2"] } };
  await using first = startPeer({ replies: { greeting: "421 4.7.0 Too many" } });
  await using target = testTarget(zone, { mxPort: first.port });
  const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  assertEquals(outcomes.map(tell), ["delayed 4.7.0 pushback"]);
});

Deno.test("a DNS failure says nothing about the destination, nor does a shutdown", async () => {
  await using target = testTarget({ "example.test": { failing: ["MX"] } });
  const request = testRequest({ hop: HOP, recipients: ["a@example.test"] });
  assertEquals((await target.deliver(request)).map(tell), ["delayed 4.4.3"]);
  const stop = new AbortController();
  await using peer = startPeer({ replies: { greeting: () => (stop.abort(), "silent") } });
  await using stopped = testTarget({ ...ONE, "mx1.test": { A: ["127.0.0.1"] } }, { mxPort: peer.port });
  const outcomes = await stopped.deliver(
    testRequest({ hop: HOP, recipients: ["a@example.test"], signal: stop.signal }),
  );
  assertEquals(outcomes.map(tell), ["delayed 4.3.2"]);
});

Deno.test("a kept connection that died does not hide that nobody answers any more", async () => {
  const peer = startPeer();
  await using target = testTarget({ ...ONE, "mx1.test": { A: ["127.0.0.1"] } }, { mxPort: peer.port });
  await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  await peer[Symbol.asyncDispose]();
  const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  assertEquals(outcome === undefined ? "" : tell(outcome), "delayed 4.4.1 down");
  assertStringIncludes(outcome?.text ?? "", "connection refused");
});
