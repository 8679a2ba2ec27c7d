import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { Logger } from "@logtape/logtape";
import fc from "fast-check";
import type { Account } from "../../../../lib/config/config.ts";
import type { SaslChannel, SaslMechanism, SaslStep } from "../../../../lib/sasl/mechanism.ts";
import { type SaslServer, saslServer } from "../../../../lib/sasl/mechanisms.ts";
import { scramMechanism } from "../../../../lib/sasl/scram/mechanism.ts";
import { scramOffers } from "../../../../lib/sasl/scram/offers.ts";
import {
  formatVerifier,
  makeVerifier,
  parseVerifier,
  type ScramVerifier,
} from "../../../../lib/sasl/scram/verifier.ts";
import { LoginThrottle } from "../../../../lib/sasl/throttle.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { scramClient, type ScramClientOptions } from "../../../support/scram_client.ts";

const SALT = Uint8Array.fromBase64("W22ZaJ0SNY7soEsUEjb6gQ==");
const VERIFIER = await makeVerifier("pencil", SALT, 4096);
const END_POINT = new Uint8Array(32).fill(7);
const PLAIN_CHANNEL: SaslChannel = { clientAddress: "192.0.2.1", localAddress: undefined, isTls: true };
const CHANNEL: SaslChannel = { ...PLAIN_CHANNEL, serverEndPoint: END_POINT };
const ALL = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"];

const octets = (text: string): Uint8Array => new TextEncoder().encode(text);

async function describe(waiting: SaslStep | Promise<SaslStep>): Promise<string> {
  const step = await waiting;
  if (step.kind === "challenge") return new TextDecoder().decode(step.octets);
  if (step.kind === "invalid") return `invalid: ${step.reason}`;
  const { result } = step;
  if (result.kind === "accepted") return `accepted: ${result.address}`;
  return result.kind === "refused" && result.reason !== undefined ? `refused: ${result.reason}` : result.kind;
}

/** The account of the example in RFC 7677, and what else the server needs. */
function bench(
  wanted: readonly string[] | undefined = ALL,
  decoys: readonly string[] = [],
): { server: SaslServer; lines: string[]; throttle: LoginThrottle } {
  const clock = new FakeClock();
  const throttle = new LoginThrottle({ clock });
  const lines: string[] = [];
  const take = (message: string, fields: Record<string, unknown>): void => {
    lines.push(message.replace(/\{(\w+)\}/g, (_, name) => String(fields[name])));
  };
  const accounts: readonly Account[] = [
    { address: "user@example.org", scram: formatVerifier(VERIFIER) },
    { address: "none@example.org" },
  ];
  const findAccount = (identity: string): Account | undefined =>
    accounts.find(({ address }) => address === identity || address === `${identity}@example.org`);
  const offers = scramOffers({
    throttle,
    clock,
    logger: { info: take, warning: take } as unknown as Logger,
    findAccount,
    canonicalName: (identity) => identity.includes("@") ? identity : `${identity}@example.org`,
    decoys: () => decoys,
    secret: new Uint8Array(32).fill(9),
    randomOctets: (into) => void crypto.getRandomValues(into),
    isUsable: () => true,
  });
  return { server: saslServer(() => offers, () => wanted), lines, throttle };
}

function mechanismOf(server: SaslServer, name: string, channel: SaslChannel): SaslMechanism {
  const mechanism = server.start(name, channel);
  assert(mechanism !== undefined, `${name} is not offered`);
  return mechanism;
}

/** Plays a whole exchange; returns how it ends. */
async function play(
  options: ScramClientOptions,
  { name = "SCRAM-SHA-256", channel = CHANNEL, server = bench().server }: {
    name?: string;
    channel?: SaslChannel;
    server?: SaslServer;
  } = {},
): Promise<string> {
  const mechanism = mechanismOf(server, name, channel);
  const client = scramClient(options);
  const first = await describe(mechanism.start(octets(client.first)));
  if (!first.startsWith("r=")) return first;
  const last = await describe(mechanism.step(octets(client.final(first))));
  if (!last.startsWith("v=")) return last;
  assertEquals(last, client.expected, "the server proves itself");
  return await describe(mechanism.step(new Uint8Array(0)));
}

Deno.test("The exchange of RFC 7677 §3 has exactly these octets", async () => {
  const nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  const mechanism = scramMechanism({
    accounts: {
      find: () => VERIFIER,
      judge: (_, _channel, isRight) =>
        Promise.resolve(isRight() ? { kind: "accepted", address: "user" } : { kind: "refused" }),
      noteBinding: () => {},
    },
    channel: PLAIN_CHANNEL,
    isPlus: false,
    isPlusOffered: false,
    nonce,
  });
  assertEquals(await describe(mechanism.start()), "");
  assertEquals(
    await describe(mechanism.step(octets("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"))),
    `r=rOprNGfwEbeRWgbNEkqO${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`,
  );
  assertEquals(
    await describe(
      mechanism.step(
        octets(`c=biws,r=rOprNGfwEbeRWgbNEkqO${nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`),
      ),
    ),
    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
  );
  assertEquals(await describe(mechanism.step(new Uint8Array(0))), "accepted: user");
});

Deno.test("The right password logs in, with and without channel binding, and as nobody else", async () => {
  assertEquals(await play({}, { channel: PLAIN_CHANNEL }), "accepted: user@example.org");
  assertEquals(await play({ flag: "y" }, { channel: PLAIN_CHANNEL }), "accepted: user@example.org");
  assertEquals(await play({ authorization: "user" }), "accepted: user@example.org");
  assertEquals(await play({ authorization: "root" }), "invalid: acting for another user is not supported");
  const bound = { flag: "p=tls-server-end-point", binding: END_POINT };
  assertEquals(await play(bound, { name: "scram-sha-256-plus" }), "accepted: user@example.org");
});

Deno.test("A wrong password, an account without a verifier and an unknown name are refused alike", async () => {
  const { server, lines } = bench();
  assertEquals(await play({ password: "pen" }, { server }), "refused");
  assertEquals(
    await play({ identity: "none" }, { server, channel: { ...CHANNEL, clientAddress: "192.0.2.2" } }),
    "refused",
  );
  assertEquals(
    await play({ identity: "x=,y" }, { server, channel: { ...CHANNEL, clientAddress: "192.0.2.3" } }),
    "refused",
  );
  assertEquals(lines, [
    "Login as user@example.org from 192.0.2.1 refused: wrong password",
    "Login as none@example.org from 192.0.2.2 refused: it has no SCRAM verifier",
    "Login from 192.0.2.3 refused: no such account",
  ]);
});

Deno.test("Channel binding that does not fit is refused with the server-error-value, and the log warns of it", async () => {
  const plus = { name: "SCRAM-SHA-256-PLUS" };
  const { server, lines } = bench();
  const bound = "p=tls-server-end-point";
  const cases: readonly (readonly [string, ScramClientOptions, { name?: string; channel?: SaslChannel }])[] = [
    ["channel-bindings-dont-match", { flag: bound, binding: new Uint8Array(32) }, plus],
    ["channel-bindings-dont-match", { flag: bound }, plus],
    ["channel-bindings-dont-match", { binding: END_POINT }, {}],
    ["unsupported-channel-binding-type", { flag: "p=tls-exporter", binding: END_POINT }, plus],
    ["unsupported-channel-binding-type", { flag: "p=tls-unique", binding: END_POINT }, plus],
    ["channel-binding-not-supported", { flag: bound, binding: END_POINT }, {}],
    ["channel-binding-not-supported", { flag: bound, binding: END_POINT }, { channel: PLAIN_CHANNEL }],
    ["other-error: SCRAM-SHA-256-PLUS needs channel binding", { flag: "n" }, plus],
    ["server-does-support-channel-binding", { flag: "y" }, plus],
    ["server-does-support-channel-binding", { flag: "y" }, {}],
  ];
  for (const [reason, options, how] of cases) {
    assertEquals(await play(options, { server, ...how }), `refused: ${reason} (RFC 5802)`, JSON.stringify(options));
  }
  assertEquals(lines.length, cases.length);
  assertEquals(lines[0], "Login as user@example.org from 192.0.2.1 refused by SCRAM: channel-bindings-dont-match");
});

Deno.test("A client may say that we do not offer channel binding where we do not", async () => {
  const { server } = bench(["SCRAM-SHA-256"]);
  assertEquals(server.mechanisms(CHANNEL), ["SCRAM-SHA-256"]);
  assertEquals(await play({ flag: "y" }, { server }), "accepted: user@example.org");
});

Deno.test("SCRAM-SHA-256-PLUS is offered on request, where the hash of the certificate is known", () => {
  const onRequest = bench(ALL).server;
  assertEquals(onRequest.mechanisms(CHANNEL), ALL);
  assertEquals(onRequest.mechanisms(PLAIN_CHANNEL), ["SCRAM-SHA-256"]);
  assertEquals(onRequest.start("SCRAM-SHA-256-PLUS", PLAIN_CHANNEL), undefined);
  assertEquals(saslServer(() => [], () => undefined).mechanisms(CHANNEL), []);
});

Deno.test("A first message that breaks the rules is refused with its server-error-value", async () => {
  const encoding = "invalid-encoding: it needs n=, the login name, and r=, a nonce, in this order";
  const flag = 'invalid-encoding: it begins with "n,", "y," or "p=" and the type of binding';
  const name = "invalid-username-encoding: a name is empty, too long, or not escaped as it must be";
  const cases: readonly (readonly [string, string])[] = [
    ["", flag],
    ["n", flag],
    ["n,", flag],
    ["x,,n=user,r=abc", flag],
    ["p=,,n=user,r=abc", flag],
    ["p=tls unique,,n=user,r=abc", flag],
    ["N,,n=user,r=abc", flag],
    ["n,,", encoding],
    ["n,,n=user", encoding],
    ["n,,n=user,r=", encoding],
    ["n,,n=user,r=a b", encoding],
    ["n,,n=user,r=ä", encoding],
    ["n,,r=abc,n=user", encoding],
    ["n,,n=user,r=abc,x", encoding],
    ["n,,n=user,r=abc,", encoding],
    ["n,,n=us,er,r=abc", encoding],
    ["n,,m=x,n=user,r=abc", "extensions-not-supported: there is a mandatory extension"],
    ["n,,n=,r=abc", name],
    ["n,,n=us=er,r=abc", name],
    ["n,,n=us=2c,r=abc", name],
    ["n,a=,n=user,r=abc", name],
    ["n,b=user,n=user,r=abc", name],
    [`n,,n=${"u".repeat(1025)},r=abc`, name],
    [`n,,n=user,r=${"a".repeat(1025)}`, "invalid-encoding: the nonce is too long"],
    ["n,,n=us\0er,r=abc", "invalid-encoding: it is not UTF-8, or holds NUL"],
  ];
  for (const [first, reason] of cases) {
    const step = mechanismOf(bench().server, "SCRAM-SHA-256", PLAIN_CHANNEL).start(octets(first));
    assertEquals(await describe(step), `invalid: ${reason}`, first);
  }
  const broken = mechanismOf(bench().server, "SCRAM-SHA-256", PLAIN_CHANNEL).start(Uint8Array.of(0x6e, 0x2c, 0xff));
  assertEquals(await describe(broken), "invalid: invalid-encoding: it is not UTF-8, or holds NUL");
  const known = mechanismOf(bench().server, "SCRAM-SHA-256", PLAIN_CHANNEL).start(octets("n,,n=user,r=abc,z=1,y=2"));
  assert((await describe(known)).startsWith("r=abc"), "optional extensions are passed over");
});

Deno.test("A final message that breaks the rules is refused, and so is one of another exchange", async () => {
  const order = "invalid-encoding: it needs c=, r= and p=, in this order";
  const cases: readonly (readonly [RegExp, string, string])[] = [
    [/.*/, "", order],
    [/,p=.*/, "", order],
    [/^c=[^,]*,/, "", order],
    [/r=/, "R=", order],
    [/^c=/, "c=*", "invalid-encoding: c= and p= are base64"],
    [/p=.*/, "p=AAAA=", "invalid-encoding: c= and p= are base64"],
    [/p=.*/, "p=AAAA", "invalid-encoding: the proof has 32 octets"],
    [/r=./, "r=!", "other-error: the nonce is not the one of this exchange"],
  ];
  for (const [what, by, reason] of cases) {
    const mechanism = mechanismOf(bench().server, "SCRAM-SHA-256", PLAIN_CHANNEL);
    const client = scramClient();
    const final = client.final(await describe(mechanism.start(octets(client.first))));
    assertEquals(await describe(mechanism.step(octets(final.replace(what, by)))), `invalid: ${reason}`, reason);
  }
});

Deno.test("The response to the last challenge must be empty, or the login does not count", async () => {
  const mechanism = mechanismOf(bench().server, "SCRAM-SHA-256", PLAIN_CHANNEL);
  const client = scramClient();
  const final = client.final(await describe(mechanism.start(octets(client.first))));
  assertEquals(await describe(mechanism.step(octets(final))), client.expected);
  assertEquals(await describe(mechanism.step(octets("x"))), "invalid: the last response must be empty");
});

Deno.test("A name that is no account gets a salt of its own, always the same, for every spelling of it", async () => {
  const saltOf = async (identity: string): Promise<string> => {
    const mechanism = mechanismOf(bench().server, "SCRAM-SHA-256", PLAIN_CHANNEL);
    const [, ...parts] = (await describe(mechanism.start(octets(`n,,n=${identity},r=abc`)))).split(",");
    return parts.join(",");
  };
  const salt = await saltOf("bob");
  assertEquals(await saltOf("bob"), salt);
  assertEquals(await saltOf("bob@example.org"), salt);
  assertNotEquals(await saltOf("carol"), salt);
  assertEquals(/^s=(.*),i=(\d+)$/.exec(salt)?.slice(1).map((part) => part.length), [24, 5]);
});

Deno.test("What is made up for a name that is no account looks like the verifier of some account", async () => {
  const small = await makeVerifier("x", new Uint8Array(12), 8192);
  const seen = new Set<string>();
  for (let at = 0; at < 20; at++) {
    const { server } = bench(ALL, [formatVerifier(small), formatVerifier(VERIFIER)]);
    const first = await describe(
      mechanismOf(server, "SCRAM-SHA-256", PLAIN_CHANNEL).start(octets(`n,,n=bob${at},r=abc`)),
    );
    seen.add(first.replace(/.*,s=([^,]*)/, (_, salt) => `${atob(salt).length}`));
  }
  assertEquals([...seen].sort(), ["12,i=8192", "16,i=4096"]);
});

Deno.test("Wrong proofs are slowed like wrong passwords, whatever the mechanism", async () => {
  const { server, throttle } = bench();
  assertEquals(await play({ password: "wrong" }, { server }), "refused");
  assertEquals(throttle.enter("user", "192.0.2.99")?.waitMs, 1000);
  assertEquals(throttle.enter("other", "192.0.2.1")?.waitMs, 1000);
});

Deno.test("Every password that a client can send logs in, and no other one does", async () => {
  const verifiers = new Map<string, ScramVerifier>();
  const mechanism = (password: string): SaslMechanism =>
    scramMechanism({
      accounts: {
        find: () => verifiers.get(password) ?? VERIFIER,
        judge: (_, _channel, isRight) =>
          Promise.resolve(isRight() ? { kind: "accepted", address: "a" } : { kind: "refused" }),
        noteBinding: () => {},
      },
      channel: PLAIN_CHANNEL,
      isPlus: false,
      isPlusOffered: false,
      nonce: "server",
    });
  const attempt = async (owner: string, password: string): Promise<string> => {
    const exchange = mechanism(owner);
    const client = scramClient({ password });
    const final = client.final(await describe(exchange.start(octets(client.first))));
    return (await describe(exchange.step(octets(final)))).slice(0, 2);
  };
  const password = fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(password, password, async (one, two) => {
      const text = formatVerifier(await makeVerifier(one, SALT, 4096));
      const verifier = parseVerifier(text);
      assert(verifier !== undefined);
      verifiers.set(one, verifier);
      assertEquals(await attempt(one, one), "v=");
      assertEquals(await attempt(one, two), one === two ? "v=" : "re");
    }),
    { numRuns: 50 },
  );
});

Deno.test("No octets make an exchange throw", async () => {
  const piece = fc.constantFrom(
    "n,,",
    "y,,",
    "p=tls-server-end-point,,",
    "n=user",
    ",r=abc",
    ",m=x",
    "c=biws",
    ",p=",
    "=",
    ",",
    "a=",
  );
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.array(piece, { maxLength: 8 }).map((pieces) => octets(pieces.join(""))),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(...ALL),
      async (messages, name) => {
        const mechanism = mechanismOf(bench().server, name, CHANNEL);
        let step: SaslStep = await mechanism.start();
        for (const each of messages) if (step.kind === "challenge") step = await mechanism.step(each);
        assert(step.kind !== "done" || step.result.kind === "refused");
      },
    ),
    { numRuns: 2000 },
  );
});
