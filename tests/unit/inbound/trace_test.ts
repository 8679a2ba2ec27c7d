import { assertEquals, assertMatch } from "@std/assert";
import type { Session, Transaction } from "../../../lib/inbound/session.ts";
import { protocolKeyword, receivedField } from "../../../lib/inbound/trace.ts";

const NOW = Date.parse("2026-11-23T15:00:00Z");
const TLS = { protocol: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" };

type Verb = "EHLO" | "HELO" | "LHLO";

/** As much of a session as the field is made of. */
function session(verb: Verb, { tls, login, smtpUtf8 = false }: {
  readonly tls?: Session["tls"];
  readonly login?: string;
  readonly smtpUtf8?: boolean;
} = {}): Session {
  const transaction = { options: { smtpUtf8 } } as unknown as Transaction;
  const settings = { hostname: "mx.test" };
  const greeting = { verb, name: "client.test" };
  return { settings, clientAddress: "192.0.2.1", greeting, tls, login, transaction } as unknown as Session;
}

Deno.test("the with clause has the registered keyword for every combination of greeting, SMTPUTF8, TLS and login", () => {
  const login = "alice@example.org";
  const keywords = (verb: Verb, smtpUtf8: boolean): string[] =>
    [{}, { tls: TLS }, { login }, { tls: TLS, login }].map((facts) =>
      protocolKeyword(session(verb, { ...facts, smtpUtf8 }))
    );
  assertEquals(keywords("EHLO", false), ["ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"]);
  assertEquals(keywords("LHLO", false), ["LMTP", "LMTPS", "LMTPA", "LMTPSA"]);
  assertEquals(keywords("EHLO", true), ["UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"]);
  assertEquals(keywords("LHLO", true), ["UTF8LMTP", "UTF8LMTPS", "UTF8LMTPA", "UTF8LMTPSA"]);
  // RFC 3848 registers nothing for HELO with TLS; without EHLO there is no AUTH and no SMTPUTF8.
  assertEquals(keywords("HELO", false).slice(0, 2), ["SMTP", "SMTP"]);
});

Deno.test("under TLS the field ends with the tls clause of RFC 8314, behind id and for", () => {
  const facts = { queueId: "01AB", nowMs: NOW, forwardPaths: ["alice@example.org"] };
  assertEquals(
    receivedField(session("EHLO", { tls: TLS, login: "alice@example.org" }), facts),
    "Received: from client.test ([192.0.2.1]) (using TLSv1.3)\r\n" +
      "\tby mx.test (posthorn) with ESMTPSA id 01AB\r\n" +
      "\tfor <alice@example.org>\r\n" +
      "\ttls TLS_AES_256_GCM_SHA384;\r\n" +
      "\tMon, 23 Nov 2026 15:00:00 +0000\r\n",
  );
  assertEquals(
    receivedField({ ...session("EHLO", { tls: TLS }), clientAddress: undefined }, {
      ...facts,
      forwardPaths: ["a@b.c", "d@e.f"],
    }),
    "Received: from client.test (using TLSv1.3)\r\n" +
      "\tby mx.test (posthorn) with ESMTPS id 01AB\r\n" +
      "\ttls TLS_AES_256_GCM_SHA384;\r\n" +
      "\tMon, 23 Nov 2026 15:00:00 +0000\r\n",
  );
});

Deno.test("without TLS, or where the runtime does not name the cipher, there is no tls clause", () => {
  const facts = { queueId: "01AB", nowMs: NOW, forwardPaths: [] };
  for (const cipher of ["", "unknown", "ECDHE-RSA-AES128-GCM-SHA256"]) {
    const field = receivedField(session("EHLO", { tls: { protocol: "TLS", cipher } }), facts);
    assertMatch(field, /^Received: from client\.test \(\[192\.0\.2\.1\]\) \(using TLS\)\r\n\tby .* id 01AB;\r\n/);
  }
  assertMatch(
    receivedField(session("LHLO"), facts),
    /^Received: from client\.test \(\[192\.0\.2\.1\]\)\r\n\tby .* 01AB;/,
  );
});

Deno.test("a field says nothing of login and client certificate", () => {
  const clientCertificate = { subject: "CN=Secret Name", sha256: "ab".repeat(32), emails: ["secret@example.org"] };
  const field = receivedField(session("EHLO", { tls: { ...TLS, clientCertificate }, login: "login@example.org" }), {
    queueId: "01AB",
    nowMs: NOW,
    forwardPaths: [],
  });
  assertEquals(/secret|login|abab/i.test(field), false, field);
});

Deno.test("each field is Stamp of RFC 5321 §4.4: clauses in their order, comments anywhere, a date behind the semicolon", () => {
  const cfws = String.raw`(?:(?:\r\n)?[\t ]+(?:\([^()]*\))?)+`;
  const clauses = ["from [^ ]+", "by [^ ]+", "with [A-Z0-9]+", "id [^ ;]+"].map((clause) => clause.replace(" ", cfws));
  const stamp = new RegExp(
    `^Received:${cfws}${clauses.join(cfws)}(?:${cfws}for${cfws}<[^>]+>)?(?:${cfws}tls${cfws}TLS_[A-Z0-9_]+)?;` +
      `${cfws}\\w{3}, \\d{1,2} \\w{3} \\d{4} \\d\\d:\\d\\d:\\d\\d [+-]\\d{4}\r\n$`,
  );
  for (const verb of ["EHLO", "HELO", "LHLO"] as const) {
    for (const tls of [undefined, TLS]) {
      for (const forwardPaths of [[], ["alice@example.org"]]) {
        assertMatch(receivedField(session(verb, { tls }), { queueId: "01AB", nowMs: NOW, forwardPaths }), stamp);
      }
    }
  }
});
