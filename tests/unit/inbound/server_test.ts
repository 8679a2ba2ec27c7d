import { assert, assertEquals, assertMatch } from "@std/assert";
import { createConnection, Socket } from "node:net";
import { canUpgradeServer } from "../../../lib/tls/server_tls.ts";
import { Client } from "../../support/conversation.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { type InboundFixture, startInbound } from "../../support/inbound_server.ts";

/** Opens a session and a transaction up to the 354. */
async function upToData(server: InboundFixture): Promise<Client> {
  const client = await Client.connect(server.port);
  const steps = ["HELO client.test", "MAIL FROM:<bob@client.test>", "RCPT TO:<alice@example.org>", "DATA"];
  await client.line();
  for (const step of steps) {
    client.send(`${step}\r\n`);
    await client.line();
  }
  return client;
}

/** Opens a session and takes one chunk of a message to it. */
async function upToChunk(server: InboundFixture): Promise<Client> {
  const client = await Client.connect(server.port);
  await client.line();
  client.send("EHLO client.test\r\n");
  await client.reply();
  client.send("MAIL FROM:<bob@client.test>\r\nRCPT TO:<alice@example.org>\r\nBDAT 6\r\nhalf\r\n");
  for (const expected of ["250 2.1.0", "250 2.1.5", "250 2.0.0"]) {
    assertEquals((await client.line()).slice(0, 9), expected);
  }
  assertEquals(server.spool.openReceptions, 1);
  return client;
}

/** Waits until no connection is left. */
async function untilEmpty(server: InboundFixture): Promise<void> {
  for (let i = 0; i < 500 && server.server.connectionCount > 0; i++) await new Promise((done) => setTimeout(done, 10));
  assertEquals(server.server.connectionCount, 0);
}

Deno.test("a full disk answers 452 4.3.1, and the session goes on", async () => {
  await using server = await startInbound();
  await using client = await upToData(server);
  server.spool.faults.commit = Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
  client.send("lost?\r\n.\r\n");
  assertEquals(await client.line(), "452 4.3.1 Insufficient storage; try again later");
  delete server.spool.faults.commit;
  client.send("MAIL FROM:<bob@client.test>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n");
  for (let i = 0; i < 3; i++) await client.line();
  client.send("kept\r\n.\r\n");
  assertMatch(await client.line(), /^250 2\.0\.0 Queued as /);
  assertEquals([server.spool.messages.length, server.spool.openReceptions], [1, 0]);
});

Deno.test("a disk that fails in the middle of content answers 451 after the final dot only", async () => {
  await using server = await startInbound();
  await using client = await upToData(server);
  server.spool.faults.write = new Error("Input/output error (os error 5)");
  client.send("first\r\nMAIL FROM:<evil@client.test>\r\n.\r\nNOOP\r\n");
  assertEquals(await client.line(), "451 4.3.0 Local problem; try again later");
  assertEquals(await client.line(), "250 2.0.0 OK");
  assertEquals(server.spool.openReceptions, 0);
});

Deno.test("a client that goes away in the middle of content leaves nothing behind", async () => {
  await using server = await startInbound();
  const client = await upToData(server);
  client.send("half a mess");
  await client[Symbol.asyncDispose]();
  await untilEmpty(server);
  assertEquals([server.spool.messages.length, server.spool.openReceptions], [0, 0]);
});

Deno.test("a silent client is told 421 4.4.2 when its time is over, also one that drips", async () => {
  const clock = new FakeClock();
  await using server = await startInbound({ clock, timeouts: { commandMs: 10_000 } });
  await using client = await Client.connect(server.port);
  await client.line();
  for (let second = 0; second < 9; second++) {
    client.send("N");
    await clock.untilSleeping(1);
    await clock.advance(1000);
  }
  client.send("NOOP\r\n");
  assertEquals(await client.line(), "500 5.5.2 Command not recognized");
  for (let second = 0; second < 12; second++) {
    client.send("N");
    await new Promise((done) => setTimeout(done, 2));
    await clock.untilSleeping(1);
    await clock.advance(1000);
  }
  assertEquals(await client.line(), "421 4.4.2 mx.test waited too long for you; closing connection");
  assertEquals(await client.line(), "(closed)");
});

Deno.test("connections over the limit are told 421 4.7.0, and a place is free again after one ended", async () => {
  await using server = await startInbound({ limits: { connectionsPerIp: 1 } });
  const first = await Client.connect(server.port);
  await first.line();
  await using second = await Client.connect(server.port);
  assertEquals(await second.line(), "421 4.7.0 Too many connections; try again later");
  await first[Symbol.asyncDispose]();
  await untilEmpty(server);
  await using third = await Client.connect(server.port);
  assertMatch(await third.line(), /^220 /);
});

Deno.test({
  name: "connections that are reset before they are accepted hold nobody up",
  ignore: !("resetAndDestroy" in Socket.prototype), // Deno 2.5 has no way to reset a connection.
  async fn(): Promise<void> {
    await using server = await startInbound();
    for (let i = 0; i < 50; i++) {
      const socket = createConnection(server.port, "127.0.0.1");
      await new Promise((resolve) => socket.once("connect", resolve));
      socket.resetAndDestroy();
    }
    const start = performance.now();
    await using client = await Client.connect(server.port);
    assertMatch(await client.line(), /^220 /);
    assert(performance.now() - start < 2000, "the banner came late");
  },
});

Deno.test({
  name: "a TLS handshake that fails ends its connection, and the server still stops in order",
  ignore: !canUpgradeServer,
  async fn(): Promise<void> {
    await using server = await startInbound();
    await using client = await Client.connect(server.port);
    await client.line();
    client.send("HELO client.test\r\n");
    await client.line();
    client.send("STARTTLS\r\n");
    assertMatch(await client.line(), /^220 /);
    client.send("this is no handshake\r\n");
    assertEquals(await client.line(), "(closed)");
    await untilEmpty(server);
    await server.server.stop(100);
  },
});

Deno.test("recipients over the limit do not count as errors: the others get the message", async () => {
  await using server = await startInbound({ limits: { recipients: 1 } });
  await using client = await Client.connect(server.port);
  await client.line();
  client.send("HELO client.test\r\n");
  await client.line();
  client.send("MAIL FROM:<bob@client.test>\r\n" + "RCPT TO:<alice@example.org>\r\n".repeat(40) + "DATA\r\n");
  const replies: string[] = [];
  for (let i = 0; i < 42; i++) replies.push((await client.line()).slice(0, 3));
  assertEquals(replies, ["250", "250", ...Array(39).fill("452"), "354"]);
  client.send("hi\r\n.\r\n");
  assertMatch(await client.line(), /^250 /);
});

Deno.test("who guesses addresses is cut off after 100 unknown recipients", async () => {
  await using server = await startInbound();
  await using client = await Client.connect(server.port);
  await client.line();
  client.send("HELO client.test\r\n");
  await client.line();
  client.send("MAIL FROM:<bob@client.test>\r\n" + "RCPT TO:<nobody@example.org>\r\n".repeat(101));
  for (let i = 0; i < 102; i++) assertMatch(await client.line(), /^(250|550) /);
  assertEquals(await client.line(), "421 4.7.0 Too many errors; closing connection");
});

/** Moves the clock on second by second until the server has closed all connections. @returns The seconds. */
async function untilCutOff(server: InboundFixture, clock: FakeClock, eachSecond?: () => void): Promise<number> {
  for (let second = 1; second < 20_000; second++) {
    eachSecond?.();
    if (eachSecond !== undefined) await new Promise((done) => setTimeout(done, 1));
    await clock.untilSleeping(1);
    await clock.advance(1000);
    if (server.server.connectionCount === 0) return second;
  }
  throw new Error("the connection stayed open");
}

Deno.test("content that drips in is given up when its average is too low, by DATA and by BDAT", async () => {
  const timeouts = { contentGraceMs: 30_000, contentOctetsPerSecond: 10 };
  for (const upTo of [upToData, upToChunk]) {
    const clock = new FakeClock();
    await using server = await startInbound({ clock, timeouts });
    await using client = await upTo(server);
    if (upTo === upToChunk) client.send("BDAT 5000\r\n");
    // 5 octets a second earn half a second each: what began with 30 s ends after about a minute.
    const seconds = await untilCutOff(server, clock, () => client.send("abc\r\n"));
    assert(seconds >= 55 && seconds <= 65, `${seconds} s`);
    assertEquals(await client.line(), "421 4.4.2 The content comes too slowly; closing connection");
    assertEquals(await client.line(), "(closed)");
    assertEquals([server.spool.messages.length, server.spool.openReceptions], [0, 0]);
  }
});

Deno.test("a slow and honest sender gets its message through", async () => {
  const clock = new FakeClock();
  await using server = await startInbound({ clock, timeouts: { contentGraceMs: 30_000, contentOctetsPerSecond: 10 } });
  await using client = await upToData(server);
  for (let second = 0; second < 200; second++) {
    client.send("ten octet\r\n");
    await new Promise((done) => setTimeout(done, 1));
    await clock.untilSleeping(1);
    await clock.advance(1000);
  }
  client.send(".\r\n");
  assertMatch(await client.line(), /^250 2\.0\.0 Queued/);
});

Deno.test("octets beyond the size limit earn no time", async () => {
  const clock = new FakeClock();
  const timeouts = { contentGraceMs: 30_000, contentOctetsPerSecond: 10 };
  await using server = await startInbound({ clock, timeouts, limits: { messageOctets: 300 } });
  await using client = await upToData(server);
  const seconds = await untilCutOff(server, clock, () => client.send("x".repeat(98) + "\r\n"));
  assert(seconds >= 58 && seconds <= 63, `${seconds} s`);
  assertEquals(await client.line(), "421 4.4.2 The content comes too slowly; closing connection");
});

Deno.test("a session that brings no message ends, although it is never silent; a message gives it its time back", async () => {
  const clock = new FakeClock();
  await using server = await startInbound({ clock, timeouts: { sessionMs: 60_000 } });
  await using client = await upToData(server);
  for (let second = 0; second < 50; second++) {
    await clock.untilSleeping(1);
    await clock.advance(1000);
  }
  client.send("hi\r\n.\r\n");
  assertMatch(await client.line(), /^250 2\.0\.0 Queued/);
  let sent = 0;
  const seconds = await untilCutOff(server, clock, () => client.send(++sent % 2 === 0 ? "" : "NOOP\r\n"));
  assert(seconds >= 60 && seconds <= 62, `${seconds} s`);
  let last = "";
  for (let line = await client.line(); line !== "(closed)"; line = await client.line()) last = line;
  assertEquals(last, "421 4.7.0 No message came for too long; closing connection");
});

Deno.test("chunks earn the time that a large message needs beyond that of its session", async () => {
  const clock = new FakeClock();
  await using server = await startInbound({ clock, timeouts: { sessionMs: 60_000, contentOctetsPerSecond: 10 } });
  await using client = await upToChunk(server);
  for (let chunk = 0; chunk < 10; chunk++) {
    client.send(`BDAT 600\r\n${"x".repeat(598)}\r\n`);
    assertEquals(await client.line(), "250 2.0.0 600 octets received");
    for (let second = 0; second < 50; second++) {
      await clock.untilSleeping(1);
      await clock.advance(1000);
    }
  }
  client.send("BDAT 0 LAST\r\n");
  assertMatch(await client.line(), /^250 2\.0\.0 Queued/);
});

Deno.test("a storm of commands ends the session with 421 4.7.0; one of many messages goes on", async () => {
  await using server = await startInbound();
  await using client = await Client.connect(server.port);
  await client.line();
  client.send("EHLO client.test\r\n");
  await client.reply();
  const message = "RSET\r\nNOOP\r\nMAIL FROM:<bob@client.test>\r\nRCPT TO:<alice@example.org>\r\nBDAT 4 LAST\r\nhi\r\n";
  for (let count = 0; count < 200; count++) {
    client.send(message);
    for (let i = 0; i < 4; i++) await client.line();
    assertMatch(await client.line(), /^250 2\.0\.0 Queued/);
  }
  client.send("NOOP\r\nRSET\r\nHELP\r\nVRFY alice\r\n".repeat(30));
  for (let count = 0; count < 100; count++) assertMatch((await client.reply()).at(-1) ?? "", /^2\d\d /);
  assertMatch(await client.line(), /^250 /);
  assertEquals(await client.line(), "421 4.7.0 Too many commands without a message; closing connection");
  assertEquals(await client.line(), "(closed)");
});

Deno.test("at the stop an idle client is told 421, and a message that is under way is finished", async () => {
  await using server = await startInbound();
  await using idle = await Client.connect(server.port);
  await idle.line();
  await using sending = await upToData(server);
  sending.send("half\r\n");
  const stopped = server.server.stop(5000);
  assertEquals(await idle.line(), "421 4.3.2 mx.test is shutting down; try again later");
  assertEquals(await idle.line(), "(closed)");
  sending.send("whole\r\n.\r\n");
  assertMatch(await sending.line(), /^250 2\.0\.0 Queued/);
  assertEquals(await sending.line(), "421 4.3.2 mx.test is shutting down; try again later");
  await stopped;
  assertEquals(server.spool.messages.length, 1);
});

Deno.test("a client that reads none of its replies costs bounded memory and is cut off in time", async () => {
  const clock = new FakeClock();
  const limits = { recipients: 1e9 };
  await using server = await startInbound({ clock, limits, timeouts: { commandMs: 10_000, sessionMs: 1e9 } });
  // Without node:net, which may read ahead: nothing but an explicit read takes octets from this socket.
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  const commands = new TextEncoder().encode("RCPT TO:<alice@example.org>\r\n".repeat(4000));
  let sent = 0;
  const flood = (async (): Promise<void> => {
    await conn.write(new TextEncoder().encode("HELO client.test\r\nMAIL FROM:<bob@client.test>\r\n"));
    for (;;) sent += await conn.write(commands);
  })().catch(() => {});
  let [before, last] = [-1, 0];
  // It has stopped reading when nothing more goes out: only then its time runs.
  while (before !== last || sent === 0) {
    before = last;
    await new Promise((done) => setTimeout(done, 200));
    last = sent;
    assert(sent < 100_000_000, "the server goes on reading");
  }
  const heap = Deno.memoryUsage().heapUsed;
  assert(heap < 400_000_000, `${heap} octets of heap`);
  for (let second = 0; second < 12; second++) {
    await clock.untilSleeping(1);
    await clock.advance(1000);
  }
  await untilEmpty(server);
  await flood;
});

Deno.test("a full disk is told at the last chunk with 452 4.3.1, and the session goes on", async () => {
  await using server = await startInbound();
  await using client = await upToChunk(server);
  server.spool.faults.commit = Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
  client.send("BDAT 6 LAST\r\nlost\r\nNOOP\r\n");
  assertEquals(await client.line(), "452 4.3.1 Insufficient storage; try again later");
  assertEquals(await client.line(), "250 2.0.0 OK");
  assertEquals([server.spool.messages.length, server.spool.openReceptions], [0, 0]);
});

Deno.test("a disk that fails in a chunk answers 451 behind the chunk, and takes none of the later ones", async () => {
  await using server = await startInbound();
  await using client = await upToChunk(server);
  server.spool.faults.write = new Error("Input/output error (os error 5)");
  client.send("BDAT 8\r\n\r\nQUIT\r\n");
  assertEquals(await client.line(), "451 4.3.0 Local problem; try again later");
  assertEquals(server.spool.openReceptions, 0);
  delete server.spool.faults.write;
  client.send("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n");
  assertEquals(await client.line(), "451 4.3.0 Local problem; try again later");
  assertEquals(await client.line(), "250 2.0.0 OK");
  assertEquals(server.spool.messages.length, 0);
});

Deno.test("a client that goes away between two chunks or inside one leaves nothing behind", async () => {
  await using server = await startInbound();
  for (const end of ["", "BDAT 100 LAST\r\nhalf a chunk"]) {
    const client = await upToChunk(server);
    client.send(end);
    await client[Symbol.asyncDispose]();
    await untilEmpty(server);
    assertEquals([server.spool.messages.length, server.spool.openReceptions], [0, 0]);
  }
});

Deno.test("a client that is silent between two chunks or inside one is told 421, and nothing is left behind", async () => {
  for (const end of ["", "BDAT 100 LAST\r\nhalf a chunk"]) {
    const clock = new FakeClock();
    await using server = await startInbound({ clock, timeouts: { commandMs: 10_000, contentMs: 10_000 } });
    await using client = await upToChunk(server);
    client.send(end);
    for (let second = 0; second < 25 && server.server.connectionCount > 0; second++) {
      await new Promise((done) => setTimeout(done, 2));
      await clock.untilSleeping(1);
      await clock.advance(1000);
    }
    assertEquals(await client.line(), "421 4.4.2 mx.test waited too long for you; closing connection");
    assertEquals(await client.line(), "(closed)");
    await untilEmpty(server);
    assertEquals(server.spool.openReceptions, 0);
  }
});

Deno.test("at the stop a message of which chunks are missing is dropped; a chunk that is under way gets its reply", async () => {
  for (const isInChunk of [false, true]) {
    await using server = await startInbound();
    await using client = await upToChunk(server);
    if (isInChunk) {
      client.send("NOOP\r\nBDAT 7\r\nthr");
      assertEquals(await client.line(), "250 2.0.0 OK");
    }
    const stopped = server.server.stop(5000);
    if (isInChunk) {
      client.send("ee\r\n");
      assertEquals(await client.line(), "250 2.0.0 7 octets received");
    }
    assertMatch(await client.line(), /^421 4\.3\.2 /);
    await stopped;
    assertEquals([server.spool.messages.length, server.spool.openReceptions], [0, 0]);
  }
});
