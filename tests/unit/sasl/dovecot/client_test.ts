import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Logger } from "../../../../lib/log/logger.ts";
import { DovecotClient } from "../../../../lib/sasl/dovecot/client.ts";
import type { DovecotSocket } from "../../../../lib/sasl/dovecot/connection.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { dovecotHandshake, FakeDovecot, settled } from "../../../support/fake_dovecot.ts";

interface Bench extends Disposable {
  readonly client: DovecotClient;
  readonly clock: FakeClock;
  /** `level message` of each record. */
  readonly log: string[];
  /** When each attempt to connect was made. */
  readonly attempts: number[];
  /** The other ends of the connections that came about. */
  readonly sockets: FakeDovecot[];
  /** What becomes of the next attempts. */
  isThere: "yes" | "no" | "silent";
}

function bench(): Bench {
  const clock = new FakeClock();
  const log: string[] = [];
  const note = (level: string) => (message: string, fields: Record<string, unknown> = {}): void => {
    log.push(`${level} ${message.replace(/\{(\w+)\}/g, (_, name: string) => String(fields[name]))}`);
  };
  const logger: Logger = { debug: note("debug"), info: note("info"), warning: note("warning"), error: note("error") };
  const sockets: FakeDovecot[] = [];
  const attempts: number[] = [];
  let lastId = 100;
  const client = new DovecotClient({
    address: "unix:/run/dovecot/auth-client",
    connect: (signal): Promise<DovecotSocket> => {
      attempts.push(clock.monotonic());
      if (made.isThere === "no") return Promise.reject(new Error("Connection refused"));
      if (made.isThere === "silent") {
        return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      }
      const socket = new FakeDovecot();
      sockets.push(socket);
      return Promise.resolve(socket);
    },
    clock,
    logger,
    newClientId: () => ++lastId,
  });
  const made: Bench = {
    client,
    clock,
    log,
    attempts,
    sockets,
    isThere: "yes",
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
  return made;
}

function names({ mechanisms }: DovecotClient): string {
  return mechanisms.map(({ name }) => name).join(" ");
}

Deno.test("Before Dovecot has answered, PLAIN and LOGIN are offered and nobody can log in", async () => {
  using made = bench();
  const { client, sockets, log } = made;
  assertEquals(names(client), "PLAIN LOGIN");
  client.start();
  await settled();
  assertEquals(await client.begin("PLAIN"), "unavailable");
  sockets[0]?.say(dovecotHandshake("SCRAM-SHA-256 mutual-auth", "PLAIN plaintext"));
  await settled();
  assertEquals(names(client), "SCRAM-SHA-256 PLAIN");
  assert(typeof await client.begin("SCRAM-SHA-256") === "object");
  assertEquals(log, ["info Dovecot at unix:/run/dovecot/auth-client checks logins: SCRAM-SHA-256 PLAIN"]);
});

Deno.test("While Dovecot is away it is asked again with longer and longer waits, with one line in the log", async () => {
  using made = bench();
  const { client, clock, attempts, log, sockets } = made;
  made.isThere = "no";
  client.start();
  await clock.advance(20_000);
  assertEquals(attempts, [0, 250, 750, 1750, 3750, 7750, 12_750, 17_750]);
  const down = "error Nobody can log in: Dovecot at unix:/run/dovecot/auth-client cannot be used: Connection refused";
  assertEquals(log, [down]);
  made.isThere = "yes";
  await clock.advance(3000);
  sockets[0]?.say(dovecotHandshake("PLAIN plaintext"));
  await settled();
  assertEquals(log, [down, "info Dovecot at unix:/run/dovecot/auth-client checks logins: PLAIN"]);
});

Deno.test("When Dovecot goes, logins are lost, its mechanisms stay on offer, and the log says so once", async () => {
  using made = bench();
  const { client, clock, sockets, log, attempts } = made;
  client.start();
  await settled();
  sockets[0]?.say(dovecotHandshake("CRAM-MD5"));
  await settled();
  const exchange = await client.begin("CRAM-MD5");
  assert(typeof exchange === "object");
  const answer = exchange.start("CRAM-MD5", [], undefined);
  await clock.advance(20_000);
  made.isThere = "no";
  sockets[0]?.end();
  assertEquals(await answer, { kind: "lost" });
  await settled();
  assertEquals(await client.begin("CRAM-MD5"), "unavailable");
  assertEquals(names(client), "CRAM-MD5");
  await clock.advance(60_000);
  assertEquals(attempts.slice(0, 4), [0, 20_000, 20_250, 20_750]);
  assertEquals(log.length, 2);
  assertMatch(log[1] ?? "", /^error .* Connection refused$/);
});

Deno.test("A Dovecot that reloads is asked again at once, without an alarm", async () => {
  using made = bench();
  const { client, clock, sockets, log, attempts } = made;
  client.start();
  await settled();
  sockets[0]?.say(dovecotHandshake("PLAIN plaintext"));
  await settled();
  await client.begin("PLAIN");
  await clock.advance(10_000);
  sockets[0]?.end();
  await settled();
  sockets[1]?.say(dovecotHandshake("LOGIN plaintext"));
  await settled();
  assertEquals(attempts, [0, 10_000]);
  assertEquals(names(client), "LOGIN");
  assertEquals(log.map((line) => line.replace(/ .*: /, " ")), ["info PLAIN", "info LOGIN"]);
  assertEquals(sockets.map(({ lines }) => lines[1]), ["CPID\t101", "CPID\t102"]);
});

Deno.test("Without logins the connection is given up, and the next login makes another, without a line in the log", async () => {
  using made = bench();
  const { client, clock, sockets, attempts, log } = made;
  client.start();
  await settled();
  sockets[0]?.say(dovecotHandshake("PLAIN plaintext"));
  await clock.advance(60_000);
  assertEquals([attempts, sockets[0]?.isClosed, names(client)], [[0], true, "PLAIN"]);
  const begun = [client.begin("PLAIN"), client.begin("PLAIN")];
  await settled();
  sockets[1]?.say(dovecotHandshake("PLAIN plaintext"));
  for (const exchange of await Promise.all(begun)) assert(typeof exchange === "object");
  assertEquals([attempts, log.length], [[0, 60_000], 1]);
});

Deno.test("A Dovecot that went away between two logins is noticed by the next one", async () => {
  using made = bench();
  const { client, clock, sockets, log } = made;
  client.start();
  await settled();
  sockets[0]?.say(dovecotHandshake("PLAIN plaintext"));
  await clock.advance(60_000);
  made.isThere = "no";
  assertEquals(await client.begin("PLAIN"), "unavailable");
  assertEquals(log.map((line) => line.replace(/ .*: /, " ")), ["info PLAIN", "error Connection refused"]);
  made.isThere = "yes";
  await clock.advance(250);
  sockets[1]?.say(dovecotHandshake("PLAIN plaintext"));
  await settled();
  assert(typeof await client.begin("PLAIN") === "object");
  assertEquals(log.length, 3);
});

Deno.test("A mechanism that is gone since EHLO is not asked for", async () => {
  using made = bench();
  const { client, clock, sockets, log } = made;
  client.start();
  await settled();
  sockets[0]?.say(dovecotHandshake("PLAIN plaintext"));
  await clock.advance(60_000);
  const begun = client.begin("PLAIN");
  await settled();
  sockets[1]?.say(dovecotHandshake("CRAM-MD5"));
  assertEquals(await begun, "unavailable");
  assertEquals(log.map((line) => line.replace(/ .*: /, " ")), ["info PLAIN", "info CRAM-MD5"]);
});

Deno.test("A Dovecot that closes at once is not asked without a pause", async () => {
  using made = bench();
  const { client, clock, sockets, attempts, log } = made;
  client.start();
  for (let i = 0; i < 5; i++) {
    await settled();
    sockets.at(-1)?.say(dovecotHandshake("PLAIN plaintext"));
    sockets.at(-1)?.end();
    await settled();
    await clock.advance(clock.nextDueMs ?? 0);
  }
  assertEquals(attempts, [0, 250, 750, 1750, 3750, 7750]);
  assertEquals(
    log[1],
    "error Nobody can log in: Dovecot at unix:/run/dovecot/auth-client cannot be used: it closed the connection",
  );
});

Deno.test("A Dovecot to which no connection comes about is given up after 10 s", async () => {
  using made = bench();
  const { client, clock, log, attempts } = made;
  made.isThere = "silent";
  client.start();
  await clock.advance(10_250);
  assertEquals(attempts, [0, 10_250]);
  assertEquals(log, [
    "error Nobody can log in: Dovecot at unix:/run/dovecot/auth-client cannot be used: No answer within 10000 ms",
  ]);
});

Deno.test("After its end it connects no more, whatever it was doing", async () => {
  for (const state of ["connecting", "shaking hands", "open", "resting", "waiting"]) {
    const made = bench();
    const { client, clock, sockets, log, attempts } = made;
    made.isThere = state === "connecting" ? "silent" : state === "waiting" ? "no" : "yes";
    client.start();
    await settled();
    if (state === "open") sockets[0]?.say(dovecotHandshake("PLAIN plaintext"));
    if (state === "resting") {
      sockets[0]?.say(dovecotHandshake("PLAIN plaintext"));
      await clock.advance(10_000);
    }
    await settled();
    const lines = log.length;
    client[Symbol.dispose]();
    await clock.advance(60_000);
    assertEquals([attempts.length, log.length, clock.sleeping], [1, lines, 0], state);
    assertEquals(sockets.every(({ isClosed }) => isClosed), true, state);
    assertEquals(await client.begin("PLAIN"), "unavailable", state);
  }
});

Deno.test("A login in the moment when the connection is closed for want of logins makes another one", async () => {
  using made = bench();
  const { client, clock, sockets } = made;
  client.start();
  await settled();
  sockets[0]?.say(dovecotHandshake("PLAIN plaintext"));
  await settled();
  let begun: ReturnType<DovecotClient["begin"]> | undefined;
  const socket = sockets[0];
  assert(socket !== undefined);
  const close = socket.close.bind(socket);
  socket.close = (): void => {
    close();
    begun = client.begin("PLAIN");
  };
  await clock.advance(5000);
  sockets[1]?.say(dovecotHandshake("PLAIN plaintext"));
  const exchange = await begun;
  assert(typeof exchange === "object");
  const answer = exchange.start("PLAIN", [], new Uint8Array(1));
  sockets[1]?.say("OK\t1\tuser=alice@example.org\n");
  assertEquals(await answer, { kind: "accepted", user: "alice@example.org" });
});
