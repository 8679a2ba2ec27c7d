import { assert, assertEquals } from "@std/assert";
import type { Logger } from "../../../../lib/log/logger.ts";
import { DovecotClient } from "../../../../lib/sasl/dovecot/client.ts";
import { dovecotOffers } from "../../../../lib/sasl/dovecot/mechanisms.ts";
import type { SaslChannel, SaslMechanism, SaslStep } from "../../../../lib/sasl/mechanism.ts";
import { type SaslServer, saslServer } from "../../../../lib/sasl/mechanisms.ts";
import { LoginThrottle } from "../../../../lib/sasl/throttle.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { dovecotHandshake, FakeDovecot, settled } from "../../../support/fake_dovecot.ts";

const CHANNEL: SaslChannel = { clientAddress: "192.0.2.1", localAddress: "198.51.100.1", isTls: true };
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const PLAIN = encode("\0alice@example.org\0secret");

interface Bench extends Disposable {
  readonly server: SaslServer;
  readonly dovecot: FakeDovecot;
  readonly clock: FakeClock;
  readonly throttle: LoginThrottle;
  readonly log: string[];
  /** Starts an exchange of a mechanism that must be offered. */
  start(name: string, channel?: SaslChannel): SaslMechanism;
  /** One login by PLAIN, and Dovecot's answer to it, `#` standing for the id. */
  plain(answer: string, channel?: SaslChannel): Promise<SaslStep>;
}

async function bench(...mechanisms: readonly string[]): Promise<Bench> {
  const clock = new FakeClock();
  const throttle = new LoginThrottle({ clock });
  const dovecot = new FakeDovecot();
  const log: string[] = [];
  const note = (level: string) => (message: string, fields: Record<string, unknown> = {}): void => {
    log.push(`${level} ${message.replace(/\{(\w+)\}/g, (_, name: string) => String(fields[name]))}`);
  };
  const logger: Logger = { debug: note("debug"), info: note("info"), warning: note("warning"), error: note("error") };
  const client = new DovecotClient({
    address: "unix:/x",
    connect: () => Promise.resolve(dovecot),
    clock,
    logger,
    newClientId: () => 1,
  });
  client.start();
  dovecot.say(dovecotHandshake(...mechanisms));
  await settled();
  dovecot.lines.length = 0;
  log.length = 0;
  const addressOf = (user: string): string | undefined => user.includes("@") ? user.toLowerCase() : undefined;
  const server = saslServer(() => dovecotOffers({ client, throttle, clock, logger, addressOf }), () => undefined);
  const start = (name: string, channel = CHANNEL): SaslMechanism => {
    const mechanism = server.start(name, channel);
    assert(mechanism !== undefined, name);
    return mechanism;
  };
  let id = 0;
  return {
    server,
    dovecot,
    clock,
    throttle,
    log,
    start,
    plain: async (answer, channel) => {
      const result = start("PLAIN", channel).start(PLAIN);
      await settled();
      dovecot.say(`${answer.replace("#", `${++id}`)}\n`);
      return await result;
    },
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

Deno.test("The mechanisms of Dovecot are offered in its order; those that show the password under TLS only", async () => {
  using made = await bench("CRAM-MD5 dictionary active", "PLAIN plaintext", "LOGIN plaintext", "EXTERNAL");
  assertEquals(made.server.mechanisms(CHANNEL), ["CRAM-MD5", "PLAIN", "LOGIN"]);
  assertEquals(made.server.mechanisms({ ...CHANNEL, isTls: false }), ["CRAM-MD5"]);
  assertEquals(made.server.start("PLAIN", { ...CHANNEL, isTls: false }), undefined);
  assertEquals(made.server.start("EXTERNAL", CHANNEL), undefined);
  assertEquals(made.server.start("NTLM", CHANNEL), undefined);
});

Deno.test("Dovecot hears of client and server, TLS, and the one mail address of a verified certificate", async () => {
  using made = await bench("PLAIN plaintext", "EXTERNAL");
  const sent = async (name: string, channel: SaslChannel): Promise<string | undefined> => {
    const mechanism = made.start(name, channel);
    void mechanism.start(new Uint8Array(0));
    await settled();
    const line = made.dovecot.lines.pop();
    mechanism.abort?.();
    return line?.replace(/\t\d+/, "").replaceAll("\t", " ");
  };
  assertEquals(
    await sent("PLAIN", CHANNEL),
    "AUTH PLAIN service=smtp nologin lip=198.51.100.1 rip=192.0.2.1 secured resp==",
  );
  const mapped = { clientAddress: "::ffff:192.0.2.7", localAddress: "fe80::1%eth0", isTls: true };
  assertEquals(await sent("PLAIN", mapped), "AUTH PLAIN service=smtp nologin lip=fe80::1 rip=192.0.2.7 secured resp==");
  const local = { clientAddress: undefined, localAddress: undefined, isTls: true };
  assertEquals(await sent("PLAIN", local), "AUTH PLAIN service=smtp nologin secured resp==");
  const certified = (...emails: readonly string[]): SaslChannel => ({
    ...local,
    clientCertificate: { subject: "CN=x", sha256: "00".repeat(32), emails },
  });
  assertEquals(
    await sent("EXTERNAL", certified("alice@example.org")),
    "AUTH EXTERNAL service=smtp nologin secured valid-client-cert cert_username=alice@example.org resp==",
  );
  assertEquals(made.server.mechanisms(certified()), ["PLAIN"]);
  assertEquals(made.server.mechanisms(certified("alice@example.org", "bob@example.org")), ["PLAIN"]);
  assertEquals(
    await sent("EXTERNAL", certified("a\tresp=x@example.org")),
    "AUTH EXTERNAL service=smtp nologin secured valid-client-cert cert_username=a\x01tresp=x@example.org resp==",
  );
});

Deno.test("Each answer of Dovecot is a result, with a line in the log that holds no secret", async () => {
  const refused = { kind: "done", result: { kind: "refused" } };
  const nameless = { kind: "done", result: { kind: "refused", reason: "your login name is no mail address" } };
  const unavailable = { kind: "done", result: { kind: "unavailable" } };
  const cases: readonly (readonly [string, unknown, string | undefined])[] = [
    [
      "OK\t#\tuser=Alice@example.org",
      { kind: "done", result: { kind: "accepted", address: "alice@example.org" } },
      undefined,
    ],
    [
      "OK\t#\tuser=alice",
      nameless,
      'warning Login from 192.0.2.1 refused: Dovecot accepts it, but its name for the user, "alice", is no mail address',
    ],
    [
      "OK\t#",
      nameless,
      'warning Login from 192.0.2.1 refused: Dovecot accepts it, but its name for the user, "", is no mail address',
    ],
    ["FAIL\t#\tuser=secret", refused, "info Login from 192.0.2.1 refused by Dovecot: wrong name or password"],
    ["FAIL\t#\tuser_disabled", refused, "info Login from 192.0.2.1 refused by Dovecot: the user is disabled"],
    ["FAIL\t#\tcode=pass_expired", refused, "info Login from 192.0.2.1 refused by Dovecot: the password has expired"],
    [
      "FAIL\t#\tcode=authz_fail",
      refused,
      "info Login from 192.0.2.1 refused by Dovecot: the user may not act for the other one",
    ],
    [
      "FAIL\t#\ttemp\treason=secret",
      unavailable,
      "warning Login from 192.0.2.1 not checked: Dovecot has a temporary failure; its log says why",
    ],
    ["OK\tsecret", unavailable, "warning Login from 192.0.2.1 not checked: no answer from Dovecot"],
  ];
  for (const [answer, step, line] of cases) {
    using made = await bench("PLAIN plaintext");
    assertEquals(await made.plain(answer), step as SaslStep, answer);
    assertEquals(made.log.filter((entry) => entry.includes("Login")), line === undefined ? [] : [line]);
    assertEquals(made.log.join().includes("secret"), false);
  }
});

Deno.test("While Dovecot is away, a login is unavailable", async () => {
  using made = await bench("PLAIN plaintext");
  made.dovecot.end();
  await settled();
  assertEquals(made.server.mechanisms(CHANNEL), ["PLAIN"]);
  assertEquals(await made.start("PLAIN").start(PLAIN), { kind: "done", result: { kind: "unavailable" } });
});

Deno.test("Challenges and responses are passed on as they are", async () => {
  using made = await bench("LOGIN plaintext");
  const { dovecot } = made;
  const login = made.start("login");
  const first = login.start();
  dovecot.say("CONT\t1\tVXNlcm5hbWU6\n");
  assertEquals(await first, { kind: "challenge", octets: encode("Username:") });
  const second = login.step(encode("alice@example.org"));
  dovecot.say("CONT\t1\tUGFzc3dvcmQ6\n");
  assertEquals(await second, { kind: "challenge", octets: encode("Password:") });
  const third = login.step(encode("secret"));
  dovecot.say("OK\t1\tuser=alice@example.org\n");
  assertEquals(await third, { kind: "done", result: { kind: "accepted", address: "alice@example.org" } });
  await settled();
  assertEquals(dovecot.lines.slice(1), ["CONT\t1\tYWxpY2VAZXhhbXBsZS5vcmc=", "CONT\t1\tc2VjcmV0"]);
});

Deno.test("A client that gives up is cancelled at Dovecot", async () => {
  using made = await bench("LOGIN plaintext");
  const login = made.start("LOGIN");
  const first = login.start();
  made.dovecot.say("CONT\t1\t\n");
  await first;
  login.abort?.();
  await settled();
  assertEquals(made.dovecot.lines.at(-1), "CANCEL\t1");
  made.start("LOGIN").abort?.();
});

Deno.test("Failures slow the next login down, by account from any address, and a success ends that", async () => {
  using made = await bench("PLAIN plaintext");
  const { clock, dovecot, throttle } = made;
  await made.plain("FAIL\t#");
  assertEquals(throttle.size, { accounts: 1, addresses: 1, waiting: 0 });
  const elsewhere = { ...CHANNEL, clientAddress: "203.0.113.9" };
  const lines = dovecot.lines.length;
  const next = made.start("PLAIN", elsewhere).start(encode("\0ALICE@example.org\0other"));
  await settled();
  assertEquals([dovecot.lines.length, clock.nextDueMs], [lines, 1000], "Dovecot is not asked yet");
  await clock.advance(1000);
  assertEquals(dovecot.lines.length, lines + 1);
  dovecot.say("OK\t2\tuser=alice@example.org\n");
  assertEquals(await next, { kind: "done", result: { kind: "accepted", address: "alice@example.org" } });
  assertEquals(throttle.size, { accounts: 0, addresses: 1, waiting: 0 });
});

Deno.test("What Dovecot could not check is no failure", async () => {
  using made = await bench("PLAIN plaintext");
  await made.plain("FAIL\t#\ttemp");
  await made.plain("OK\t#\tuser=alice");
  assertEquals(made.throttle.size.addresses, 0);
});

Deno.test("Too many attempts at a time are turned away, and give their places at Dovecot free", async () => {
  using made = await bench("PLAIN plaintext");
  const { clock, dovecot } = made;
  await made.plain("FAIL\t#");
  const waiting = Array.from({ length: 4 }, () => made.start("PLAIN").start(PLAIN));
  await settled();
  assertEquals(await made.start("PLAIN").start(PLAIN), { kind: "done", result: { kind: "busy" } });
  assertEquals(made.log.at(-1), "warning Login from 192.0.2.1 not checked: too many attempts are waiting");
  await clock.advance(1000);
  dovecot.say("FAIL\t2\nFAIL\t3\nFAIL\t4\nFAIL\t5\n");
  await Promise.all(waiting);
  assertEquals(made.throttle.size.waiting, 0);
});

Deno.test("SCRAM: the wait comes with the name, and the empty response at the end needs no turn", async () => {
  using made = await bench("SCRAM-SHA-256 mutual-auth", "PLAIN plaintext");
  const { clock, dovecot, throttle } = made;
  await made.plain("FAIL\t#");
  const scram = made.start("SCRAM-SHA-256");
  const first = scram.start(encode("n,,n=alice@example.org,r=nonce"));
  await clock.advance(1000);
  dovecot.say("CONT\t2\t\n");
  assertEquals((await first).kind, "challenge");
  const second = scram.step(encode("c=biws,r=nonce,p=proof"));
  dovecot.say("CONT\t2\t\n");
  assertEquals((await second).kind, "challenge");
  const third = scram.step(new Uint8Array(0));
  dovecot.say("OK\t2\tuser=alice@example.org\n");
  assertEquals((await third).kind, "done");
  assertEquals(throttle.size, { accounts: 0, addresses: 0, waiting: 0 });
});

Deno.test("Where the name cannot be read, failures count by the address of the client alone", async () => {
  using made = await bench("GSSAPI");
  const { clock, dovecot } = made;
  const guess = (channel: SaslChannel): SaslStep | Promise<SaslStep> =>
    made.start("GSSAPI", channel).start(encode("x"));
  const first = guess(CHANNEL);
  dovecot.say("FAIL\t1\n");
  await first;
  const other = guess({ ...CHANNEL, clientAddress: "203.0.113.9" });
  dovecot.say("FAIL\t2\n");
  await other;
  assertEquals(clock.monotonic(), 0, "nobody has waited");
  void guess(CHANNEL);
  await settled();
  assertEquals(clock.nextDueMs, 1000);
  await clock.advance(1000);
});
