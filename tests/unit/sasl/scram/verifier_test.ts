import { assert, assertEquals } from "@std/assert";
import { decodeBase64 } from "../../../../lib/sasl/base64.ts";
import { saslPrep } from "../../../../lib/sasl/saslprep.ts";
import {
  accountsWithoutVerifier,
  formatVerifier,
  hashForScram,
  makeVerifier,
  parseVerifier,
  SCRAM_ITERATIONS,
} from "../../../../lib/sasl/scram/verifier.ts";

/** The verifier of the example in RFC 7677 §3: "pencil", made by another program. */
const PENCIL = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:" +
  "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

Deno.test("The verifier of the password of RFC 7677 is what another program makes of it", async () => {
  const salt = decodeBase64("W22ZaJ0SNY7soEsUEjb6gQ==");
  assert(salt !== undefined);
  assertEquals(formatVerifier(await makeVerifier("pencil", salt, 4096)), PENCIL);
  const parsed = parseVerifier(PENCIL);
  assert(parsed !== undefined);
  assertEquals(formatVerifier(parsed), PENCIL);
});

Deno.test("A verifier in the form of Dovecot and GNU SASL is read as well", () => {
  const [, ...parts] = PENCIL.split(/[$:]/);
  assertEquals(parseVerifier(`{SCRAM-SHA-256}${parts.join(",")}`), parseVerifier(PENCIL));
  assertEquals(parseVerifier(`{SCRAM-SHA-1}${parts.join(",")}`), undefined);
});

Deno.test("A new verifier has its own salt and as many iterations as every client takes", async () => {
  const [one, two] = [parseVerifier(await hashForScram("pw")), parseVerifier(await hashForScram("pw"))];
  assertEquals([one?.iterations, one?.salt.length], [SCRAM_ITERATIONS, 16]);
  assert(one !== undefined && two !== undefined && formatVerifier(one) !== formatVerifier(two));
});

Deno.test("A verifier that is malformed, weak or would keep clients busy for minutes is none", () => {
  const cases = [
    "",
    "pencil",
    PENCIL.replace("4096", "4095"),
    PENCIL.replace("4096", "04096"),
    PENCIL.replace("4096", "10000001"),
    PENCIL.replace("4096", "99999999999999999999"),
    PENCIL.replace("SHA-256", "SHA-1"),
    PENCIL.replace("W22ZaJ0SNY7soEsUEjb6gQ==", "W22ZaA=="),
    PENCIL.replace("W22ZaJ0SNY7soEsUEjb6gQ==", "*"),
    PENCIL.replace("2dU=", "2dU"),
    PENCIL.replace("WG5d", ""),
    `${PENCIL}:`,
    `${PENCIL}\n`,
  ];
  for (const text of cases) assertEquals(parseVerifier(text), undefined, text);
});

Deno.test("Passwords are prepared with SASLprep, as the examples of RFC 4013 §3 have it", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["I\u00adX", "IX"],
    ["user", "user"],
    ["USER", "USER"],
    ["\u00aa", "a"],
    ["\u2168", "IX"],
    ["a\u00a0b\u3000c\u200bd", "a b c d"],
    ["a\u200db\ufeff", "ab"],
    ["a\u0308", "ä"],
  ];
  for (const [text, expected] of cases) assertEquals(saslPrep(text), expected, text);
});

Deno.test("Accounts that have a password and no verifier are found; those without login do not count", () => {
  const accounts = [
    { address: "alice@example.org", passwordHash: "x", scram: PENCIL },
    { address: "bob@example.org", passwordHash: "x" },
    { address: "carol@example.org" },
    { address: "dave@example.org", scram: PENCIL },
    { address: "erin@example.org", passwordHash: "x", scram: "SCRAM-SHA-256$1:x$y:z" },
  ];
  assertEquals(accountsWithoutVerifier(accounts).map(({ address }) => address), [
    "bob@example.org",
    "erin@example.org",
  ]);
});
