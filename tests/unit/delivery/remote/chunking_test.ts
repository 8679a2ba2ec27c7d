import { assert, assertEquals } from "@std/assert";
import { type Content, memoryContent } from "../../../../lib/mail/content.ts";
import type { Outcome } from "../../../../lib/mail/outcome.ts";
import { mxHop, smarthostHop, testRequest, testTarget } from "../../../support/remote_delivery.ts";
import { type PeerOptions, type ScriptedPeer, startPeer } from "../../../support/scripted_peer.ts";

const HOP = mxHop("example.test");
const MIB = 1024 * 1024;
const HEAD = "X-Trace: 1\r\n";
const ZONE = { "example.test": { MX: [{ preference: 10, exchange: "mx.test" }] }, "mx.test": { A: ["127.0.0.1"] } };

/** Lines that begin with dots, `octets` in all. */
function lines(octets: number): Uint8Array {
  return new TextEncoder().encode("..dots..\r\n".repeat(Math.ceil(octets / 10))).subarray(0, octets);
}

/** As it is read from a file: one buffer for all pieces. */
function fileContent(octets: Uint8Array): Content {
  return {
    octets: octets.length,
    async *chunks(): AsyncGenerator<Uint8Array> {
      const buffer = new Uint8Array(65_536);
      for (let at = 0; at < octets.length; at += buffer.length) {
        const piece = octets.subarray(at, at + buffer.length);
        buffer.set(piece);
        yield await Promise.resolve(buffer.subarray(0, piece.length));
      }
    },
  };
}

function chunkingPeer(options: PeerOptions = {}): ScriptedPeer {
  return startPeer({ extensions: ["PIPELINING", "CHUNKING"], ...options });
}

function bodyCommands({ commands }: ScriptedPeer): string[] {
  return commands.filter((line) => /^(DATA|BDAT|RSET)/.test(line));
}

function summary(outcomes: readonly Outcome[]): string[] {
  return outcomes.map(({ action, status }) => `${action} ${status}`);
}

function received(peer: ScriptedPeer): string {
  return new TextDecoder().decode(peer.messages.at(-1)?.content);
}

for (const extensions of [["PIPELINING", "CHUNKING"], ["CHUNKING"]]) {
  for (const [where, make] of [["from a file", fileContent], ["from memory", memoryContent]] as const) {
    Deno.test(`large content ${where} goes in chunks, octet for octet, offered ${extensions.join(" ")}`, async () => {
      await using peer = startPeer({ extensions });
      await using target = testTarget(ZONE, { mxPort: peer.port });
      const octets = lines(2_200_000);
      const request = testRequest({ hop: HOP, recipients: ["a@example.test"], content: make(octets) });
      assertEquals(summary(await target.deliver(request)), ["relayed 2.6.0"]);
      const rest = octets.length + HEAD.length - 2 * MIB - 2;
      assertEquals(bodyCommands(peer), [`BDAT ${MIB}`, `BDAT ${MIB}`, `BDAT ${rest}`, "BDAT 2 LAST"]);
      assert(received(peer) === HEAD + new TextDecoder().decode(octets));
      assertEquals(summary(await target.deliver(request)), ["relayed 2.6.0"]);
      assertEquals(peer.connections, 1);
    });
  }
}

Deno.test("a last line without CRLF gets one", async () => {
  for (const cut of [1, 2, 3]) {
    await using peer = chunkingPeer();
    await using target = testTarget(ZONE, { mxPort: peer.port });
    const octets = lines(100_000).subarray(0, 100_000 - cut);
    const request = testRequest({ hop: HOP, recipients: ["a@example.test"], content: fileContent(octets) });
    assertEquals(summary(await target.deliver(request)), ["relayed 2.6.0"]);
    assertEquals(bodyCommands(peer).at(-1), "BDAT 4 LAST");
    assert(received(peer) === HEAD + new TextDecoder().decode(octets) + "\r\n");
  }
});

Deno.test("small content, and content for a peer without CHUNKING, goes with DATA", async () => {
  for (const [extensions, octets] of [[["CHUNKING"], 60_000], [["BINARYMIME"], 100_000]] as const) {
    await using peer = startPeer({ extensions });
    await using target = testTarget(ZONE, { mxPort: peer.port });
    const request = testRequest({ hop: HOP, recipients: ["a@example.test"], content: fileContent(lines(octets)) });
    assertEquals(summary(await target.deliver(request)), ["relayed 2.6.0"]);
    assertEquals(bodyCommands(peer), ["DATA"]);
  }
});

for (const [reply, expected] of [["552 5.3.4 Too big", "failed 5.3.4"], ["452 4.3.1 Full", "delayed 4.3.1"]] as const) {
  Deno.test(`a chunk that is refused with ${reply} ends the transaction before all was sent`, async () => {
    let octets = 0;
    await using peer = chunkingPeer({
      replies: { chunk: (_, talk) => (octets = talk.chunkOctets, talk.transactions === 0 ? reply : undefined) },
    });
    await using target = testTarget(ZONE, { mxPort: peer.port });
    const recipients = ["a@example.test", "reply-550@example.test"];
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients, content: fileContent(lines(20 * MIB)) }));
    assertEquals(summary(outcomes), [expected, "failed 5.2.0"]);
    assert(octets <= 3 * MIB, `${octets} octets were sent`);
    // The connection is as good as before.
    const small = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
    assertEquals([summary(small), peer.connections, bodyCommands(peer).at(-2)], [["relayed 2.6.0"], 1, "RSET"]);
  });
}

Deno.test("what a peer says to a chunk before it closes counts, whatever it leaves unanswered", async () => {
  for (
    const [reply, octets, expected] of [
      ["552 5.3.4 Too big", 20 * MIB, "failed 5.3.4"],
      ["552 5.3.4 Too big", 200_000, "failed 5.3.4"],
      ["452 4.3.1 Full", 200_000, "delayed 4.3.1"],
      // It may be BDAT that it does not know.
      ["502 5.5.1 What?", 200_000, "delayed 4.4.2"],
    ] as const
  ) {
    await using peer = chunkingPeer({ replies: { chunk: { octets: `${reply}\r\n`, then: "drop" } } });
    await using target = testTarget(ZONE, { mxPort: peer.port });
    const content = fileContent(lines(octets));
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"], content }));
    assertEquals(summary(outcomes), [expected]);
  }
});

Deno.test("a last chunk that is refused is the verdict", async () => {
  await using peer = chunkingPeer();
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const request = testRequest({ hop: HOP, recipients: ["dot-554@example.test"], content: fileContent(lines(200_000)) });
  assertEquals(summary(await target.deliver(request)), ["failed 5.3.0"]);
});

Deno.test("a peer that offers CHUNKING and does not know BDAT gets DATA at once, and from then on", async () => {
  let asked = 0;
  await using peer = chunkingPeer({
    replies: { chunk: () => (asked++, "502 5.5.1 Command not implemented") },
  });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const recipients = ["reply-550@example.test", "a@example.test"];
  const request = testRequest({ hop: HOP, recipients, content: fileContent(lines(MIB + MIB / 4)) });
  assertEquals(summary(await target.deliver(request)), ["failed 5.2.0", "relayed 2.6.0"]);
  assertEquals([peer.connections, peer.messages.length], [1, 1]);
  const before = asked;
  assertEquals(summary(await target.deliver(request)), ["failed 5.2.0", "relayed 2.6.0"]);
  assertEquals([asked, bodyCommands(peer).at(-1)], [before, "DATA"]);
});

Deno.test("a host at which the connection breaks in the chunks gets DATA at the next attempt", async () => {
  await using peer = chunkingPeer({ replies: { chunk: "drop" } });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const request = testRequest({ hop: HOP, recipients: ["a@example.test"], content: fileContent(lines(200_000)) });
  assertEquals(summary(await target.deliver(request)), ["delayed 4.4.2"]);
  assertEquals(summary(await target.deliver(request)), ["relayed 2.6.0"]);
});

Deno.test("LMTP gives each recipient its verdict after the last chunk", async () => {
  await using peer = chunkingPeer({ protocol: "lmtp" });
  await using target = testTarget({});
  const hop = smarthostHop({ scheme: "lmtp", port: peer.port });
  const recipients = ["a@example.test", "dot-452@example.test", "reply-550@example.test", "dot-550@example.test"];
  const request = testRequest({ hop, recipients, content: fileContent(lines(1_200_000)) });
  assertEquals(summary(await target.deliver(request)), [
    "delivered 2.6.0",
    "delayed 4.3.0",
    "failed 5.2.0",
    "failed 5.3.0",
  ]);
});
