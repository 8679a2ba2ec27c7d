import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { SaslStep } from "../../../lib/sasl/mechanism.ts";
import { type SaslServer, saslServer } from "../../../lib/sasl/mechanisms.ts";
import { LoginSession } from "../../support/login_session.ts";
import { scramClient } from "../../support/scram_client.ts";
import { ALICE, testLogins } from "../../support/test_logins.ts";

const ALL = ["EXTERNAL", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN"];

/** A session behind its greeting. */
async function open(...options: ConstructorParameters<typeof LoginSession>): Promise<LoginSession> {
  const session = new LoginSession(...options);
  assertStringIncludes(await session.send("NOOP\r\n"), "220 mx.test");
  return session;
}

Deno.test("A response may have 12,288 octets, and a longer one is refused with 500 5.5.6; the session goes on", async () => {
  const session = await open(testLogins());
  assertEquals(await session.send("AUTH PLAIN\r\n"), "334 \r\n");
  const longest = await session.send(`${"A".repeat(12_286)}\r\n`);
  assertEquals(longest, "501 5.5.2 Cannot decode the base64 of the response\r\n");
  assertEquals(await session.send("AUTH PLAIN\r\n"), "334 \r\n");
  assertEquals(
    await session.send(`${"A".repeat(20_000)}`, `${"A".repeat(20_000)}\r\n`),
    "500 5.5.6 Line too long; the limit is 12288 octets\r\n",
  );
  assertEquals(await session.send(`AUTH PLAIN ${"A".repeat(12_400)}\r\n`), tooLong);
  assertEquals(await session.send("NOOP\r\n"), "250 2.0.0 OK\r\n");
  await session.end();
  assertEquals(session.session.login, undefined);
});

const tooLong = "500 5.5.2 Line too long; the limit is 12352 octets\r\n";

Deno.test("A client that binds to the connection logs in with SCRAM-SHA-256-PLUS, and one bound elsewhere does not", async () => {
  for (const seen of [7, 8]) {
    const session = await open(testLogins(ALL), { serverEndPoint: new Uint8Array(32).fill(7) });
    const client = scramClient({
      identity: ALICE.address,
      password: ALICE.password,
      flag: "p=tls-server-end-point",
      binding: new Uint8Array(32).fill(seen),
    });
    assertStringIncludes(
      await session.send("EHLO client.test\r\n"),
      "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN",
    );
    const first = await session.send(`AUTH SCRAM-SHA-256-PLUS ${btoa(client.first)}\r\n`);
    const last = await session.send(`${btoa(client.final(atob(first.trimEnd().slice(4))))}\r\n`);
    if (seen === 7) {
      assertEquals(last, `334 ${btoa(client.expected)}\r\n`);
      assertEquals(await session.send("\r\n"), "235 2.7.0 Authentication succeeded\r\n");
    } else assertEquals(last, "535 5.7.8 Authentication failed: channel-bindings-dont-match (RFC 5802)\r\n");
    await session.end();
    assertEquals(session.session.login, seen === 7 ? ALICE.address : undefined);
  }
});

Deno.test("A client with a certificate logs in with EXTERNAL, as the account of the certificate only", async () => {
  const clientCertificate = { subject: "CN=Alice", sha256: "ab".repeat(32), emails: [] };
  const session = await open(testLogins(ALL), { clientCertificate });
  assertStringIncludes(await session.send("EHLO client.test\r\n"), "AUTH EXTERNAL SCRAM-SHA-256 PLAIN LOGIN");
  assertEquals(
    await session.send(`AUTH EXTERNAL ${btoa("bob@example.org")}\r\n`),
    "535 5.7.8 Authentication failed: the certificate is not that of the account\r\n",
  );
  assertEquals(await session.send("AUTH EXTERNAL\r\n"), "334 \r\n");
  assertEquals(await session.send("*\r\n"), "501 5.7.0 Authentication was cancelled\r\n");
  assertEquals(await session.send("AUTH EXTERNAL =\r\n"), "235 2.7.0 Authentication succeeded\r\n");
  await session.end();
  assertEquals(session.session.login, ALICE.address);
});

/** A mechanism that asks for ever, and notes when it is aborted. */
function endless(onAbort: () => void): SaslServer {
  const step = (): SaslStep => ({ kind: "challenge", octets: new Uint8Array(0) });
  return saslServer(() => [{ name: "PLAIN", start: () => ({ start: step, step, abort: onAbort }) }], () => undefined);
}

Deno.test("A mechanism hears once when its exchange is cut off: by *, bad base64, a long line, or a client that hangs up", async () => {
  for (const line of ["*\r\n", "!\r\n", `${"A".repeat(13_000)}\r\n`, undefined]) {
    let aborts = 0;
    const session = await open(endless(() => aborts++));
    assertEquals(await session.send("AUTH PLAIN\r\n"), "334 \r\n");
    if (line !== undefined) assert((await session.send(line)).startsWith("50"), line);
    await session.end();
    assertEquals(aborts, 1, line?.slice(0, 10));
  }
});

Deno.test("An exchange that goes to its end is not aborted, whatever the result", async () => {
  let aborts = 0;
  const end: SaslStep[] = [{ kind: "invalid", reason: "test" }, { kind: "done", result: { kind: "unavailable" } }];
  const offer = {
    name: "PLAIN",
    start: () => {
      const step = end.shift() ?? { kind: "done", result: { kind: "busy" } } as const;
      return { start: () => Promise.resolve(step), step: () => step, abort: () => void aborts++ };
    },
  };
  const session = await open(saslServer(() => [offer], () => undefined));
  assert((await session.send("AUTH PLAIN\r\n")).startsWith("501 5.5.2 "));
  assertEquals(await session.send("AUTH PLAIN\r\n"), "454 4.7.0 Logins cannot be checked now; try again later\r\n");
  assert((await session.send("AUTH PLAIN\r\n")).startsWith("454 4.7.0 "));
  await session.end();
  assertEquals(aborts, 0);
});

Deno.test("What a mechanism throws is 451 for the client, and the exchange is aborted", async () => {
  let aborts = 0;
  const fail = (): Promise<SaslStep> => Promise.reject(new Error("broken"));
  const offer = { name: "PLAIN", start: () => ({ start: fail, step: fail, abort: () => void aborts++ }) };
  const session = await open(saslServer(() => [offer], () => undefined));
  assertEquals(await session.send("AUTH PLAIN\r\n"), "451 4.3.0 Local problem; try again later\r\n");
  assertEquals(await session.send("NOOP\r\n"), "250 2.0.0 OK\r\n");
  await session.end();
  assertEquals(aborts, 1);
});
