import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Outcome } from "../../../../lib/mail/outcome.ts";
import { mxHop, smarthostHop, testRequest, testTarget } from "../../../support/remote_delivery.ts";
import type { PeerConversation } from "../../../support/scripted_peer_conversation.ts";
import { startPeer } from "../../../support/scripted_peer.ts";

const HOP = mxHop("example.test");
const ZONE = {
  "example.test": { MX: [{ preference: 10, exchange: "mx1.test" }, { preference: 20, exchange: "mx2.test" }] },
  "mx1.test": { A: ["127.0.0.1"] },
  "mx2.test": { A: ["127.0.0.2"] },
};
const TOO_MANY = "452 4.5.3 Too many recipients";

function recipients(count: number): string[] {
  return Array.from({ length: count }, (_, number) => `r${number}@example.test`);
}

/** Accepts so many recipients in one transaction. */
function atMost(count: number): (line: string, talk: PeerConversation) => string | undefined {
  return (_, talk) => talk.recipients.length >= count ? TOO_MANY : undefined;
}

function summary(outcomes: readonly Outcome[]): string[] {
  return outcomes.map(({ action, status }) => `${action} ${status}`);
}

for (const extensions of [["PIPELINING"], []]) {
  const how = extensions.length > 0 ? "with" : "without";

  Deno.test(`452 after some recipients: the rest follows on the same connection, ${how} PIPELINING`, async () => {
    await using peer = startPeer({ extensions, replies: { rcpt: atMost(3) } });
    await using target = testTarget(ZONE, { mxPort: peer.port });
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: recipients(10) }));
    assertEquals(new Set(summary(outcomes)), new Set(["relayed 2.6.0"]));
    assertEquals(peer.messages.map(({ recipients }) => recipients.length), [3, 3, 3, 1]);
    assertEquals(peer.connections, 1);
  });

  Deno.test(`452 to every recipient is a transient failure, and is not asked for again, ${how} PIPELINING`, async () => {
    await using peer = startPeer({ extensions, replies: { rcpt: TOO_MANY } });
    await using target = testTarget({ ...ZONE, "mx2.test": {} }, { mxPort: peer.port });
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: recipients(3) }));
    assertEquals(summary(outcomes), Array(3).fill("delayed 4.5.3"));
    assertEquals(outcomes[0]?.text, TOO_MANY);
    assertEquals(peer.commands.filter((line) => line.startsWith("MAIL")).length, 1);
  });

  for (const [reply, times] of [["452 4.5.3 Too many recipients", 2], ["452 4.2.2 Mailbox full", 1]] as const) {
    Deno.test(`${reply} to one recipient, however often, ends with that recipient, ${how} PIPELINING`, async () => {
      const rcpt = (line: string): string | undefined => line.includes("<full@") ? reply : undefined;
      await using peer = startPeer({ extensions, replies: { rcpt } });
      await using target = testTarget({ ...ZONE, "mx2.test": {} }, { mxPort: peer.port });
      const list = ["full@example.test", ...recipients(2)];
      assertEquals(summary(await target.deliver(testRequest({ hop: HOP, recipients: list }))), [
        `delayed ${reply.slice(4, 9)}`,
        "relayed 2.6.0",
        "relayed 2.6.0",
      ]);
      assertEquals(peer.commands.filter((line) => line.includes("<full@")).length, times);
    });
  }

  Deno.test(`452 after some recipients, and no message taken: nothing follows, ${how} PIPELINING`, async () => {
    await using peer = startPeer({ extensions, replies: { rcpt: atMost(2), dot: "451 4.3.0 Not now" } });
    await using target = testTarget({ ...ZONE, "mx2.test": {} }, { mxPort: peer.port });
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: recipients(4) }));
    assertEquals(summary(outcomes), ["delayed 4.3.0", "delayed 4.3.0", "delayed 4.5.3", "delayed 4.5.3"]);
    assertEquals(peer.commands.filter((line) => line.startsWith("MAIL")).length, 1);
  });

  Deno.test(`LMTP: a connection that ends between two verdicts keeps the first, ${how} PIPELINING`, async () => {
    let verdicts = 0;
    await using peer = startPeer({
      protocol: "lmtp",
      extensions,
      replies: { dot: (line) => line === "" || ++verdicts > 1 ? "drop" : undefined },
    });
    await using target = testTarget({});
    const hop = smarthostHop({ scheme: "lmtp", port: peer.port });
    const outcomes = await target.deliver(testRequest({ hop, recipients: recipients(3) }));
    assertEquals(summary(outcomes), ["delivered 2.6.0", "delayed 4.4.2", "delayed 4.4.2"]);
    assertStringIncludes(outcomes[1]?.text ?? "", "while waiting for the reply to the end of data");
    assertEquals(outcomes.map(({ destination }) => destination), [undefined, undefined, undefined]);
  });

  Deno.test(`LMTP: after more verdicts than recipients the connection is not used again, ${how} PIPELINING`, async () => {
    await using peer = startPeer({
      protocol: "lmtp",
      extensions,
      replies: { dot: "250 2.0.0 Yes\r\n550 5.0.0 And another one" },
    });
    await using target = testTarget({});
    const hop = smarthostHop({ scheme: "lmtp", port: peer.port });
    for (let count = 0; count < 2; count++) {
      const outcomes = await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }));
      assertEquals(summary(outcomes), ["delivered 2.0.0"]);
    }
    assertEquals(peer.connections, 2);
  });

  Deno.test(`LMTP: 452 after some recipients is followed up, ${how} PIPELINING`, async () => {
    await using peer = startPeer({ protocol: "lmtp", extensions, replies: { rcpt: atMost(2) } });
    await using target = testTarget({});
    const hop = smarthostHop({ scheme: "lmtp", port: peer.port });
    const outcomes = await target.deliver(testRequest({ hop, recipients: recipients(5) }));
    assertEquals(new Set(summary(outcomes)), new Set(["delivered 2.6.0"]));
    assertEquals(peer.messages.map(({ recipients }) => recipients.length), [2, 2, 1]);
  });

  Deno.test(`LMTP: a server that refuses all recipients is asked for nothing more, ${how} PIPELINING`, async () => {
    await using peer = startPeer({ protocol: "lmtp", extensions, replies: { rcpt: "550 5.1.1 Nobody" } });
    await using target = testTarget({});
    const hop = smarthostHop({ scheme: "lmtp", port: peer.port });
    for (let count = 0; count < 2; count++) {
      const outcomes = await target.deliver(testRequest({ hop, recipients: recipients(2) }));
      assertEquals(summary(outcomes), ["failed 5.1.1", "failed 5.1.1"]);
    }
    assertEquals([peer.connections, peer.messages.length], [1, 0]);
  });
}

Deno.test("LMTP over a Unix socket: verdicts, a kept connection, and a server that is away", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const socketPath = `${folder}/lmtp.sock`;
    const hop = smarthostHop({ scheme: "lmtp", host: "", socketPath });
    await using target = testTarget({});
    const list = ["a@example.test", "dot-452@example.test", "reply-550@example.test"];
    {
      await using peer = startPeer({ protocol: "lmtp", socketPath });
      for (let count = 0; count < 2; count++) {
        const outcomes = await target.deliver(testRequest({ hop, recipients: list }));
        assertEquals(summary(outcomes), ["delivered 2.6.0", "delayed 4.3.0", "failed 5.2.0"]);
      }
      assertEquals(peer.connections, 1);
    }
    await Deno.remove(socketPath).catch(() => {});
    const [outcome] = await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }));
    assertEquals([outcome?.action, outcome?.status, outcome?.destination], ["delayed", "4.4.1", "down"]);
    assertEquals(outcome?.text, `Cannot connect to localhost (unix:${socketPath}): no such socket`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
