import { assertEquals, assertMatch } from "@std/assert";
import { bindListener } from "../../../lib/inbound/bind.ts";
import type { Logger } from "../../../lib/log/logger.ts";
import { Client } from "../../support/conversation.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { type InboundFixture, type InboundFixtureOptions, startInbound } from "../../support/inbound_server.ts";

const REFUSAL = "554 5.5.0 You sent something before this server greeted; closing connection";
const encoder = new TextEncoder();

/** What a client reads that sends something before anybody has accepted its connection. */
async function talkEarly(options: InboundFixtureOptions, text: string): Promise<string> {
  await using server = await startInbound(options);
  const service = options.service ?? "mx";
  const listener = await bindListener(
    { bind: { kind: "tcp", host: "127.0.0.1", port: 0 }, service, tls: "off" },
    () => {
      throw new Error("there is no TLS");
    },
  );
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: (listener.addr as Deno.NetAddr).port });
  await conn.write(encoder.encode(text));
  server.server.serve(listener);
  const buffer = new Uint8Array(1000);
  const count = await conn.read(buffer);
  return new TextDecoder().decode(buffer.subarray(0, count ?? 0)).split("\r\n")[0] ?? "";
}

/** Lets the server do what it can without the clock. */
async function untilConnected(server: InboundFixture): Promise<void> {
  while (server.server.connectionCount === 0) await new Promise((done) => setTimeout(done, 1));
}

Deno.test("octets that are there at the accept are an early talker's on an mx port, and nothing of them is carried out", async () => {
  assertEquals(await talkEarly({}, "EHLO client.test\r\n"), REFUSAL);
  assertEquals(await talkEarly({}, "\n"), REFUSAL);
  assertEquals(await talkEarly({}, "QUIT\r\n"), REFUSAL);
});

Deno.test("who submits, delivers by LMTP or is in relay_from is greeted at once", async () => {
  for (const options of [{ service: "submission" }, { service: "lmtp" }, { relayFrom: ["127.0.0.1"] }] as const) {
    assertMatch(await talkEarly(options, "NOOP\r\n"), /^220 mx\.test /);
    const clock = new FakeClock();
    await using server = await startInbound({ ...options, clock, greetDelayMs: 6_000 });
    await using client = await Client.connect(server.port);
    assertMatch(await client.line(), /^220 mx\.test /);
  }
});

Deno.test("with greet_delay a client is greeted after it, and refused where it talks meanwhile", async () => {
  const clock = new FakeClock();
  const lines: string[] = [];
  const take = (template: string): unknown => lines.push(template);
  const logger: Logger = { debug: () => {}, info: take, warning: take, error: take };
  await using server = await startInbound({ clock, greetDelayMs: 6_000, logger });
  await using patient = await Client.connect(server.port);
  await using early = await Client.connect(server.port);
  await clock.untilSleeping(3);
  await clock.advance(5_000);
  early.send("HELO client.test\r\nMAIL FROM:<bob@client.test>\r\n");
  assertEquals(await early.line(), REFUSAL);
  assertEquals(await early.line(), "(closed)");
  assertEquals(lines, ["Closed connection from {client}: it sent {octets} octets before the greeting"]);
  await clock.advance(1_000);
  assertMatch(await patient.line(), /^220 mx\.test /);
  patient.send("HELO client.test\r\n");
  assertEquals(await patient.line(), "250 mx.test");
});

Deno.test("the time for the first command begins with the greeting", async () => {
  const clock = new FakeClock();
  await using server = await startInbound({ clock, greetDelayMs: 6_000, timeouts: { commandMs: 10_000 } });
  await using client = await Client.connect(server.port);
  await clock.untilSleeping(2);
  await clock.advance(15_000);
  assertMatch(await client.line(), /^220 /);
  assertEquals(server.server.connectionCount, 1);
  await clock.advance(2_000);
  assertEquals(await client.line(), "421 4.4.2 mx.test waited too long for you; closing connection");
});

Deno.test("a client that goes away, and a stop of the server, end the wait before the greeting", async () => {
  const clock = new FakeClock();
  await using server = await startInbound({ clock, greetDelayMs: 6_000 });
  const leaving = await Client.connect(server.port);
  await untilConnected(server);
  await leaving[Symbol.asyncDispose]();
  while (server.server.connectionCount > 0) await new Promise((done) => setTimeout(done, 1));
  await using waiting = await Client.connect(server.port);
  await untilConnected(server);
  const stopped = server.server.stop(1_000);
  assertEquals(await waiting.line(), "421 4.3.2 mx.test is shutting down; try again later");
  assertEquals(await waiting.line(), "(closed)");
  await stopped;
});
