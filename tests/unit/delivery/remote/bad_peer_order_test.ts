/** Peers that say too much or too little, speak when they are not asked, stop taking more, or part badly. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { LogFields } from "../../../../lib/log/logger.ts";
import type { Content } from "../../../../lib/mail/content.ts";
import type { Outcome } from "../../../../lib/mail/outcome.ts";
import { TIME_LIMITS } from "../../../../lib/smtp/client/time_limits.ts";
import { badPeer } from "../../../support/bad_peer.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { mxHop, smarthostHop, testRequest, testTarget } from "../../../support/remote_delivery.ts";
import { startPeer } from "../../../support/scripted_peer.ts";
import { assertNobodyTwice, turns, untilDone } from "../../../support/stalled_peer.ts";

const HOP = mxHop("example.test");
const ONE = {
  "example.test": { MX: [{ preference: 10, exchange: "mx1.test" }] },
  "mx1.test": { A: ["127.0.0.1"] },
};
const { greetingMs, dotMs } = TIME_LIMITS;
const GOOD = "good@example.test";
const CLOSED = "delayed 4.4.2";
const GARBLED = "delayed 4.5.0";

function summary({ action, status }: Outcome): string {
  return `${action} ${status}`;
}

for (const extensions of [["PIPELINING"], []]) {
  const how = extensions.length > 0 ? "with" : "without";
  for (const order of [["rcpt-early", "rcpt-550", "good"], ["rcpt-early", "good", "rcpt-550"]]) {
    Deno.test(`a reply too many fails nobody for the refusal of another (${order.join(", ")}), ${how} PIPELINING`, async () => {
      await using peer = startPeer({ extensions });
      await using target = testTarget(ONE, { mxPort: peer.port });
      const recipients = order.map((each) => `${each}@example.test`);
      const outcomes = await target.deliver(testRequest({ hop: HOP, recipients }));
      assertEquals(outcomes.map(summary), [GARBLED, GARBLED, GARBLED]);
      assertEquals(peer.messages.length, 0);
      assert(await peer.haveEnded(), "the connection is closed");
    });
  }
}

/** Too much for the buffers of both sides: the peer speaks in the middle of it. */
const LARGE: Content = {
  octets: 16 * 1024 * 1024,
  async *chunks(): AsyncGenerator<Uint8Array> {
    const line = new TextEncoder().encode("x".repeat(62) + "\r\n");
    const piece = new Uint8Array(64 * 1024);
    for (let at = 0; at < piece.length; at += line.length) piece.set(line, at);
    for (let at = 0; at < this.octets; at += piece.length) yield await Promise.resolve(piece);
  },
};

for (
  const [fault, expected, text] of [
    ["content-552", "failed 5.3.0", /^552 5\.3\.0 As asked$/],
    ["content-451", "delayed 4.3.0", /^451 4\.3\.0 As asked$/],
    ["content-421", "delayed 4.3.0", /^421 4\.3\.0 As asked$/],
    ["content-drop", CLOSED, /while sending the message: connection (closed|reset) by peer$/],
    ["content-250", GARBLED, /while sending the message: Peer spoke before the end of the content$/],
  ] as const
) {
  Deno.test(`${fault} in the middle of the content: ${expected}, and the content is not ended`, async () => {
    await using peer = startPeer({ extensions: [] });
    await using target = testTarget(ONE, { mxPort: peer.port });
    const recipients = [`${fault}@example.test`];
    const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients, content: LARGE }));
    assert(outcome);
    assertEquals(summary(outcome), expected, outcome.text);
    assertMatch(outcome.text, text);
    assertEquals(peer.messages.length, 0);
    assert(await peer.haveEnded(), "the connection is closed");
  });
}

Deno.test("a peer that reads nothing of the content runs into the time limit of a block", async () => {
  const clock = new FakeClock();
  await using peer = startPeer({ extensions: [], replies: { data: { octets: "354 Go ahead\r\n", then: "deaf" } } });
  await using target = testTarget(ONE, { mxPort: peer.port, clock, limits: TIME_LIMITS });
  const work = target.deliver(testRequest({ hop: HOP, recipients: [GOOD], content: LARGE }));
  const [outcome] = await untilDone(work, peer, clock, TIME_LIMITS.blockMs);
  assertEquals(outcome?.status, "4.4.2");
  assertMatch(outcome?.text ?? "", /while sending the message: time limit exceeded$/);
});

for (const fault of ["rset-550", "rset-421", "rset-drop", "rset-http", "rset-wrong"]) {
  Deno.test(`${fault}: the next message goes over a new connection at once`, async () => {
    await using peer = startPeer(badPeer(fault));
    await using target = testTarget(ONE, { mxPort: peer.port });
    await target.deliver(testRequest({ hop: HOP, recipients: ["reply-550@example.test"] }));
    const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: [GOOD] }));
    assertEquals([outcome?.action, peer.connections, peer.messages.length], ["relayed", 2, 1], outcome?.text);
  });
}

for (const fault of ["quit-drop", "quit-550", "quit-silent", "quit-trickle", "quit-endless", "quit-http"]) {
  Deno.test(`${fault} harms nobody, and is not waited for longer than a second`, async () => {
    const clock = new FakeClock();
    await using peer = startPeer(badPeer(fault));
    const target = testTarget(ONE, { mxPort: peer.port, clock, limits: TIME_LIMITS });
    const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: [GOOD] }));
    assertEquals(outcome?.action, "relayed");
    await untilDone(target[Symbol.asyncDispose](), peer, clock, TIME_LIMITS.quitMs);
    assert(await peer.haveEnded());
  });
}

Deno.test("a peer that takes a hundred connections and greets none gives all of them up at one time limit", async () => {
  const clock = new FakeClock();
  await using peer = startPeer(badPeer("greeting-silent"));
  await using target = testTarget(ONE, { mxPort: peer.port, clock, limits: TIME_LIMITS });
  const request = testRequest({ hop: HOP, recipients: [GOOD] });
  const work = Promise.all(Array.from({ length: 100 }, () => target.deliver(request)));
  await peer.stalled(100);
  await turns();
  await clock.advance(greetingMs);
  assertEquals(new Set((await work).flat().map(summary)), new Set([CLOSED]));
  assertEquals(peer.connections, 100);
  assert(await peer.haveEnded());
});

for (const maxTransactions of [1, 2]) {
  Deno.test(`a peer that closes after ${maxTransactions} transaction(s) gets seven messages, each once`, async () => {
    await using peer = startPeer({ maxTransactions });
    await using target = testTarget(ONE, { mxPort: peer.port });
    for (let number = 1; number <= 7; number++) {
      const recipients = [`r${number}@example.test`];
      const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients }));
      assertEquals(outcome?.action, "relayed", outcome?.text);
    }
    assertNobodyTwice([peer], false);
    assertEquals([peer.messages.length, peer.connections], [7, Math.ceil(7 / maxTransactions)]);
  });
}

for (const extensions of [["PIPELINING"], []]) {
  for (const code of ["452 4.5.3", "552 5.5.3"]) {
    const how = extensions.length > 0 ? "with" : "without";
    Deno.test(`${code} after ten recipients: all get the message over one connection, ${how} PIPELINING`, async () => {
      const replies = {
        rcpt: (_: string, talk: { readonly recipients: readonly string[] }): string | undefined =>
          talk.recipients.length >= 10 ? `${code} Too many recipients` : undefined,
      };
      await using peer = startPeer({ extensions, replies });
      await using target = testTarget(ONE, { mxPort: peer.port });
      const recipients = Array.from({ length: 35 }, (_, number) => `r${number}@example.test`);
      const outcomes = await target.deliver(testRequest({ hop: HOP, recipients }));
      assertEquals(new Set(outcomes.map(summary)), new Set(["relayed 2.6.0"]));
      assertEquals(peer.messages.map((message) => message.recipients.length), [10, 10, 10, 5]);
      assertNobodyTwice([peer], false);
      assertEquals(peer.connections, 1);
      // Once it is known how many are taken, no more are offered.
      const asked = peer.commands.filter((line) => line.startsWith("RCPT")).length;
      assertEquals(asked, 35 + 25);
    });
  }
}

Deno.test("LMTP: each recipient has the verdict that the peer gave before it was lost", async () => {
  await using peer = startPeer({ protocol: "lmtp" });
  await using target = testTarget({});
  const hop = smarthostHop({ scheme: "lmtp", port: peer.port });
  const recipients = ["good", "dot-554", "dot-451", "dot-drop", "after"].map((each) => `${each}@example.test`);
  const outcomes = await target.deliver(testRequest({ hop, recipients }));
  assertEquals(outcomes.map(summary), ["delivered 2.6.0", "failed 5.3.0", "delayed 4.3.0", CLOSED, CLOSED]);
  assertEquals(peer.messages.length, 1);
});

Deno.test("LMTP: a peer that gives too few verdicts delays only those without one", async () => {
  const clock = new FakeClock();
  await using peer = startPeer({ protocol: "lmtp" });
  await using target = testTarget({}, { clock, limits: TIME_LIMITS });
  const hop = smarthostHop({ scheme: "lmtp", port: peer.port });
  const recipients = ["good@example.test", "dot-silent@example.test"];
  const outcomes = await untilDone(target.deliver(testRequest({ hop, recipients })), peer, clock, dotMs);
  assertEquals(outcomes.map(summary), ["delivered 2.6.0", CLOSED]);
});

Deno.test("the log says what a host answered that put recipients off, where the next one takes them", async () => {
  await using first = startPeer();
  await using _second = startPeer({
    host: "127.0.0.2",
    port: first.port,
    replies: { rcpt: "250 2.1.5 Fine", data: "354 Go", dot: "250 2.6.0 Yes" },
  });
  const lines: string[] = [];
  const log = (message: string, fields: LogFields = {}): void => {
    lines.push(message.replace(/\{(\w+)\}/g, (_, name) => String(fields[name])));
  };
  const logger = { debug: log, info: log, warning: log, error: log };
  const zone = {
    ...ONE,
    "example.test": { MX: [{ preference: 20, exchange: "mx2.test" }, { preference: 10, exchange: "mx1.test" }] },
    "mx2.test": { A: ["127.0.0.2"] },
  };
  await using target = testTarget(zone, { mxPort: first.port, logger });
  const address = `127.0.0.1:${first.port}`;
  const from = (localParts: readonly string[]): string[] => localParts.map((each) => `${each}@example.test`);
  await target.deliver(testRequest({ hop: HOP, recipients: from(["rcpt-450", "good", "rcpt-451", "rcpt-554"]) }));
  assertEquals(lines.splice(0), [
    `TEST1: mx1.test at ${address} put off rcpt-450@example.test, the next host is asked: 4.3.0 450 4.3.0 As asked`,
    `TEST1: mx1.test at ${address} put off rcpt-451@example.test, the next host is asked: 4.3.0 451 4.3.0 As asked`,
  ]);
  await using other = testTarget(zone, { mxPort: first.port, logger });
  await other.deliver(testRequest({ hop: HOP, recipients: from(["data-drop", "good"]) }));
  assertEquals(lines.length, 1);
  assertMatch(
    lines[0] ?? "",
    /^TEST1: mx1\.test .* put off data-drop@example\.test, good@example\.test, .*: 4\.4\.2 Lost/,
  );
});
