/** Authentication-Results as posthorn writes them (RFC 8601 §2.2). */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { formatResults } from "../../../../lib/msgauth/authentication_results/format.ts";
import { type ResultFacts, resultsOf } from "../../../../lib/msgauth/authentication_results/results.ts";
import type { Findings } from "../../../../lib/msgauth/findings.ts";

const NOTHING: Findings = { spf: [], dkim: [] };

function field(findings: Partial<Findings>, facts: Partial<ResultFacts> = {}, isInternationalized = false): string {
  const content = resultsOf({ authservId: "mail.example.org", findings: { ...NOTHING, ...findings }, ...facts });
  return formatResults(content, { isInternationalized });
}

Deno.test("All checks of a message stand in one field, a result a line", () => {
  const findings: Findings = {
    iprev: { result: "pass", name: "mail.sender.example" },
    spf: [
      { identity: "helo", domain: "mail.sender.example", result: "none" },
      { identity: "mailfrom", domain: "bounce.sender.example", result: "pass", mechanism: "ip4:192.0.2.0/24" },
    ],
    dkim: [{
      result: "pass",
      domain: "sender.example",
      selector: "s2026",
      algorithm: "rsa-sha256",
      identity: "@sender.example",
      signatureStart: "aB3/x+9=",
      keyBits: 2048,
      isTesting: false,
    }, {
      result: "permerror",
      domain: "list.example",
      selector: "x",
      isTesting: true,
      unsignedOctets: 12,
      problem: 'no key "x"',
    }],
    arc: { result: "pass", sealers: ["one.example", "two.example"] },
    dmarc: {
      result: "pass",
      fromDomain: "sender.example",
      policyDomain: "sender.example",
      policy: "reject",
      request: "none",
      isSpfAligned: true,
      isDkimAligned: true,
    },
  };
  assertEquals(
    field(findings, { clientAddress: "2001:db8::1", dmarcComment: "dis=none" }),
    "Authentication-Results: mail.example.org;\r\n" +
      '\tiprev=pass (mail.sender.example) policy.iprev="2001:db8::1";\r\n' +
      "\tspf=pass (matched ip4:192.0.2.0/24)\r\n\tsmtp.mailfrom=bounce.sender.example;\r\n" +
      "\tspf=none smtp.helo=mail.sender.example;\r\n" +
      "\tdkim=pass (2048-bit key) header.d=sender.example\r\n" +
      '\theader.i=@sender.example header.s=s2026 header.a=rsa-sha256\r\n\theader.b="aB3/x+9=";\r\n' +
      '\tdkim=permerror (testing, 12 octets unsigned) reason="no key \\"x\\""\r\n' +
      "\theader.d=list.example header.s=x;\r\n" +
      "\tdmarc=pass (dis=none) header.from=sender.example policy.dmarc=reject;\r\n" +
      "\tarc=pass (sealed by one.example, two.example)\r\n",
  );
});

Deno.test("Where nothing was checked the field says so", () => {
  assertEquals(field({}), "Authentication-Results: mail.example.org; none\r\n");
});

Deno.test("A message without a signature is told from one whose signatures were not looked at", () => {
  const text = "Authentication-Results: mail.example.org;\r\n\tdkim=none (not signed)\r\n";
  assertEquals(field({}, { isDkimChecked: true }), text);
  const signed = field({ dkim: [{ result: "fail", isTesting: false }] }, { isDkimChecked: true });
  assertEquals(signed, "Authentication-Results: mail.example.org;\r\n\tdkim=fail\r\n");
});

Deno.test("The policy of a message that fails is what is asked for it", () => {
  const dmarc = { fromDomain: "a.example", isSpfAligned: false, isDkimAligned: false };
  assertEquals(
    field({ dmarc: { ...dmarc, result: "fail", policy: "reject", request: "quarantine", leniency: "sampled_out" } }),
    "Authentication-Results: mail.example.org;\r\n\tdmarc=fail header.from=a.example policy.dmarc=quarantine\r\n",
  );
  assertEquals(
    field({ dmarc: { ...dmarc, result: "none", request: "none" } }),
    "Authentication-Results: mail.example.org;\r\n\tdmarc=none header.from=a.example\r\n",
  );
});

Deno.test("A login is told where it is given", () => {
  assertEquals(
    field({}, { login: "alice@example.org" }),
    "Authentication-Results: mail.example.org;\r\n\tauth=pass smtp.auth=alice@example.org\r\n",
  );
});

Deno.test("An ARC-Authentication-Results field begins with its instance (RFC 8617 §4.1.1)", () => {
  const content = resultsOf({ authservId: "mail.example.org", findings: NOTHING });
  assertEquals(
    formatResults(content, { name: "ARC-Authentication-Results", prefix: "i=2" }),
    "ARC-Authentication-Results: i=2; mail.example.org; none\r\n",
  );
});

Deno.test("What came from the wire cannot end a value, a comment or the field", () => {
  const evil = 'a"b\\c)\r\nSubject: x\0(;\x7fé\ud800';
  const text = field({
    spf: [{ identity: "helo", domain: evil, result: "permerror", mechanism: evil, problem: evil }],
    dkim: [{ result: "neutral", domain: evil, selector: evil, isTesting: false }],
  });
  assertEquals(
    text,
    "Authentication-Results: mail.example.org;\r\n" +
      '\tspf=permerror (matched a"b\\\\c\\) Subject: x \\(; ??)\r\n' +
      '\treason="a\\"b\\\\c) Subject: x (; ??"\r\n\tsmtp.helo="a\\"b\\\\c) Subject: x (; ??";\r\n' +
      '\tdkim=neutral header.d="a\\"b\\\\c) Subject: x (; ??"\r\n\theader.s="a\\"b\\\\c) Subject: x (; ??"\r\n',
  );
});

Deno.test("UTF-8 is written only into messages that are allowed to have it (RFC 8616)", () => {
  const dkim: Findings["dkim"] = [{ result: "pass", identity: "jörg@example.org", isTesting: false }];
  assert(field({ dkim }).includes("header.i=j?rg@example.org"));
  assert(field({ dkim }, {}, true).includes('header.i="jörg@example.org"'));
});

Deno.test("A value of any length leaves lines that every server takes", () => {
  for (const octet of ["x", '"', "ü", "\u{1f600}"]) {
    const text = octet.repeat(100_000);
    const written = field({ spf: [{ identity: "helo", domain: text, result: "none", problem: text }] }, {}, true);
    assert(written.split("\r\n").every((line) => new TextEncoder().encode(line).length < 998), octet);
  }
});

Deno.test("A method that is no keyword is a mistake of the program", () => {
  assertThrows(
    () => formatResults({ authservId: "x", results: [{ method: "a b", result: "pass", properties: [] }] }),
    RangeError,
  );
});
