/** Random conversations around AUTH: no octets log in, hang, or make a session throw. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { LoginSession } from "../support/login_session.ts";
import { scramClient } from "../support/scram_client.ts";
import { ALICE, testLogins } from "../support/test_logins.ts";

const ALL = ["EXTERNAL", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"];
const FACTS = { serverEndPoint: new Uint8Array(32).fill(7) };
const { first } = scramClient({ identity: ALICE.address, password: "wrong" });

const message = fc.oneof(
  fc.constantFrom(first, first.replace("n,", "y,"), `p=tls-server-end-point${first.slice(1)}`, "c=biws,r=x,p=AAAA", ""),
  fc.constantFrom(`\0${ALICE.address}\0wrong`, `x\0${ALICE.address}\0wrong`, ALICE.address, "\0\0", "wrong"),
  fc.string({ unit: "binary-ascii", maxLength: 30 }),
).map((text) => btoa(text));
const word = fc.oneof(message, fc.constantFrom("*", "=", "", "!!!", "AAA", "====", "A", "AA==AA=="));
const verb = fc.constantFrom("AUTH", "auth", "AUTH ", "AUTH\t");
const name = fc.constantFrom(...ALL, "scram-sha-256", "CRAM-MD5", "GSSAPI", "", "__proto__", "PLAIN,LOGIN");
const line = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(verb, name, fc.option(word, { nil: undefined })) },
  { weight: 4, arbitrary: word },
  {
    weight: 1,
    arbitrary: fc.constantFrom("EHLO client.test", "RSET", "NOOP", "MAIL FROM:<alice@example.org>", "DATA"),
  },
).map((parts) => Array.isArray(parts) ? parts.filter((part) => part !== undefined).join(" ") : parts);

Deno.test("No conversation without the password logs in, and each line has its reply", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 14 }), async (lines) => {
      const session = new LoginSession(testLogins(ALL), FACTS);
      assertMatch(await session.send("NOOP\r\n"), /^220 .*\r\n250 /);
      for (const text of lines) {
        if (session.isClosed) break;
        const answer = await session.send(`${text}\r\n`);
        assertMatch(answer, /^(?:[2-5]\d\d[ -].*\r\n)+$/, text);
        assert(!answer.startsWith("235") && !answer.startsWith("451"), `${text} was answered ${answer}`);
      }
      await session.end();
      assertEquals(session.session.login, undefined);
    }),
    { numRuns: 3000 },
  );
});

Deno.test("The password logs in with every mechanism, wherever TCP cuts the lines, after whatever went wrong before", async () => {
  const cuts = fc.array(fc.nat(80), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 4 }),
      fc.constantFrom(...ALL.slice(1)),
      cuts,
      async (lines, chosen, at) => {
        const session = new LoginSession(testLogins(ALL), FACTS);
        const sendCut = (text: string): Promise<string> => {
          const places = [...new Set(at.map((place) => place % text.length))].sort((a, b) => a - b);
          return session.send(...[0, ...places].map((from, index) => text.slice(from, places[index] ?? text.length)));
        };
        await session.send("NOOP\r\n");
        for (const text of lines) await session.send(`${text}\r\n`);
        // Out of an exchange and a transaction that may be open; after a closed session there is nothing to show.
        await session.send("*\r\n");
        await session.send("RSET\r\n");
        if (!session.isClosed) {
          for (const text of responses(chosen)) {
            const answer = await sendCut(typeof text === "string" ? text : text());
            if (answer.startsWith("334")) challenge = answer.trimEnd().slice(4);
            else assertEquals(answer, "235 2.7.0 Authentication succeeded\r\n");
          }
        }
        await session.end();
        assertEquals(session.session.login, ALICE.address);
      },
    ),
    { numRuns: 600 },
  );
});

let challenge = "";

/** What a client sends, line by line; some lines depend on the last challenge. */
function responses(name: string): (string | (() => string))[] {
  if (name === "PLAIN") return [`AUTH PLAIN ${btoa(`\0${ALICE.address}\0${ALICE.password}`)}\r\n`];
  if (name === "LOGIN") return ["AUTH LOGIN\r\n", `${btoa(ALICE.address)}\r\n`, `${btoa(ALICE.password)}\r\n`];
  const binding = name.endsWith("PLUS") ? { flag: "p=tls-server-end-point", binding: FACTS.serverEndPoint } : {};
  const client = scramClient({ identity: ALICE.address, password: ALICE.password, ...binding });
  return [
    `AUTH ${name} ${btoa(client.first)}\r\n`,
    () => `${btoa(client.final(atob(challenge)))}\r\n`,
    () => (assertEquals(atob(challenge), client.expected), "\r\n"),
  ];
}
