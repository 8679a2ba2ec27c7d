import { assert, assertEquals, assertMatch } from "@std/assert";
import { canUpgradeServer } from "../../../lib/tls/server_tls.ts";
import { Client } from "../../support/conversation.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { type InboundFixture, startInbound } from "../../support/inbound_server.ts";

const encoder = new TextEncoder();
const BARE_LF = "500 5.5.2 Bare LF at octet 4: a line ends with CRLF (RFC 5321 section 2.3.8); closing connection";

/** Waits until no connection is left. */
async function untilEmpty(server: InboundFixture): Promise<void> {
  for (let i = 0; i < 500 && server.server.connectionCount > 0; i++) await new Promise((done) => setTimeout(done, 10));
  assertEquals(server.server.connectionCount, 0);
}

/** Reads to the end. */
async function readAll(conn: Deno.Conn): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(4096);
  for (let count = await conn.read(buffer); count !== null; count = await conn.read(buffer)) {
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
  return text;
}

Deno.test("a client that goes on sending behind what was refused can read the refusal", async () => {
  await using server = await startInbound();
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await conn.write(encoder.encode("NOOP\n"));
  for (let sent = 0; sent < 900_000;) sent += await conn.write(encoder.encode("x".repeat(20_000)));
  assertMatch(await readAll(conn), /closing connection\r\n$/);
  conn.close();
  await untilEmpty(server);
});

Deno.test("a client that never stops sending is cut off after some octets", async () => {
  await using server = await startInbound();
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await conn.write(encoder.encode("NOOP\n"));
  let sent = 0;
  try {
    for (;;) {
      sent += await conn.write(encoder.encode("x".repeat(20_000)));
      assert(sent < 100_000_000, "the server goes on reading");
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe)) throw error;
  }
  await untilEmpty(server);
});

Deno.test("a client that does not close is cut off after some seconds, and counts as a connection until then", async () => {
  const clock = new FakeClock();
  await using server = await startInbound({ clock, limits: { connectionsPerIp: 1 } });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await conn.write(encoder.encode("NOOP\n"));
  assert((await readAll(conn)).endsWith("closing connection\r\n"));
  assertEquals(server.server.connectionCount, 1);
  {
    await using second = await Client.connect(server.port);
    assertEquals(await second.line(), "421 4.7.0 Too many connections; try again later");
  }
  await clock.advance(3_000);
  assertEquals(server.server.connectionCount, 1);
  await clock.advance(4_000);
  await untilEmpty(server);
});

Deno.test("a stop of the server does not wait for who lingers", async () => {
  const clock = new FakeClock();
  await using server = await startInbound({ clock });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await conn.write(encoder.encode("NOOP\n"));
  await readAll(conn);
  await server.server.stop(60_000);
  assertEquals(server.server.connectionCount, 0);
});

Deno.test("QUIT is answered with a close at once", async () => {
  const clock = new FakeClock();
  await using server = await startInbound({ clock });
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await conn.read(new Uint8Array(100));
  await conn.write(encoder.encode("QUIT\r\n"));
  assertEquals(await readAll(conn), "221 2.0.0 mx.test closing connection\r\n");
  await untilEmpty(server);
});

Deno.test({
  name: "under TLS, too, a client that goes on sending can read the refusal",
  ignore: !canUpgradeServer,
  async fn(): Promise<void> {
    await using server = await startInbound();
    await using client = await Client.connect(server.port);
    await client.line();
    client.send("EHLO client.test\r\n");
    await client.reply();
    client.send("STARTTLS\r\n");
    await client.line();
    await client.startTls();
    client.send("NOOP\n");
    for (let sent = 0; sent < 500_000; sent += 20_000) client.send("x".repeat(20_000));
    assertEquals(await client.line(), BARE_LF);
    assertEquals(await client.line(), "(closed)");
    await client[Symbol.asyncDispose]();
    await untilEmpty(server);
  },
});
