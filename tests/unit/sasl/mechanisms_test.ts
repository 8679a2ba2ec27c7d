import { assert, assertEquals } from "@std/assert";
import { decodeBase64, decodeInitialResponse, encodeBase64 } from "../../../lib/sasl/base64.ts";
import type { SaslStep } from "../../../lib/sasl/mechanism.ts";
import { saslMechanismNames, startMechanism } from "../../../lib/sasl/mechanisms.ts";

const octets = (text: string): Uint8Array => new TextEncoder().encode(text);

function start(name: string, initial?: Uint8Array): SaslStep {
  const step = startMechanism(name)?.start(initial);
  assert(step !== undefined);
  return step;
}

function describe(step: SaslStep): string {
  if (step.kind === "challenge") return `challenge ${new TextDecoder().decode(step.octets)}`;
  if (step.kind === "credentials") return `credentials ${step.credentials.identity} ${step.credentials.password}`;
  return `invalid: ${step.reason}`;
}

Deno.test("mechanisms are found by name in any case, and others are not offered", () => {
  assertEquals(saslMechanismNames, ["PLAIN", "LOGIN"]);
  assert(startMechanism("plain") !== undefined && startMechanism("Login") !== undefined);
  assertEquals(startMechanism("CRAM-MD5"), undefined);
  assertEquals(startMechanism("__proto__"), undefined);
});

Deno.test("PLAIN takes name and password from the initial response or from the answer to an empty challenge", () => {
  assertEquals(
    describe(start("PLAIN", octets("\0tim@example.org\0tan staaf"))),
    "credentials tim@example.org tan staaf",
  );
  assertEquals(describe(start("PLAIN", octets("tim\0tim\0pw"))), "credentials tim pw");
  const mechanism = startMechanism("PLAIN");
  assertEquals(mechanism?.start(), { kind: "challenge", octets: new Uint8Array(0) });
  assertEquals(describe(mechanism?.step(octets("\0ünal\0pässwörd")) ?? start("PLAIN")), "credentials ünal pässwörd");
});

Deno.test("PLAIN refuses other users, wrong numbers of NUL, empty and long fields, and what is not UTF-8", () => {
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
    assertEquals(describe(start("PLAIN", typeof message === "string" ? octets(message) : message)), expected);
  }
  assertEquals(describe(start("PLAIN", octets(`\0tim\0${"p".repeat(1024)}`))).length, "credentials tim ".length + 1024);
});

Deno.test("LOGIN asks for the name and then for the password; an initial response is the name", () => {
  for (const initial of [undefined, octets("tim")]) {
    const mechanism = startMechanism("LOGIN");
    assert(mechanism !== undefined);
    const first = mechanism.start(initial);
    if (initial === undefined) assertEquals(describe(first), "challenge Username:");
    const second = initial === undefined ? mechanism.step(octets("tim")) : first;
    assertEquals(describe(second), "challenge Password:");
    assertEquals(describe(mechanism.step(octets("pw"))), "credentials tim pw");
  }
  assertEquals(describe(start("LOGIN", octets(""))), "invalid: LOGIN needs a login name and a password");
  assertEquals(describe(start("LOGIN", octets("a\0b"))), "invalid: LOGIN field is not UTF-8, is too long or holds NUL");
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
