import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { createConnection, createServer, type Socket } from "node:net";
import { BindError, bindListener } from "../../../lib/inbound/bind.ts";
import { readProxyHeader } from "../../../lib/inbound/proxied.ts";
import type { Logger } from "../../../lib/log/logger.ts";
import { canUpgradeServer } from "../../../lib/tls/server_tls.ts";
import { Client } from "../../support/conversation.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { MemoryConn } from "../../support/memory_conn.ts";
import {
  type InboundFixture,
  type InboundFixtureOptions,
  startInbound,
  testCertificates,
} from "../../support/inbound_server.ts";

const PROXIES = ["127.0.0.1"];
const V2_SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const encoder = new TextEncoder();
const GREETING = "220 mx.test ESMTP posthorn";

/** What HAProxy sends with `send-proxy-v2` for 192.0.2.7:56324, with a TLV behind it. */
const V2_HEADER = Uint8Array.from([
  ...[...V2_SIGNATURE, 0x21, 0x11, 0x00, 0x13],
  ...[192, 0, 2, 7, 127, 0, 0, 1, 0xdc, 0x04, 0x00, 0x19],
  ...[0x03, 0x00, 0x04, 0xfd, 0x16, 0x2d, 0x01],
]);

/** A server behind proxies, with the lines that it logs. */
async function startBehind(
  options: InboundFixtureOptions = {},
): Promise<{ server: InboundFixture; lines: string[] } & AsyncDisposable> {
  const lines: string[] = [];
  const take = (message: string, fields: Record<string, unknown> = {}): void => {
    lines.push(message.replace(/\{(\w+)\}/g, (_, name) => String(fields[name])));
  };
  const logger: Logger = { debug: () => {}, info: take, warning: take, error: take };
  const server = await startInbound({ proxyProtocol: PROXIES, logger, ...options });
  return { server, lines, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** A connection of the proxy, which sends these octets at once. */
async function proxied(server: InboundFixture, ...octets: readonly (string | Uint8Array)[]): Promise<Socket> {
  const socket = createConnection(server.port, "127.0.0.1");
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  socket.setNoDelay(true);
  for (const each of octets) socket.write(each);
  return socket;
}

/** A proxy that sends the header in one piece with the first octets of the client. */
async function startRelay(port: number, header: string): Promise<{ port: number } & AsyncDisposable> {
  const server = createServer((client: Socket) => {
    const upstream = createConnection(port, "127.0.0.1");
    client.on("error", () => upstream.destroy()).on("close", () => upstream.destroy());
    upstream.on("error", () => client.destroy()).on("close", () => client.destroy());
    client.once("data", (octets: Uint8Array) => {
      upstream.write(Uint8Array.from([...encoder.encode(header), ...octets]));
      client.pipe(upstream);
    });
    upstream.pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as { port: number }).port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Sends commands, one after each reply, behind the header; gives the replies, or `(closed)`. */
async function talk(server: InboundFixture, header: string, commands: readonly string[]): Promise<string[]> {
  await using client = await Client.connect(server.port);
  client.send(header);
  const replies = (await client.reply()).slice(-1);
  for (const command of commands) {
    client.send(`${command}\r\n`);
    replies.push(...(await client.reply()).slice(-1));
  }
  return replies;
}

/** Everything that the server sends, where the client says QUIT after the greeting. */
async function untilQuit(socket: Socket): Promise<string> {
  const all = untilClosed(socket);
  socket.once("data", () => socket.write("QUIT\r\n"));
  return await all;
}

/** Everything that the server sends until it closes. */
async function untilClosed(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (octets: Uint8Array) => text += new TextDecoder().decode(octets));
  socket.on("error", () => {});
  if (!socket.destroyed) await new Promise((resolve) => socket.once("close", resolve).once("end", resolve));
  socket.destroy();
  return text;
}

async function untilEmpty({ server }: InboundFixture): Promise<void> {
  for (let i = 0; i < 500 && server.connectionCount > 0; i++) await new Promise((done) => setTimeout(done, 10));
  assertEquals(server.connectionCount, 0);
}

const MESSAGE = ["HELO client.test", "MAIL FROM:<bob@client.test>", "RCPT TO:<alice@example.org>", "DATA", "hi\r\n."];

Deno.test("the client that the PROXY header names stands in the envelope and the log, and may relay where listed", async () => {
  await using behind = await startBehind({ relayFrom: ["192.0.2.0/24"] });
  const replies = await talk(behind.server, "PROXY TCP4 192.0.2.7 127.0.0.1 56324 25\r\n", [
    ...MESSAGE,
    "MAIL FROM:<bob@client.test>",
    "RCPT TO:<carol@elsewhere.test>",
  ]);
  assertEquals(replies.map((reply) => reply.slice(0, 3)), ["220", "250", "250", "250", "354", "250", "250", "250"]);
  assertEquals(behind.server.spool.messages.at(-1)?.envelope.session.clientAddress, "192.0.2.7");
  assertMatch(
    behind.server.spool.messages.at(-1)?.envelope.trace ?? "",
    /^Received: from client\.test \(\[192\.0\.2\.7\]\)/,
  );
  assert(behind.lines.some((line) => line.includes("192.0.2.7:56324")), behind.lines.join("\n"));
  const stranger = await talk(behind.server, "PROXY TCP6 2001:db8::7 ::1 56324 25\r\n", [
    "HELO client.test",
    "MAIL FROM:<bob@client.test>",
    "RCPT TO:<carol@elsewhere.test>",
  ]);
  assertMatch(stranger.at(-1) ?? "", /^550 5\.7\.1 /);
});

Deno.test("a binary header that drips begins the same session", async () => {
  await using behind = await startBehind();
  const socket = await proxied(behind.server);
  for (const octet of V2_HEADER) {
    socket.write(Uint8Array.of(octet));
    await new Promise((done) => setTimeout(done, 1));
  }
  assertMatch(await untilQuit(socket), /^220 .*\r\n221 /);
});

Deno.test("octets that come in one piece with the header are read first, whatever the size of the reads", async () => {
  const conn = new MemoryConn();
  const reading = readProxyHeader(conn, { clock: new FakeClock(), signal: new AbortController().signal });
  const [header, early, late] = [V2_HEADER, encoder.encode("early"), encoder.encode("late")];
  const sent = conn.send([header.subarray(0, 20), Uint8Array.from([...header.subarray(20), ...early]), late]);
  const behind = await reading;
  assertEquals(behind.remoteAddr, { transport: "tcp", hostname: "192.0.2.7", port: 56324 });
  const buffer = new Uint8Array(3);
  let text = "";
  while (text.length < 9) text += new TextDecoder().decode(buffer.subarray(0, await behind.read(buffer) ?? 0));
  assertEquals(text, "earlylate");
  conn.end();
  assertEquals(await behind.read(buffer), null);
  behind.close();
  await sent;
});

Deno.test("LOCAL, UNSPEC and UNKNOWN begin sessions of the proxy itself", async () => {
  await using behind = await startBehind();
  const headers = [
    Uint8Array.from([...V2_SIGNATURE, 0x20, 0x00, 0x00, 0x00]),
    Uint8Array.from([...V2_SIGNATURE, 0x21, 0x00, 0x00, 0x00]),
    "PROXY UNKNOWN\r\n",
  ];
  for (const header of headers) {
    assertMatch(await untilQuit(await proxied(behind.server, header)), /^220 .*\r\n221 /);
  }
});

Deno.test("what begins without a right header is closed without a word, with a log line that says why", async () => {
  await using behind = await startBehind();
  const cases: readonly (readonly [string | Uint8Array, string])[] = [
    ["EHLO client.test\r\n", "no PROXY header"],
    ["PROXY TCP4 192.0.2.07 127.0.0.1 56324 25\r\n", "PROXY line that is wrong for TCP4"],
    [Uint8Array.from([...V2_SIGNATURE, 0x21, 0x31, 0x00, 0xd8]), "PROXY header for a Unix socket"],
  ];
  for (const [octets, reason] of cases) {
    assertEquals(await untilClosed(await proxied(behind.server, octets)), "");
    await untilEmpty(behind.server);
    const line = behind.lines.at(-1) ?? "";
    assertMatch(line, /^Closed connection from 127\.0\.0\.1:\d+ on a listener with proxy_protocol: /);
    assert(line.endsWith(reason), line);
  }
  const gone = await proxied(behind.server, "PROXY ");
  gone.end();
  await untilClosed(gone);
  await untilEmpty(behind.server);
  assert(behind.lines.at(-1)?.endsWith("closed before its PROXY header was complete"), behind.lines.at(-1));
});

Deno.test("who is not listed is closed, whatever header it sends", async () => {
  await using behind = await startBehind({ proxyProtocol: ["10.0.0.1", "10.0.1.0/24"] });
  const socket = await proxied(behind.server, "PROXY TCP4 192.0.2.7 127.0.0.1 56324 25\r\n");
  assertEquals(await untilClosed(socket), "");
  await untilEmpty(behind.server);
  assertMatch(behind.lines.at(-1) ?? "", /proxy_protocol: this address is not in proxy_protocol$/);
});

Deno.test("a header that does not come within 5 s ends the connection, also where it drips", async () => {
  const clock = new FakeClock();
  await using behind = await startBehind({ clock });
  const socket = await proxied(behind.server, "PROXY");
  const closed = untilClosed(socket);
  await clock.untilSleeping(2);
  await clock.advance(4_900);
  socket.write(" TCP4 ");
  assertEquals(behind.server.server.connectionCount, 1);
  await clock.advance(200);
  assertEquals(await closed, "");
  await untilEmpty(behind.server);
  assert(behind.lines.at(-1)?.endsWith("no PROXY header within 5 s"), behind.lines.at(-1));
});

Deno.test("connections behind one proxy are limited by client, and all of them in all, headers or not", async () => {
  await using behind = await startBehind({ limits: { connections: 3, connectionsPerIp: 1 } });
  const { server } = behind;
  const header = (host: string): string => `PROXY TCP4 ${host} 127.0.0.1 56324 25\r\n`;
  const first = await Client.connect(server.port);
  first.send(header("192.0.2.1"));
  assertEquals(await first.line(), GREETING);
  assertEquals(await talk(server, header("192.0.2.1"), []), ["421 4.7.0 Too many connections; try again later"]);
  assertMatch(behind.lines.at(-1) ?? "", /^Refused connection from 192\.0\.2\.1:56324: too many .* from this address$/);
  await using second = await Client.connect(server.port);
  second.send(header("192.0.2.2"));
  assertEquals(await second.line(), GREETING);
  const silent = await proxied(server);
  while (server.server.connectionCount < 3) await new Promise((done) => setTimeout(done, 5));
  assertEquals(await talk(server, header("192.0.2.3"), []), ["421 4.7.0 Too many connections; try again later"]);
  silent.destroy();
  await first[Symbol.asyncDispose]();
  while (server.server.connectionCount > 1) await new Promise((done) => setTimeout(done, 5));
  assertEquals(await talk(server, header("192.0.2.1"), []), [GREETING]);
});

Deno.test("a stop ends the wait for a header", async () => {
  await using behind = await startBehind();
  const socket = await proxied(behind.server, "PROXY");
  const closed = untilClosed(socket);
  while (behind.server.server.connectionCount < 1) await new Promise((done) => setTimeout(done, 5));
  await behind.server.server.stop(0);
  assertEquals(await closed, "");
  await untilEmpty(behind.server);
});

Deno.test({
  name: "TLS starts behind the header, after STARTTLS and implicitly, also in one piece with it",
  ignore: !canUpgradeServer,
  async fn(): Promise<void> {
    const header = "PROXY TCP4 192.0.2.7 127.0.0.1 56324 465\r\n";
    await using starttls = await startBehind();
    await using client = await Client.connect(starttls.server.port);
    client.send(header);
    await client.line();
    client.send("EHLO client.test\r\n");
    await client.reply();
    client.send("STARTTLS\r\n");
    assertMatch(await client.line(), /^220 /);
    await client.startTls();
    client.send("NOOP\r\n");
    assertEquals(await client.line(), "250 2.0.0 OK");
    await using implicit = await startBehind({ tls: "implicit" });
    await using relay = await startRelay(implicit.server.port, header);
    await using secure = await Client.connect(relay.port);
    await secure.startTls();
    assertEquals(await secure.line(), GREETING);
    secure.send("QUIT\r\n");
    assertMatch(await secure.line(), /^221 /);
    assert(implicit.lines.every((line) => !line.includes("127.0.0.1")), implicit.lines.join("\n"));
  },
});

Deno.test("implicit TLS behind a proxy is refused at the start where the runtime cannot do it", async () => {
  const certificates = await testCertificates();
  const config = {
    bind: { kind: "tcp", host: "127.0.0.1", port: 0 },
    service: "submission",
    tls: "implicit",
    proxyProtocol: PROXIES,
  } as const;
  const error = await assertRejects(() => bindListener(config, () => certificates, false), BindError);
  assertMatch(
    error.message,
    /^Cannot listen on 127\.0\.0\.1:0: implicit TLS with proxy_protocol needs Deno 2\.8 or later/,
  );
});
