/** The records of a domain as they are printed. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { type PublishedRecord, recordsOf, textStrings, zoneLine } from "../../../lib/publish/record.ts";
import { sectionsOf } from "../../../lib/publish/sections.ts";
import type { Site } from "../../../lib/publish/site.ts";
import { zoneText } from "../../../lib/publish/zone_text.ts";
import { DKIM_VALUE, FULL_SITE } from "../../support/published_site.ts";

function textOf(site: Site): string {
  return zoneText(site.domain, sectionsOf(site));
}

/** The lines that are no remarks, with the names cut to their part below the domain. */
function linesOf(site: Site): string[] {
  return textOf(site).split("\n").filter((line) => line !== "" && !line.startsWith(";"));
}

Deno.test("all records of a site are lines of a zone file", () => {
  assertEquals(linesOf(FULL_SITE), [
    "example.org. 3600 IN MX 10 mail.example.org.",
    "mail.example.org. 3600 IN A 192.0.2.1",
    "mail.example.org. 3600 IN AAAA 2001:db8::1",
    'mail.example.org. 3600 IN TXT "v=spf1 a -all"',
    'example.org. 3600 IN TXT "v=spf1 mx -all"',
    `s2026._domainkey.example.org. 3600 IN TXT "${DKIM_VALUE.slice(0, 255)}" "${DKIM_VALUE.slice(255)}"`,
    '_dmarc.example.org. 3600 IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@example.org"',
    `_mta-sts.example.org. 3600 IN TXT "v=STSv1; id=${FULL_SITE.sts?.id}"`,
    "mta-sts.example.org. 3600 IN CNAME mail.example.org.",
    '_smtp._tls.example.org. 3600 IN TXT "v=TLSRPTv1; rua=mailto:postmaster@example.org"',
    "_submissions._tcp.example.org. 3600 IN SRV 0 1 465 mail.example.org.",
    "_submission._tcp.example.org. 3600 IN SRV 0 1 587 mail.example.org.",
  ]);
});

Deno.test("what may do harm, or is set elsewhere, is a remark that can be uncommented", () => {
  const text = textOf(FULL_SITE);
  for (
    const line of [
      `; _25._tcp.mail.example.org. 3600 IN TLSA 3 1 1 ${"0".repeat(64)}`,
      "; _imaps._tcp.example.org. 3600 IN SRV 0 1 993 mail.example.org.",
      "; 1.2.0.192.in-addr.arpa. 3600 IN PTR mail.example.org.",
      `; In one piece, for web panels: ${DKIM_VALUE}`,
    ]
  ) assert(text.split("\n").includes(line), `${line}\nis not in\n${text}`);
  assertStringIncludes(text, "DNSSEC");
});

Deno.test("the record that lets reports of another domain come here is printed, and there it is told", () => {
  const lines = linesOf({ ...FULL_SITE, reportsAlsoOn: ["example.net"] });
  assert(lines.includes('example.net._report._dmarc.example.org. 3600 IN TXT "v=DMARC1;"'));
  const text = textOf({ ...FULL_SITE, domain: "example.net", hasHostRecords: false }).replace(/\n; /g, " ");
  assertStringIncludes(
    text,
    "reports go to example.org, which has to agree: posthorn dns example.org prints the record",
  );
  assert(!textOf(FULL_SITE).includes("has to agree"));
});

Deno.test("the records of the host are printed with one domain only", () => {
  const lines = linesOf({ ...FULL_SITE, domain: "example.net", aliasOf: "example.org", hasHostRecords: false });
  assertEquals(lines.filter((line) => line.startsWith("mail.example.org.")), []);
  assert(lines.includes('example.net. 3600 IN TXT "v=spf1 mx -all"'));
});

Deno.test("a domain that is its own host has one SPF record", () => {
  const lines = linesOf({ ...FULL_SITE, domain: "mail.example.org" });
  assertEquals(lines.filter((line) => line.includes("spf1")), ['mail.example.org. 3600 IN TXT "v=spf1 mx -all"']);
});

Deno.test("several MX hosts stand in their order, and SPF names this host where it is none of them", () => {
  const lines = linesOf({ ...FULL_SITE, hosts: ["a.example.net", "b.example.net"] });
  assertEquals(lines.slice(0, 2), [
    "example.org. 3600 IN MX 10 a.example.net.",
    "example.org. 3600 IN MX 20 b.example.net.",
  ]);
  assert(lines.includes('example.org. 3600 IN TXT "v=spf1 a:mail.example.org -all"'));
});

Deno.test("addresses that mail leaves from besides are in both SPF records", () => {
  const lines = linesOf({ ...FULL_SITE, otherSources: ["192.0.2.7", "2001:db8::7"] });
  assert(lines.includes('example.org. 3600 IN TXT "v=spf1 mx ip4:192.0.2.7 ip6:2001:db8::7 -all"'));
  assert(lines.includes('mail.example.org. 3600 IN TXT "v=spf1 a ip4:192.0.2.7 ip6:2001:db8::7 -all"'));
});

Deno.test("with a smarthost SPF ends softly, and its operator's include is asked for", () => {
  const text = textOf({ ...FULL_SITE, smarthost: "smarthost.example" });
  assertStringIncludes(text, '"v=spf1 mx ~all"');
  assertStringIncludes(text, 'smarthost.example: put the "include:"');
});

const { sts: _sts, ...WITHOUT_POLICY } = FULL_SITE;
const GAPS: readonly (readonly [what: string, site: Site, remark: RegExp])[] = [
  ["no addresses", { ...FULL_SITE, addresses: [] }, /addresses of mail\.example\.org are not known here/],
  ["no listener on port 25", { ...FULL_SITE, takesMailOnPort25: false }, /No listener of service mx is on port 25/],
  ["no DKIM key", { ...FULL_SITE, dkimKeys: [] }, /No DKIM key signs its mail/],
  [
    "a DKIM key that is not there yet",
    { ...FULL_SITE, dkimKeys: [{ selector: "new", isConfigured: true }] },
    /DKIM key new is not there yet/,
  ],
  [
    "a DKIM key that signs no more",
    { ...FULL_SITE, dkimKeys: [{ selector: "old", value: DKIM_VALUE, isConfigured: false }] },
    /DKIM key old is not in domains\.example\.org\.dkim/,
  ],
  ["no policy", WITHOUT_POLICY, /There is no MTA-STS policy/],
  ["no certificate", { ...FULL_SITE, certificate: { kind: "none", reason: "of a test" } }, /because of a test/],
  ["no submission", { ...FULL_SITE, submission: {} }, /No listener of service submission/],
];

for (const [what, site, remark] of GAPS) {
  Deno.test(`a site with ${what} is told so`, () => {
    assert(remark.test(textOf(site).replace(/\n; /g, " ")), textOf(site));
  });
}

Deno.test("a policy that nobody serves, or without a certificate, is told so", () => {
  const { sts } = FULL_SITE;
  assert(sts !== undefined);
  const unserved = textOf({ ...FULL_SITE, sts: { ...sts, isServed: false } }).replace(/\n; /g, " ");
  assertStringIncludes(unserved, "version: STSv1 | mode: enforce | mx: mail.example.org | max_age: 1209600");
  const uncertified = textOf({ ...FULL_SITE, sts: { ...sts, isCertified: false } }).replace(/\n; /g, " ");
  assertStringIncludes(uncertified, "names mta-sts.example.org: without one, nobody believes");
});

Deno.test("any text in strings of a TXT record is the same text when it is joined", () => {
  fc.assert(fc.property(fc.string({ maxLength: 2_000 }), (text) => {
    const strings = textStrings(text);
    assertEquals(strings.join(""), text);
    assert(strings.every((part) => part.length <= 255));
  }));
});

Deno.test("quotation marks and backslashes are escaped in a zone file", () => {
  const record: PublishedRecord = {
    name: "a.example",
    type: "TXT",
    value: 'a"b\\c',
    purpose: "",
    importance: "required",
  };
  assertEquals(zoneLine(record), 'a.example. 3600 IN TXT "a\\"b\\\\c"');
});

Deno.test("no line of a site with everything is longer than what remarks and keys need", () => {
  const long = textOf(FULL_SITE).split("\n").filter((line) => line.length > 120 && !line.includes("p="));
  assertEquals(long.filter((line) => line.startsWith("; ") && !/ IN /.test(line)), []);
  assertEquals(recordsOf(sectionsOf(FULL_SITE)).filter(({ purpose }) => purpose === ""), []);
});
