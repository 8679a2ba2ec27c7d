import { assertEquals, assertStrictEquals } from "@std/assert";
import { ConnectionPool } from "../../../../lib/delivery/remote/pool.ts";
import type { Session } from "../../../../lib/delivery/remote/session.ts";
import { SmtpConnection } from "../../../../lib/smtp/client/connection.ts";
import { systemClock } from "../../../../lib/system/clock.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { TEST_LIMITS } from "../../../support/remote_delivery.ts";
import { type ScriptedPeer, startPeer } from "../../../support/scripted_peer.ts";

async function connect(peer: ScriptedPeer, openedMs = 0): Promise<Session> {
  const address = { host: peer.host, port: peer.port };
  const connection = new SmtpConnection({
    address,
    protocol: "smtp",
    hostname: "client.test",
    limits: TEST_LIMITS,
    clock: systemClock,
  });
  await connection.open();
  return { host: { name: "mx.test", address }, connection, openedMs };
}

Deno.test("a connection is given out again for its own key only, the latest first", async () => {
  await using peer = startPeer();
  await using pool = new ConnectionPool({ clock: new FakeClock() });
  const [first, second] = [await connect(peer), await connect(peer)];
  pool.give(["a"], first);
  pool.give(["a"], second);
  assertEquals(pool.take("b"), undefined);
  assertStrictEquals(pool.take("a"), second);
  assertStrictEquals(pool.take("a"), first);
  assertEquals(pool.take("a"), undefined);
  pool.give(["a"], first);
  pool.give(["a"], second);
});

Deno.test("an idle connection is closed with QUIT when its time is over", async () => {
  const quit = Promise.withResolvers<void>();
  const answerQuit = (): undefined => quit.resolve() as undefined;
  await using peer = startPeer({ replies: { quit: answerQuit } });
  const clock = new FakeClock();
  await using pool = new ConnectionPool({ clock, idleMs: 5_000 });
  pool.give(["a"], await connect(peer));
  await clock.advance(5_000);
  assertEquals([pool.idleConnections, pool.take("a")], [0, undefined]);
  await quit.promise;
});

for (
  const [what, options, openedMs] of [
    ["that carried enough messages", { maxTransactions: 0 }, 0],
    ["that is too old", { maxAgeMs: 1_000 }, -1_000],
    ["beyond the number of idle ones", { maxIdle: 0 }, 0],
  ] as const
) {
  Deno.test(`a connection ${what} is not kept`, async () => {
    await using peer = startPeer();
    await using pool = new ConnectionPool({ clock: new FakeClock(), ...options });
    pool.give(["a"], await connect(peer, openedMs));
    assertEquals([pool.idleConnections, pool.take("a")], [0, undefined]);
  });
}

Deno.test("a connection that is given back after the end is closed", async () => {
  await using peer = startPeer();
  const pool = new ConnectionPool({ clock: new FakeClock() });
  const [kept, used] = [await connect(peer), await connect(peer)];
  pool.give(["a"], kept);
  await pool[Symbol.asyncDispose]();
  pool.give(["a"], used);
  await pool[Symbol.asyncDispose]();
  assertEquals([kept.connection.isReusable, used.connection.isReusable], [false, false]);
  assertEquals(peer.commands, ["QUIT", "QUIT"]);
});

Deno.test("a connection with two keys is given out once, under either of them", async () => {
  await using peer = startPeer();
  await using pool = new ConnectionPool({ clock: new FakeClock() });
  const [first, second] = [await connect(peer), await connect(peer)];
  pool.give(["hop a", "host"], first);
  pool.give(["hop b", "host"], second);
  assertEquals(pool.idleConnections, 2);
  assertStrictEquals(pool.take("host"), second);
  assertEquals(pool.take("hop b"), undefined);
  assertStrictEquals(pool.take("hop a"), first);
  assertEquals([pool.take("host"), pool.idleConnections], [undefined, 0]);
  pool.give(["hop a", "host"], first);
  pool.give(["hop b", "host"], second);
});

Deno.test("a peer that says 421 on one connection is left alone on all others", async () => {
  await using peer = startPeer({ replies: { rset: (_, talk) => talk.number === 3 ? "421 4.4.2 Enough" : undefined } });
  await using pool = new ConnectionPool({ clock: new FakeClock() });
  const [first, second, third] = [await connect(peer), await connect(peer), await connect(peer)];
  pool.give(["a", "host"], first);
  pool.give(["b"], second);
  await third.connection.command("RSET");
  pool.give(["c", "host"], third);
  assertEquals([pool.idleConnections, pool.take("a"), pool.take("host")], [1, undefined, undefined]);
});
