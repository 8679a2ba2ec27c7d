import { assert, assertEquals } from "@std/assert";
import { decodeBase64, decodeInitialResponse, encodeBase64 } from "../../../lib/sasl/base64.ts";
import type { LoginResult, SaslChannel, SaslStep } from "../../../lib/sasl/mechanism.ts";
import { passwordOffers, type SaslOffer, saslServer } from "../../../lib/sasl/mechanisms.ts";

const CHANNEL: SaslChannel = { clientAddress: "192.0.2.1", localAddress: undefined, isTls: true };
const octets = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Accepts everybody, and shows name and password as the account. */
const offers = passwordOffers((identity, password): Promise<LoginResult> =>
  Promise.resolve({ kind: "accepted", address: `${identity} ${password}` })
);
const server = saslServer(() => offers, () => undefined);
const startMechanism = (name: string): ReturnType<typeof server.start> => server.start(name, CHANNEL);

async function start(name: string, initial?: Uint8Array): Promise<SaslStep> {
  const step = await startMechanism(name)?.start(initial);
  assert(step !== undefined);
  return step;
}

async function describe(waiting: SaslStep | Promise<SaslStep>): Promise<string> {
  const step = await waiting;
  if (step.kind === "challenge") return `challenge ${new TextDecoder().decode(step.octets)}`;
  if (step.kind === "done") return step.result.kind === "accepted" ? `check ${step.result.address}` : step.result.kind;
  return `invalid: ${step.reason}`;
}

Deno.test("mechanisms are found by name in any case, and others are not offered", () => {
  assertEquals(server.mechanisms(CHANNEL), ["PLAIN", "LOGIN"]);
  assert(startMechanism("plain") !== undefined && startMechanism("Login") !== undefined);
  assertEquals(startMechanism("CRAM-MD5"), undefined);
  assertEquals(startMechanism("__proto__"), undefined);
});

Deno.test("the configuration says which mechanisms are offered, and in which order; the channel, which can work", () => {
  const own: readonly SaslOffer[] = [
    ...offers,
    { name: "EXTERNAL", isUsable: ({ clientCertificate }) => clientCertificate !== undefined, start: () => external },
  ];
  const external = { start: (): SaslStep => ({ kind: "invalid", reason: "test" }), step: () => external.start() };
  let wanted: readonly string[] | undefined = undefined;
  const server = saslServer(() => own, () => wanted);
  const withCertificate = { ...CHANNEL, clientCertificate: { subject: "CN=x", sha256: "00", emails: [] } };
  assertEquals(server.mechanisms(CHANNEL), ["PLAIN", "LOGIN"]);
  assertEquals(server.mechanisms(withCertificate), ["PLAIN", "LOGIN", "EXTERNAL"]);
  wanted = ["EXTERNAL", "LOGIN"];
  assertEquals(server.mechanisms(withCertificate), ["EXTERNAL", "LOGIN"]);
  assertEquals(server.mechanisms(CHANNEL), ["LOGIN"]);
  assertEquals(server.start("PLAIN", CHANNEL), undefined);
  assertEquals(server.start("EXTERNAL", CHANNEL), undefined);
  assertEquals(server.start("external", withCertificate), external);
});

Deno.test("a mechanism that two would carry out is offered once, and carried out by the last", () => {
  const own = {
    start: () => ({ kind: "invalid", reason: "own" } as const),
    step: () => ({ kind: "invalid", reason: "own" } as const),
  };
  const server = saslServer(() => [...offers, { name: "PLAIN", start: () => own }], () => undefined);
  assertEquals(server.mechanisms(CHANNEL), ["LOGIN", "PLAIN"]);
  assertEquals(server.start("PLAIN", CHANNEL), own);
});

Deno.test("PLAIN takes name and password from the initial response or from the answer to an empty challenge", async () => {
  assertEquals(
    await describe(start("PLAIN", octets("\0tim@example.org\0tan staaf"))),
    "check tim@example.org tan staaf",
  );
  assertEquals(await describe(start("PLAIN", octets("tim\0tim\0pw"))), "check tim pw");
  const mechanism = startMechanism("PLAIN");
  assertEquals(await mechanism?.start(), { kind: "challenge", octets: new Uint8Array(0) });
  assertEquals(await describe(mechanism?.step(octets("\0ünal\0pässwörd")) ?? start("PLAIN")), "check ünal pässwörd");
});

Deno.test("PLAIN refuses other users, wrong numbers of NUL, empty and long fields, and what is not UTF-8", async () => {
  const needsNul = "invalid: PLAIN needs two NUL octets";
  const needsBoth = "invalid: PLAIN needs a login name and a password";
  const badField = "invalid: PLAIN field is not UTF-8, is too long or holds NUL";
  const cases: [string | Uint8Array, string][] = [
    ["", needsNul],
    ["tim", needsNul],
    ["tim\0pw", needsNul],
    ["\0\0pw", needsBoth],
    ["\0tim\0", needsBoth],
    ["\0tim\0pw\0", badField],
    ["\0tim\0p\0w", badField],
    [Uint8Array.of(0, 0x74, 0, 0xff), badField],
    [`\0tim\0${"p".repeat(1025)}`, badField],
    ["admin\0tim\0pw", "invalid: acting for another user is not supported"],
  ];
  for (const [message, expected] of cases) {
    assertEquals(await describe(start("PLAIN", typeof message === "string" ? octets(message) : message)), expected);
  }
  assertEquals(
    (await describe(start("PLAIN", octets(`\0tim\0${"p".repeat(1024)}`)))).length,
    "check tim ".length + 1024,
  );
});

Deno.test("LOGIN asks for the name and then for the password; an initial response is the name", async () => {
  for (const initial of [undefined, octets("tim")]) {
    const mechanism = startMechanism("LOGIN");
    assert(mechanism !== undefined);
    const first = mechanism.start(initial);
    if (initial === undefined) assertEquals(await describe(first), "challenge Username:");
    const second = initial === undefined ? mechanism.step(octets("tim")) : first;
    assertEquals(await describe(second), "challenge Password:");
    assertEquals(await describe(mechanism.step(octets("pw"))), "check tim pw");
  }
  assertEquals(await describe(start("LOGIN", octets(""))), "invalid: LOGIN needs a login name and a password");
  const badField = "invalid: LOGIN field is not UTF-8, is too long or holds NUL";
  assertEquals(await describe(start("LOGIN", octets("a\0b"))), badField);
});

Deno.test("base64 is taken in its canonical form only", () => {
  assertEquals(decodeBase64("AHRpbQBwdw=="), octets("\0tim\0pw"));
  assertEquals(decodeBase64(""), new Uint8Array(0));
  assertEquals(encodeBase64(octets("Username:")), "VXNlcm5hbWU6");
  for (
    const bad of [
      "A",
      "AA",
      "AA=",
      "AAA",
      "AA==AA==",
      "AB==",
      "AAB=",
      "A A=",
      "AAAA\r\n",
      "AAAA ",
      "AA-_",
      "=",
      "*",
      "====",
    ]
  ) {
    assertEquals(decodeBase64(bad), undefined, bad);
  }
  assertEquals(decodeInitialResponse("="), new Uint8Array(0));
  assertEquals(decodeInitialResponse("*"), undefined);
  assertEquals(decodeInitialResponse("dGlt"), octets("tim"));
});
