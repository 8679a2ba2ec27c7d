import { assert, assertEquals } from "@std/assert";
import {
  ANSWER_LIMIT_MS,
  DovecotConnection,
  type DovecotExchange,
  HANDSHAKE_LIMIT_MS,
  IDLE_LIMIT_MS,
  IdleError,
} from "../../../../lib/sasl/dovecot/connection.ts";
import type { DovecotMechanism } from "../../../../lib/sasl/dovecot/handshake.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { dovecotHandshake, FakeDovecot, settled } from "../../../support/fake_dovecot.ts";

const HANDSHAKE = dovecotHandshake("PLAIN plaintext", "LOGIN plaintext", "SCRAM-SHA-256 mutual-auth");
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

interface Bench {
  readonly dovecot: FakeDovecot;
  readonly clock: FakeClock;
  readonly connection: DovecotConnection;
  readonly ended: Promise<Error>;
  /** What it offers; undefined before the handshake is done. */
  mechanisms(): readonly DovecotMechanism[] | undefined;
}

function bench(): Bench {
  const dovecot = new FakeDovecot();
  const clock = new FakeClock();
  const connection = new DovecotConnection({ socket: dovecot, clock, clientId: 99 });
  let mechanisms: readonly DovecotMechanism[] | undefined;
  const ended = connection.run((offered) => mechanisms = offered);
  return { dovecot, clock, connection, ended, mechanisms: () => mechanisms };
}

/** A connection after the handshake; what was sent for it is forgotten. */
async function opened(): Promise<Bench> {
  const made = bench();
  made.dovecot.say(HANDSHAKE);
  await settled();
  made.dovecot.lines.length = 0;
  return made;
}

function begun(connection: DovecotConnection): DovecotExchange {
  const exchange = connection.begin();
  assert(exchange !== undefined);
  return exchange;
}

const enough = new Error("enough");

Deno.test("The handshake names us, and the mechanisms are known at its end", async () => {
  const { dovecot, mechanisms, connection, ended, clock } = bench();
  dovecot.say(HANDSHAKE.slice(0, -5));
  await settled();
  assertEquals(dovecot.lines, ["VERSION\t1\t1", "CPID\t99"]);
  assertEquals(mechanisms(), undefined);
  dovecot.say("DONE\n");
  await settled();
  assertEquals(mechanisms(), [
    { name: "PLAIN", isPlaintext: true },
    { name: "LOGIN", isPlaintext: true },
    { name: "SCRAM-SHA-256", isPlaintext: false },
  ]);
  assertEquals(clock.nextDueMs, IDLE_LIMIT_MS, "the limit of the handshake is over");
  connection.close(enough);
  assertEquals(await ended, enough);
  assert(dovecot.isClosed);
});

Deno.test("What names nobody, is not for clients, or binds to TLS is not offered", async () => {
  const { dovecot, mechanisms, connection } = bench();
  dovecot.say(
    dovecotHandshake(
      "ANONYMOUS anonymous",
      "ANONYMOUS",
      "NOBODY anonymous",
      "APOP private dictionary active",
      "SCRAM-SHA-256-PLUS mutual-auth channel-binding",
      "SCRAM-SHA-1-PLUS",
      "CRAM-MD5 dictionary active",
      "CRAM-MD5",
      "EXTERNAL",
    ),
  );
  await settled();
  assertEquals(mechanisms()?.map(({ name }) => name), ["CRAM-MD5", "EXTERNAL"]);
  connection.close(enough);
});

Deno.test("A handshake that is none breaks the connection, and says what is wrong", async () => {
  const cases: Readonly<Record<string, string>> = {
    "220 mail.example.org ESMTP\r\n": "it does not speak the authentication protocol",
    "\n": "it does not speak the authentication protocol",
    "MECH\tPLAIN\nVERSION\t1\t1\n": "it does not speak the authentication protocol",
    "VERSION\t1\t1\nVERSION\t1\t1\n": "it does not speak the authentication protocol",
    "VERSION\t2\t0\nDONE\n": "it speaks version 2 of the authentication protocol",
    "VERSION\tx\n": "it sends a line without a valid version",
    "VERSION\t1\t1\nMECH\tPL/AIN\n": "it offers a mechanism without a valid name",
    "VERSION\t1\t1\nOK\t1\tuser=a\nDONE\n": "it answers before it was asked",
    "VERSION\t1\t1\nFAIL\t1\n": "it answers before it was asked",
    "VERSION\t1\t1\nCONT\t1\t\n": "it answers before it was asked",
    [`VERSION\t1\t1\n${"MECH\tPLAIN\n".repeat(100)}`]: "it sends a handshake without an end",
    ["x".repeat(16_384)]: "it sends a line that is too long",
  };
  for (const [handshake, expected] of Object.entries(cases)) {
    const { dovecot, ended, mechanisms } = bench();
    dovecot.say(handshake);
    assertEquals((await ended).message, expected);
    assertEquals(mechanisms(), undefined);
    assert(dovecot.isClosed);
  }
});

Deno.test("A handshake that breaks off or does not come breaks the connection", async () => {
  for (let length = 0; length < HANDSHAKE.length; length++) {
    const { dovecot, ended, clock, mechanisms } = bench();
    dovecot.say(HANDSHAKE.slice(0, length));
    dovecot.end();
    assertEquals((await ended).message, "it closed the connection");
    assertEquals([clock.sleeping, mechanisms()], [0, undefined]);
  }
  const { dovecot, ended, clock } = bench();
  dovecot.say(HANDSHAKE.slice(0, -1));
  await clock.advance(HANDSHAKE_LIMIT_MS);
  assertEquals((await ended).message, "it has not finished the handshake in 10 s");
});

Deno.test("Handshake and answers are the same wherever the stream is cut", async () => {
  const handshake = encode(HANDSHAKE);
  for (const stream of cuts(handshake)) {
    const { dovecot, connection, mechanisms } = bench();
    for (const piece of stream) dovecot.say(piece);
    await settled();
    assertEquals(mechanisms()?.length, 3);
    connection.close(enough);
  }
  const answers = encode("NEWS\t1\nCONT\t1\tAAE=\nFAIL\t2\ttemp\nOK\t3\tuser=zo\u00eb@example.org\tx\n");
  for (const stream of cuts(answers)) {
    const { dovecot, connection } = await opened();
    const asked = [1, 2, 3].map(() => begun(connection).start("PLAIN", ["service=smtp"], undefined));
    for (const piece of stream) dovecot.say(piece);
    assertEquals(await Promise.all(asked), [
      { kind: "challenge", octets: Uint8Array.of(0, 1) },
      { kind: "refused", code: "temporary" },
      { kind: "accepted", user: "zo\u00eb@example.org" },
    ]);
    connection.close(enough);
  }
});

/** The octets cut in two at each place, and octet by octet. */
function cuts(octets: Uint8Array): Uint8Array[][] {
  const inTwo = Array.from(octets.keys(), (at) => [octets.subarray(0, at), octets.subarray(at)]);
  return [...inTwo, Array.from(octets, (octet) => Uint8Array.of(octet))];
}

Deno.test("An exchange goes to and fro under its id, with base64", async () => {
  const { dovecot, connection, clock } = await opened();
  const exchange = begun(connection);
  const first = exchange.start("LOGIN", ["service=smtp", "secured"], undefined);
  dovecot.say("CONT\t1\tVXNlcm5hbWU6\n");
  assertEquals(await first, { kind: "challenge", octets: encode("Username:") });
  const second = exchange.respond(encode("alice"));
  dovecot.say("CONT\t1\t\n");
  assertEquals(await second, { kind: "challenge", octets: new Uint8Array(0) });
  const third = exchange.respond(new Uint8Array(0));
  dovecot.say("OK\t1\tuser=alice@example.org\n");
  assertEquals(await third, { kind: "accepted", user: "alice@example.org" });
  exchange.end();
  await settled();
  const sent = ["AUTH\t1\tLOGIN\tservice=smtp\tsecured", "CONT\t1\tYWxpY2U=", "CONT\t1\t"];
  assertEquals(dovecot.lines, sent, "what is over is not cancelled");
  assertEquals(clock.sleeping, 1, "it is idle, and waits for nothing else");
  connection.close(enough);
});

Deno.test("An initial response is the last parameter, and the empty one is =", async () => {
  const { dovecot, connection } = await opened();
  void begun(connection).start("PLAIN", ["service=smtp"], encode("\0a\0b"));
  void begun(connection).start("EXTERNAL", ["service=smtp"], new Uint8Array(0));
  await settled();
  assertEquals(dovecot.lines, [
    "AUTH\t1\tPLAIN\tservice=smtp\tresp=AGEAYg==",
    "AUTH\t2\tEXTERNAL\tservice=smtp\tresp==",
  ]);
  connection.close(enough);
});

Deno.test("Exchanges run at the same time, and their answers come in any order", async () => {
  const { dovecot, connection } = await opened();
  const answers = [1, 2, 3].map(() => begun(connection).start("PLAIN", [], encode("x")));
  dovecot.say("OK\t3\tuser=c\nFAIL\t1\tuser=a\nOK\t2\tuser=b\n");
  assertEquals(await Promise.all(answers), [
    { kind: "refused", code: undefined },
    { kind: "accepted", user: "b" },
    { kind: "accepted", user: "c" },
  ]);
  connection.close(enough);
});

Deno.test("A client that gives up is cancelled, and an answer that comes too late is passed over", async () => {
  const { dovecot, connection, clock } = await opened();
  const exchange = begun(connection);
  const first = exchange.start("LOGIN", [], undefined);
  dovecot.say("CONT\t1\t\n");
  await first;
  exchange.end();
  exchange.end();
  begun(connection).end();
  dovecot.say("FAIL\t1\tuser=a\nOK\t77\tuser=b\n");
  const next = begun(connection).start("PLAIN", [], encode("x"));
  dovecot.say("OK\t3\tuser=c\n");
  assertEquals(await next, { kind: "accepted", user: "c" });
  await settled();
  assertEquals(dovecot.lines, ["AUTH\t1\tLOGIN", "CANCEL\t1", "AUTH\t3\tPLAIN\tresp=eA=="]);
  assertEquals(await exchange.respond(encode("x")), { kind: "lost" });
  assertEquals(clock.sleeping, 1, "it is idle, and waits for nothing else");
  connection.close(enough);
});

Deno.test("Dovecot may lose its patience with a client that does not respond", async () => {
  const { dovecot, connection } = await opened();
  const exchange = begun(connection);
  const first = exchange.start("LOGIN", [], undefined);
  dovecot.say("CONT\t1\t\n");
  await first;
  dovecot.say("FAIL\t1\treason=Authentication request timed out\n");
  await settled();
  assertEquals(await exchange.respond(encode("x")), { kind: "refused", code: undefined });
  assertEquals(dovecot.lines, ["AUTH\t1\tLOGIN"]);
  connection.close(enough);
});

Deno.test("What cannot come now breaks the connection, and all who wait get no answer", async () => {
  const cases: Readonly<Record<string, string>> = {
    "VERSION\t1\t1\n": "it begins a handshake in the middle of the connection",
    "DONE\n": "it begins a handshake in the middle of the connection",
    "CONT\t1\t\nCONT\t1\t\n": "it goes on before the response to its challenge",
    "CONT\t1\t\nOK\t1\tuser=a\n": "it goes on before the response to its challenge",
    "OK\t2\tuser=b\n": "it answers before it was asked",
    "CONT\t1\t!\n": "it sends a challenge that is not base64",
    "OK\tone\n": "it sends a line without a valid id",
  };
  for (const [text, expected] of Object.entries(cases)) {
    const { dovecot, connection, ended, clock } = await opened();
    const [asked, other] = [begun(connection), begun(connection)];
    const answer = asked.start("PLAIN", [], encode("x"));
    dovecot.say(text);
    assertEquals((await ended).message, expected);
    assertEquals((await answer).kind, text.startsWith("CONT\t1\t\n") ? "challenge" : "lost");
    assertEquals(await asked.respond(encode("x")), { kind: "lost" });
    assertEquals(await other.start("PLAIN", [], encode("x")), { kind: "lost" });
    assertEquals(await begun(connection).start("PLAIN", [], encode("x")), { kind: "lost" });
    assertEquals(clock.sleeping, 0);
  }
});

Deno.test("Where Dovecot is silent, the connection is broken after a minute", async () => {
  const { dovecot, connection, ended, clock } = await opened();
  const answer = begun(connection).start("PLAIN", [], encode("x"));
  await clock.advance(ANSWER_LIMIT_MS - 1);
  assertEquals(dovecot.isClosed, false);
  await clock.advance(1);
  assertEquals(await answer, { kind: "lost" });
  assertEquals((await ended).message, "it has not answered for 60 s");
  assertEquals(clock.sleeping, 0);
});

Deno.test("Where Dovecot answers others, a login that hangs is cancelled alone", async () => {
  const { dovecot, connection, clock } = await opened();
  const hanging = begun(connection).start("PLAIN", [], encode("x"));
  const other = begun(connection).start("PLAIN", [], encode("x"));
  dovecot.say("OK\t2\tuser=b\n");
  await other;
  await clock.advance(ANSWER_LIMIT_MS);
  assertEquals(await hanging, { kind: "lost" });
  assertEquals(dovecot.lines.at(-1), "CANCEL\t1");
  assertEquals(dovecot.isClosed, false);
  connection.close(enough);
});

Deno.test("A thousand exchanges are open at most", async () => {
  const { connection } = await opened();
  const exchanges = Array.from({ length: 1000 }, () => begun(connection));
  assertEquals(connection.begin(), undefined);
  exchanges[500]?.end();
  assert(connection.begin() !== undefined);
  assertEquals(connection.begin(), undefined);
  connection.close(enough);
});

Deno.test("Octets that Dovecot does not take are bounded", async () => {
  const { dovecot, connection, ended } = await opened();
  dovecot.isStuck = true;
  const answers = Array.from({ length: 70 }, () => begun(connection).start("GSSAPI", [], new Uint8Array(12_000)));
  assertEquals((await ended).message, "it does not read what it is sent");
  for (const answer of answers) assertEquals(await answer, { kind: "lost" });
});

Deno.test("A response that does not fit into a line ends its exchange alone", async () => {
  const { dovecot, connection } = await opened();
  const exchange = begun(connection);
  const first = exchange.start("GSSAPI", [], undefined);
  dovecot.say("CONT\t1\t\n");
  await first;
  assertEquals(await exchange.respond(new Uint8Array(12_288)), { kind: "lost" });
  await settled();
  assertEquals(dovecot.lines, ["AUTH\t1\tGSSAPI", "CANCEL\t1"]);
  assertEquals(dovecot.isClosed, false);
  connection.close(enough);
});

Deno.test("Without an exchange the connection is closed after 5 s, and never while there is one", async () => {
  const { dovecot, connection, ended, clock } = await opened();
  await clock.advance(IDLE_LIMIT_MS - 1);
  const first = begun(connection);
  const second = begun(connection);
  await clock.advance(10 * IDLE_LIMIT_MS);
  first.end();
  await clock.advance(10 * IDLE_LIMIT_MS);
  second.end();
  await clock.advance(IDLE_LIMIT_MS - 1);
  assertEquals(dovecot.isClosed, false);
  await clock.advance(1);
  assert(await ended instanceof IdleError);
  assert(dovecot.isClosed);
  assertEquals(clock.sleeping, 0);
});
