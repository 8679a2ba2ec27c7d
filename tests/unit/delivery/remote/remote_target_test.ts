import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Content } from "../../../../lib/mail/content.ts";
import type { Outcome } from "../../../../lib/mail/outcome.ts";
import { mxHop, smarthostHop, TEST_LIMITS, testRequest, testTarget } from "../../../support/remote_delivery.ts";
import { startPeer } from "../../../support/scripted_peer.ts";

const HOP = mxHop("example.test");
const ZONE = {
  "example.test": { MX: [{ preference: 10, exchange: "mx1.test" }] },
  "mx1.test": { A: ["127.0.0.1"] },
};
const ZONE_OF_TWO = {
  "example.test": { MX: [{ preference: 20, exchange: "mx2.test" }, { preference: 10, exchange: "mx1.test" }] },
  "mx1.test": { A: ["127.0.0.1"] },
  "mx2.test": { A: ["127.0.0.2"] },
};

function summary(outcomes: readonly Outcome[]): string[] {
  return outcomes.map(({ action, status }) => `${action} ${status}`);
}

Deno.test("a message reaches the MX with its trace fields in front, and is relayed", async () => {
  await using peer = startPeer();
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test", "b@example.test"] }));
  assertEquals(outcomes[0], {
    action: "relayed",
    status: "2.6.0",
    text: "250 2.6.0 Taken",
    isRemoteReply: true,
    remoteMta: "mx1.test",
    remoteAddress: `127.0.0.1:${peer.port}`,
    isDsnPassedOn: true,
  });
  assertEquals(outcomes.length, 2);
  assertEquals(peer.contents, ["X-Trace: 1\r\nSubject: test\r\n\r\nHello\r\n"]);
  assertEquals(peer.messages[0]?.recipients, ["TO:<a@example.test>", "TO:<b@example.test>"]);
  assertEquals(peer.messages[0]?.mail, "FROM:<sender@client.test> SIZE=36");
});

Deno.test("with PIPELINING the envelope leaves in one write, and so does the content with its final dot", async () => {
  await using peer = startPeer();
  await using target = testTarget(ZONE, { mxPort: peer.port });
  await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test", "b@example.test"] }));
  const group = peer.reads.find((text) => text.startsWith("MAIL"));
  assert(group?.endsWith("TO:<a@example.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n"), group);
});

Deno.test("without PIPELINING each command waits for its answer", async () => {
  await using peer = startPeer({ extensions: [] });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const outcomes = await target.deliver(
    testRequest({ hop: HOP, recipients: ["a@example.test", "reply-550@example.test"] }),
  );
  assertEquals(summary(outcomes), ["relayed 2.6.0", "failed 5.2.0"]);
  assert(peer.reads.includes("MAIL FROM:<sender@client.test>\r\n"));
  assert(peer.reads.includes("DATA\r\n"));
});

for (const extensions of [["PIPELINING"], []]) {
  const how = extensions.length > 0 ? "with" : "without";
  Deno.test(`recipients that are refused get their own reply, ${how} PIPELINING`, async () => {
    await using peer = startPeer({ extensions });
    await using target = testTarget(ZONE, { mxPort: peer.port });
    const recipients = [
      "reply-450@example.test",
      "good@example.test",
      "reply-550@example.test",
      "reply-552@example.test",
    ];
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients }));
    assertEquals(summary(outcomes), ["delayed 4.2.0", "relayed 2.6.0", "failed 5.2.0", "delayed 4.2.0"]);
    assertEquals(outcomes[2]?.text, "550 5.2.0 As asked");
    assertEquals(peer.messages[0]?.recipients, ["TO:<good@example.test>"]);
  });

  Deno.test(`a kept connection is reset after all recipients were refused, ${how} PIPELINING`, async () => {
    await using peer = startPeer({ extensions });
    await using target = testTarget(ZONE, { mxPort: peer.port });
    await target.deliver(testRequest({ hop: HOP, recipients: ["reply-550@example.test"] }));
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["good@example.test"] }));
    assertEquals(summary(outcomes), ["relayed 2.6.0"]);
    assertEquals(peer.connections, 1);
    assert(peer.commands.includes("RSET"));
  });
}

Deno.test("what the sender asked to hear is passed on to a peer with DSN, and kept from one without", async () => {
  for (const extensions of [["DSN"], []]) {
    await using peer = startPeer({ extensions });
    await using target = testTarget(ZONE, { mxPort: peer.port });
    const recipients = [{ address: "good@example.test", notify: ["success" as const] }];
    const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients }));
    assertEquals(outcome?.isDsnPassedOn ?? false, extensions.length > 0);
    assertEquals(peer.messages[0]?.recipients, [
      `TO:<good@example.test>${extensions.length > 0 ? " NOTIFY=SUCCESS" : ""}`,
    ]);
  }
});

for (const extensions of [["CHUNKING", "BINARYMIME", "PIPELINING"], ["CHUNKING", "BINARYMIME"]]) {
  Deno.test(`binary content arrives octet for octet in one chunk, offered ${extensions.join(" ")}`, async () => {
    await using peer = startPeer({ extensions });
    await using target = testTarget(ZONE, { mxPort: peer.port });
    const octets = Uint8Array.from({ length: 300_000 }, (_, at) => (at * 7) & 0xff);
    const content: Content = {
      octets: octets.length,
      async *chunks(): AsyncGenerator<Uint8Array> {
        // As a file is read: one buffer for all pieces.
        const buffer = new Uint8Array(70_000);
        for (let at = 0; at < octets.length; at += buffer.length) {
          const piece = octets.subarray(at, at + buffer.length);
          buffer.set(piece);
          yield await Promise.resolve(buffer.subarray(0, piece.length));
        }
      },
    };
    const recipients = ["a@example.test", "reply-550@example.test"];
    const request = testRequest({ hop: HOP, recipients, content, envelope: { body: "BINARYMIME" } });
    assertEquals(summary(await target.deliver(request)), ["relayed 2.6.0", "failed 5.2.0"]);
    assertEquals(peer.messages[0]?.content.subarray("X-Trace: 1\r\n".length), octets);
    assertEquals(peer.commands.filter((line) => /^(DATA|BDAT)/.test(line)), ["BDAT 300012 LAST"]);
    const refused = testRequest({ hop: HOP, recipients: ["reply-550@example.test"], envelope: { body: "BINARYMIME" } });
    assertEquals(summary(await target.deliver(refused)), ["failed 5.2.0"]);
    const next = testRequest({ hop: HOP, recipients: ["a@example.test"], envelope: { body: "BINARYMIME" } });
    assertEquals(summary(await target.deliver(next)), ["relayed 2.6.0"]);
    assertEquals(peer.connections, 1);
  });
}

Deno.test("the limits of a peer are kept: recipients and domains of a transaction, transactions of a connection", async () => {
  const extensions = ["PIPELINING", "LIMITS RCPTMAX=3 RCPTDOMAINMAX=2 MAILMAX=2"];
  await using peer = startPeer({ extensions });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const recipients = ["a@x.test", "b@x.test", "c@x.test", "d@x.test", "e@x.test", "f@y.test", "g@z.test"];
  const outcomes = await target.deliver(testRequest({ hop: HOP, recipients }));
  assertEquals(summary(outcomes), recipients.map(() => "relayed 2.6.0"));
  assertEquals(peer.messages.map(({ recipients, connection }) => [recipients.length, connection]), [[3, 1], [3, 1], [
    1,
    2,
  ]]);
});

Deno.test("recipients that a peer with limits puts off are not sent to it again in the same attempt", async () => {
  await using peer = startPeer({ extensions: ["LIMITS RCPTMAX=1 MAILMAX=1"] });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const recipients = ["reply-450@x.test", "a@x.test", "reply-451@x.test", "b@x.test"];
  const outcomes = await target.deliver(testRequest({ hop: HOP, recipients }));
  assertEquals(summary(outcomes), ["delayed 4.2.0", "relayed 2.6.0", "delayed 4.2.0", "relayed 2.6.0"]);
  assertEquals(peer.connections, 4);
});

Deno.test("354 without any recipient is ended with a lone dot and delivers nothing", async () => {
  await using peer = startPeer({ replies: { data: "354 Go ahead anyway" } });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["reply-550@example.test"] }));
  assertEquals(summary(outcomes), ["failed 5.2.0"]);
  assertEquals(peer.contents, [""]);
});

for (
  const [point, recipient, expected] of [
    ["MAIL", "a", "delayed 4.3.1"],
    ["DATA", "a", "delayed 4.3.2"],
    ["the final dot", "dot-451", "delayed 4.3.0"],
    ["the final dot", "dot-554", "failed 5.3.0"],
  ] as const
) {
  Deno.test(`a refusal at ${point} makes ${expected}`, async () => {
    const replies = point === "MAIL" ? { mail: "452 4.3.1 Full" } : point === "DATA" ? { data: "421 4.3.2 Going" } : {};
    await using peer = startPeer({ replies });
    await using target = testTarget(ZONE, { mxPort: peer.port });
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: [`${recipient}@example.test`] }));
    assertEquals(summary(outcomes), [expected]);
    assert(outcomes[0]?.isRemoteReply);
  });
}

for (const point of ["greeting", "ehlo"] as const) {
  Deno.test(`5yz at ${point} is about the host: the next one takes the message`, async () => {
    await using first = startPeer({ replies: { [point]: "554 5.7.1 Go away", helo: "554 5.7.1 Go away" } });
    await using second = startPeer({ host: "127.0.0.2", port: first.port });
    await using target = testTarget(ZONE_OF_TWO, { mxPort: first.port });
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
    assertEquals(summary(outcomes), ["relayed 2.6.0"]);
    assertEquals(outcomes[0]?.remoteMta, "mx2.test");
    assertEquals([first.messages.length, second.messages.length], [0, 1]);
  });
}

Deno.test("5yz at the greeting of every host delays the message", async () => {
  await using peer = startPeer({ replies: { greeting: "554 5.7.1 Go\taway" } });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  assertEquals([outcome?.action, outcome?.status, outcome?.text], ["delayed", "4.7.1", "554 5.7.1 Go away"]);
});

Deno.test("4yz to a recipient makes the next host take that recipient only", async () => {
  const replies = {
    rcpt: (line: string): string | undefined => line.includes("<grey@") ? "451 4.7.1 Greylisted" : undefined,
  };
  await using first = startPeer({ replies });
  await using second = startPeer({ host: "127.0.0.2", port: first.port });
  await using target = testTarget(ZONE_OF_TWO, { mxPort: first.port });
  const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["grey@example.test", "a@example.test"] }));
  assertEquals(outcomes.map(({ remoteMta }) => remoteMta), ["mx2.test", "mx1.test"]);
  assertEquals(second.messages[0]?.recipients, ["TO:<grey@example.test>"]);
});

Deno.test("a host that refuses connections is passed over", async () => {
  await using second = startPeer({ host: "127.0.0.2" });
  await using target = testTarget(ZONE_OF_TWO, { mxPort: second.port });
  const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  assertEquals(outcomes[0]?.remoteMta, "mx2.test");
});

Deno.test("no host to connect to: delayed 4.4.1, and the text says which address and why", async () => {
  const peer = startPeer();
  const { port } = peer;
  await peer[Symbol.asyncDispose]();
  await using target = testTarget(ZONE, { mxPort: port });
  const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  assertEquals(outcome?.status, "4.4.1");
  assertEquals(outcome?.text, `Cannot connect to mx1.test (127.0.0.1:${port}): connection refused`);
});

for (const fault of ["drop-rcpt", "drop-data", "garbage", "overlong"]) {
  Deno.test(`a peer that does "${fault}" only delays, and the next host is tried`, async () => {
    await using first = startPeer();
    await using _second = startPeer({
      host: "127.0.0.2",
      port: first.port,
      replies: { rcpt: "250 2.1.5 Fine", dot: "250 2.6.0 Yes" },
    });
    await using target = testTarget(ZONE_OF_TWO, { mxPort: first.port });
    await using alone = testTarget(ZONE, { mxPort: first.port });
    const recipients = [`${fault}@example.test`];
    const [outcome] = await alone.deliver(testRequest({ hop: HOP, recipients }));
    assertEquals(outcome?.action, "delayed");
    assertMatch(outcome?.status ?? "", /^4\.(4\.2|5\.0)$/);
    if (fault === "drop-data") return;
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients }));
    assertEquals(outcomes[0]?.remoteMta, "mx2.test");
  });
}

Deno.test("a recipient that was refused stays failed when the connection breaks later", async () => {
  await using peer = startPeer();
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const recipients = ["reply-550@example.test", "drop-data@example.test"];
  const outcomes = await target.deliver(testRequest({ hop: HOP, recipients }));
  assertEquals(summary(outcomes), ["failed 5.2.0", "delayed 4.4.2"]);
});

Deno.test("no reply after the final dot: delayed 4.4.2, and no other host gets the message at once", async () => {
  await using first = startPeer();
  await using second = startPeer({ host: "127.0.0.2", port: first.port });
  await using target = testTarget(ZONE_OF_TWO, { mxPort: first.port });
  const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["drop-dot@example.test"] }));
  assertEquals(outcome?.status, "4.4.2");
  assertStringIncludes(outcome?.text ?? "", "while waiting for the reply to the end of data");
  assertEquals(second.connections, 0);
});

Deno.test("a silent peer runs into the time limit", async () => {
  await using peer = startPeer();
  await using target = testTarget(ZONE, { mxPort: peer.port, limits: { ...TEST_LIMITS, commandMs: 100 } });
  const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["silent@example.test"] }));
  assertEquals(outcome?.status, "4.4.2");
  assertStringIncludes(outcome?.text ?? "", "while waiting for the reply to RCPT: time limit exceeded");
});

Deno.test("421 in the middle is the reason for all recipients without an answer", async () => {
  await using peer = startPeer({
    replies: { rcpt: (_, talk) => talk.recipients.length > 0 ? "drop" : undefined, data: "drop" },
  });
  await using busy = startPeer({ host: "127.0.0.2", port: peer.port, replies: { mail: "421 4.7.0 Too busy" } });
  await using target = testTarget({ ...ZONE, "mx1.test": { A: ["127.0.0.2"] } }, { mxPort: busy.port });
  const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test", "b@example.test"] }));
  assertEquals(outcomes.map(({ text }) => text), ["421 4.7.0 Too busy", "421 4.7.0 Too busy"]);
});

Deno.test("recipients that are too many for one transaction go in another on the same connection", async () => {
  const replies = {
    rcpt: (_: string, talk: { recipients: string[] }): string | undefined =>
      talk.recipients.length >= 2 ? "452 4.5.3 Too many recipients" : undefined,
  };
  await using peer = startPeer({ replies });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const recipients = [1, 2, 3, 4, 5].map((number) => `r${number}@example.test`);
  const outcomes = await target.deliver(testRequest({ hop: HOP, recipients }));
  assertEquals(new Set(summary(outcomes)), new Set(["relayed 2.6.0"]));
  assertEquals(peer.messages.map((message) => message.recipients.length), [2, 2, 1]);
  assertEquals(peer.connections, 1);
});

Deno.test("250 recipients go in transactions of at most 100", async () => {
  await using peer = startPeer();
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const recipients = Array.from({ length: 250 }, (_, number) => `r${number}@example.test`);
  const outcomes = await target.deliver(testRequest({ hop: HOP, recipients }));
  assertEquals(outcomes.length, 250);
  assertEquals(peer.messages.map((message) => message.recipients.length), [100, 100, 50]);
});

Deno.test("the next message for the hop uses the kept connection, without another lookup", async () => {
  await using peer = startPeer();
  await using target = testTarget(ZONE, { mxPort: peer.port });
  for (let count = 0; count < 3; count++) {
    await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  }
  assertEquals([peer.connections, peer.messages.length], [1, 3]);
});

Deno.test("a kept connection that the peer closed is replaced at once", async () => {
  await using peer = startPeer({
    replies: { mail: (_, talk) => talk.number === 1 && talk.transactions > 0 ? "drop" : undefined },
  });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  for (let count = 0; count < 2; count++) {
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
    assertEquals(summary(outcomes), ["relayed 2.6.0"]);
  }
  assertEquals([peer.connections, peer.messages.length], [2, 2]);
});

Deno.test("a kept connection that answers 421 is replaced at once", async () => {
  await using peer = startPeer({
    replies: { mail: (_, talk) => talk.transactions > 0 ? "421 4.4.2 Enough of you" : undefined },
  });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  for (let count = 0; count < 2; count++) {
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
    assertEquals(summary(outcomes), ["relayed 2.6.0"]);
  }
  assertEquals(peer.connections, 2);
});

Deno.test("disposing of the target says QUIT on kept connections", async () => {
  await using peer = startPeer();
  {
    await using target = testTarget(ZONE, { mxPort: peer.port });
    await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
  }
  assertEquals(peer.commands.at(-1), "QUIT");
});

Deno.test("an abort before the final dot gives the recipients back as delayed", async () => {
  const stop = new AbortController();
  await using peer = startPeer({
    replies: {
      data: () => {
        stop.abort();
        return "silent";
      },
    },
  });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const request = testRequest({ hop: HOP, recipients: ["a@example.test"], signal: stop.signal });
  assertEquals(summary(await target.deliver(request)), ["delayed 4.3.2"]);
  assertEquals(peer.messages.length, 0);
});

Deno.test("an abort after the final dot still waits for the verdict: the message is not sent twice", async () => {
  const stop = new AbortController();
  await using peer = startPeer({
    replies: {
      dot: () => {
        stop.abort();
        return undefined;
      },
    },
  });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const request = testRequest({ hop: HOP, recipients: ["a@example.test"], signal: stop.signal });
  assertEquals(summary(await target.deliver(request)), ["relayed 2.6.0"]);
});

Deno.test("an abort before anything asks nobody", async () => {
  await using peer = startPeer();
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const request = testRequest({ hop: HOP, recipients: ["a@example.test"], signal: AbortSignal.abort() });
  assertEquals(summary(await target.deliver(request)), ["delayed 4.3.2"]);
  assertEquals(peer.connections, 0);
});

Deno.test("a domain without mail servers fails or waits as the DNS says, for every recipient", async () => {
  await using target = testTarget({ "down.test": { failing: ["MX"] } });
  const recipients = ["a@example.test", "b@example.test"];
  assertEquals(summary(await target.deliver(testRequest({ hop: HOP, recipients }))), ["failed 5.1.2", "failed 5.1.2"]);
  const outcomes = await target.deliver(testRequest({ hop: mxHop("down.test"), recipients: ["a@down.test"] }));
  assertEquals(summary(outcomes), ["delayed 4.4.3"]);
});

Deno.test("a peer without EHLO gets HELO and a bare envelope", async () => {
  await using peer = startPeer({ replies: { ehlo: "502 5.5.1 What?" } });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  assertEquals(summary(await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }))), [
    "relayed 2.6.0",
  ]);
  assertEquals(peer.messages[0]?.mail, "FROM:<sender@client.test>");
});

Deno.test("a message beyond the peer's SIZE fails without being sent", async () => {
  await using peer = startPeer({ extensions: ["PIPELINING", "SIZE 20"] });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  assertEquals(summary(await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }))), [
    "failed 5.3.4",
  ]);
  assert(!peer.commands.some((line) => line.startsWith("MAIL")));
});

Deno.test("content on disk is streamed with dots doubled and arrives octet for octet", async () => {
  const line = ".".repeat(3) + "x".repeat(61) + "\r\n";
  const octets = new TextEncoder().encode(line.repeat(20_000));
  const content = {
    octets: octets.length,
    async *chunks(): AsyncGenerator<Uint8Array> {
      const buffer = new Uint8Array(50_001);
      for (let at = 0; at < octets.length; at += buffer.length) {
        const piece = octets.subarray(at, at + buffer.length);
        buffer.set(piece);
        yield await Promise.resolve(buffer.subarray(0, piece.length));
      }
    },
  };
  await using peer = startPeer();
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"], content }));
  assertEquals(summary(outcomes), ["relayed 2.6.0"]);
  assert(peer.contents[0] === "X-Trace: 1\r\n" + line.repeat(20_000));
});

Deno.test("content that cannot be read is never ended with a dot", async () => {
  const content = {
    octets: 100,
    async *chunks(): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(new Uint8Array(50).fill(65));
      throw new Error("disk on fire");
    },
  };
  await using peer = startPeer();
  await using target = testTarget(ZONE, { mxPort: peer.port });
  const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"], content }));
  assertEquals([outcome?.action, outcome?.text], ["delayed", "The message cannot be read on our side"]);
  assertEquals(peer.messages.length, 0);
});

Deno.test("LMTP gives each recipient its own verdict", async () => {
  await using peer = startPeer({ protocol: "lmtp" });
  await using target = testTarget({});
  const hop = smarthostHop({ scheme: "lmtp", port: peer.port });
  const recipients = ["a@example.test", "reply-550@example.test", "dot-452@example.test", "dot-550@example.test"];
  const outcomes = await target.deliver(testRequest({ hop, recipients }));
  assertEquals(summary(outcomes), ["delivered 2.6.0", "failed 5.2.0", "delayed 4.3.0", "failed 5.3.0"]);
  assertEquals(peer.commands[0], "LHLO client.test");
});

Deno.test("LMTP works over a Unix socket", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const socketPath = `${folder}/lmtp.sock`;
    await using _peer = startPeer({ protocol: "lmtp", socketPath });
    await using target = testTarget({});
    const hop = smarthostHop({ scheme: "lmtp", host: "", socketPath, tls: "required" });
    const [outcome] = await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }));
    assertEquals([outcome?.action, outcome?.remoteAddress], ["delivered", `unix:${socketPath}`]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a smarthost whose name cannot be found delays", async () => {
  await using target = testTarget({});
  const hop = smarthostHop({ host: "nowhere.test" });
  assertEquals(summary(await target.deliver(testRequest({ hop, recipients: ["a@example.test"] }))), ["delayed 4.4.3"]);
});

for (const extensions of [["PIPELINING"], []]) {
  const how = extensions.length > 0 ? "with" : "without";
  Deno.test(`2yz to DATA is no delivery: nothing was sent yet, ${how} PIPELINING`, async () => {
    await using peer = startPeer({ extensions, replies: { data: "250 2.0.0 OK" } });
    await using target = testTarget(ZONE, { mxPort: peer.port });
    const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
    assertEquals([outcome?.action, outcome?.status], ["delayed", "4.5.0"]);
    assertStringIncludes(outcome?.text ?? "", "250");
    assertEquals(peer.messages.length, 0);
  });
}

Deno.test("a kept connection that answers 421 and closes at once is replaced at once", async () => {
  await using peer = startPeer({
    replies: {
      mail: (_, talk) => talk.transactions > 0 ? "421 4.4.2 Enough of you" : undefined,
      rcpt: (_, talk) => talk.transactions > 0 ? "drop" : undefined,
    },
  });
  await using target = testTarget(ZONE, { mxPort: peer.port });
  for (let count = 0; count < 2; count++) {
    const outcomes = await target.deliver(testRequest({ hop: HOP, recipients: ["a@example.test"] }));
    assertEquals(summary(outcomes), ["relayed 2.6.0"]);
  }
  assertEquals(peer.connections, 2);
});

Deno.test("a message that can no longer be read keeps the outcomes it has, and no connection stays open", async () => {
  // Eight-bit content is looked through before each transaction with a peer that has no 8BITMIME.
  const octets = new TextEncoder().encode("Subject: test\r\n\r\nHello\r\n");
  let reads = 0;
  const content = {
    octets: octets.length,
    async *chunks(): AsyncGenerator<Uint8Array> {
      if (++reads > 2) throw new Deno.errors.NotFound("open '/var/spool/secret/path'");
      yield await Promise.resolve(octets);
    },
  };
  await using peer = startPeer({ extensions: ["PIPELINING"] });
  const target = testTarget(ZONE, { mxPort: peer.port });
  const recipients = Array.from({ length: 150 }, (_, number) => `r${number}@example.test`);
  const request = testRequest({ hop: HOP, recipients, content, envelope: { body: "8BITMIME" } });
  const outcomes = await target.deliver(request);
  assertEquals(peer.messages.length, 1);
  assertEquals(new Set(summary(outcomes.slice(0, 100))), new Set(["relayed 2.6.0"]));
  assertEquals(new Set(summary(outcomes.slice(100))), new Set(["delayed 4.3.0"]));
  assert(!outcomes.some(({ text }) => text.includes("/var/spool")), "senders learn no paths");
  await target[Symbol.asyncDispose]();
  assert(await peer.haveEnded());
});
