/** What is said about each difference between our records and live DNS. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import type { RecordData } from "../../../lib/dns/resolver.ts";
import { findingLines } from "../../../lib/publish/check/check.ts";
import type { Finding } from "../../../lib/publish/check/finding.ts";
import type { FakeRecords } from "../../support/fake_resolver.ts";
import {
  certifiedSite,
  checkAgainst,
  type CheckWishes,
  DKIM_VALUE,
  FULL_SITE,
  POLICY_TEXT,
  zoneOf,
} from "../../support/published_site.ts";

type Zone = Record<string, FakeRecords>;

const KEY = "s2026._domainkey.example.org";
const V4 = "1.2.0.192.in-addr.arpa";
const { sts: _sts, ...WITHOUT_POLICY } = FULL_SITE;

/** The full zone with another content of some names; `undefined`: the name does not exist. */
function changed(changes: Readonly<Record<string, FakeRecords | undefined>>): Zone {
  const zone = zoneOf(FULL_SITE);
  for (const [name, records] of Object.entries(changes)) {
    if (records === undefined) delete zone[name];
    else zone[name] = { ...zone[name], ...records };
  }
  return zone;
}

function problems(findings: readonly Finding[]): string {
  return findingLines(findings.filter(({ kind }) => kind !== "good")).join("\n");
}

Deno.test("a zone with all records is good in every point", async () => {
  const findings = await checkAgainst(zoneOf(FULL_SITE));
  assertEquals(problems(findings), "");
  assertEquals(findings.map(({ type, name }) => `${type} ${name}`), [
    "MX example.org",
    "A mail.example.org",
    `PTR ${V4}`,
    "PTR 1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
    "TXT mail.example.org",
    "TXT example.org",
    `TXT ${KEY}`,
    "TXT _dmarc.example.org",
    "TXT _smtp._tls.example.org",
    "TXT _mta-sts.example.org",
    "HTTPS mta-sts.example.org/.well-known/mta-sts.txt",
    "SRV _submissions._tcp.example.org",
    "SRV _submission._tcp.example.org",
  ]);
});

interface Case {
  /** What DNS has. */
  readonly what: string;
  /** Names with another content. */
  readonly zone: Readonly<Record<string, FakeRecords | undefined>>;
  /** The one finding that is not good. */
  readonly says: RegExp;
  readonly wishes?: CheckWishes;
}

function mx(...exchanges: readonly string[]): { readonly MX: readonly RecordData["MX"][] } {
  return { MX: exchanges.map((exchange, i) => ({ preference: 10 * i, exchange })) };
}

function spf(...texts: readonly string[]): Zone {
  return { "example.org": { ...mx("mail.example.org"), TXT: texts } };
}

function dmarc(...texts: readonly string[]): Zone {
  return { "_dmarc.example.org": { TXT: texts } };
}

function dkim(...texts: readonly string[]): Zone {
  return { [KEY]: { TXT: texts } };
}

function lookups(count: number): Zone {
  const terms = Array.from({ length: count }, (_, i) => `include:i${i}.example.net`);
  const zone: Zone = spf(`v=spf1 ${terms.join(" ")} mx -all`);
  for (let i = 0; i < count; i++) zone[`i${i}.example.net`] = { TXT: ["v=spf1 ip4:198.51.100.1 -all"] };
  return zone;
}

/** Does not depend on MX. */
const BY_NAME = "v=spf1 a:mail.example.org -all";
const ADDRESSES = { A: ["192.0.2.1"], AAAA: ["2001:db8::1"] };

const CASES: readonly Case[] = [
  // Hosts
  {
    what: "a failing MX lookup",
    zone: { "example.org": { failing: ["MX"], TXT: [BY_NAME] } },
    says: /^unknown +MX .* no answer: SERVFAIL/,
  },
  {
    what: "no MX",
    zone: { "example.org": { MX: [], TXT: [BY_NAME] } },
    says: /^wrong +MX .*There is no MX record[^]*→ Publish: example\.org\. 3600 IN MX 10 mail/,
  },
  { what: "a null MX", zone: { "example.org": { ...mx(""), TXT: [BY_NAME] } }, says: /accepts no mail \(RFC 7505\)/ },
  {
    what: "a null MX beside another record",
    zone: { "example.org": mx("mail.example.org", "") },
    says: /stands beside other records/,
  },
  {
    what: "another MX host that the configuration does not name",
    zone: { "example.org": mx("mail.example.org", "b.example.net"), "b.example.net": { A: ["198.51.100.1"] } },
    says: /^wrong +MX example\.org: b\.example\.net is an MX host, too[^]*domains\.example\.org\.mx/,
    wishes: {
      policy: { kind: "text", text: POLICY_TEXT.replace("mx:", "mx: b.example.net\r\nmx:") },
      site: WITHOUT_POLICY,
    },
  },
  {
    what: "an MX that is an address",
    zone: { "example.org": mx("mail.example.org", "192.0.2.1") },
    says: /192\.0\.2\.1: An MX record names an address/,
    wishes: { site: { ...WITHOUT_POLICY, hosts: ["mail.example.org", "192.0.2.1"] }, policy: naming("192.0.2.1") },
  },
  {
    what: "an MX host without an address",
    zone: { "example.org": mx("mail.example.org", "b.example.net") },
    says: /^wrong +A b\.example\.net: The MX host has no address/,
    wishes: {
      site: { ...WITHOUT_POLICY, hosts: ["mail.example.org", "b.example.net"] },
      policy: naming("b.example.net"),
    },
  },
  {
    what: "an MX host whose addresses cannot be looked up",
    zone: { "example.org": mx("mail.example.org", "b.example.net"), "b.example.net": { failing: ["A"] } },
    says: /^unknown +A b\.example\.net/,
    wishes: {
      site: { ...WITHOUT_POLICY, hosts: ["mail.example.org", "b.example.net"] },
      policy: naming("b.example.net"),
    },
  },
  {
    what: "a host name that leads to a foreign address, too",
    zone: { "mail.example.org": { A: ["192.0.2.1", "198.51.100.1"] } },
    says: /leads to 198\.51\.100\.1, too[^]*--address/,
  },
  // Names of addresses
  {
    what: "no PTR",
    zone: { [V4]: undefined },
    says: /^wrong +PTR .*192\.0\.2\.1 has no name \(PTR\)[^]*whoever gave us/,
  },
  { what: "a failing PTR", zone: { [V4]: { failing: ["PTR"], PTR: [] } }, says: /^unknown +PTR/ },
  {
    what: "a PTR that is another name of ours",
    zone: { [V4]: { PTR: ["www.example.org"] }, "www.example.org": { A: ["192.0.2.1"] } },
    says: /^advice +PTR .*www\.example\.org, and our greeting says mail\.example\.org/,
  },
  {
    what: "a PTR of the provider that does not lead back",
    zone: { [V4]: { PTR: ["192-0-2-1.provider.example"] } },
    says: /^wrong +PTR .*provider\.example, which does not lead back/,
  },
  // SPF
  { what: "no SPF", zone: spf(), says: /^wrong +TXT example\.org: There is no SPF record[^]*"v=spf1 mx -all"/ },
  {
    what: "two SPF records",
    zone: spf("v=spf1 mx -all", "v=spf1 a -all"),
    says: /There are 2 SPF records, and so none counts/,
  },
  { what: "other texts beside SPF", zone: spf("google-site-verification=x", "v=spf1 mx -all"), says: /^$/ },
  { what: "SPF behind a quotation mark", zone: spf('"v=spf1 mx -all"'), says: /is no SPF record: it must begin/ },
  {
    what: "SPF for others only",
    zone: spf("v=spf1 include:x.example.net -all"),
    says: /Receivers cannot use [^]*which has no SPF record/,
  },
  {
    what: "SPF that does not name us",
    zone: spf("v=spf1 ip4:198.51.100.1 ~all"),
    says:
      /does not let our mail pass from 192\.0\.2\.1 \(softfail\), 2001:db8::1 \(softfail\)[^]*v=spf1 mx ip4:198\.51\.100\.1 ~all/,
  },
  {
    what: "SPF with 11 lookups",
    zone: lookups(11),
    says: /Receivers cannot use [^]*More than 10 terms need DNS lookups[^]*Remove include:/,
  },
  { what: "SPF with 9 lookups and mx", zone: lookups(9), says: /^$/ },
  { what: "SPF with an unknown mechanism", zone: spf("v=spf1 mx ipv4:192.0.2.1 -all"), says: /Receivers cannot use/ },
  { what: "SPF for everybody", zone: spf("v=spf1 mx +all"), says: /^wrong .*lets everybody send/ },
  { what: "SPF with ?all", zone: spf("v=spf1 mx ?all"), says: /^advice .*\?all, which says nothing/ },
  { what: "SPF without all", zone: spf("v=spf1 mx"), says: /^advice .*does not end with -all/ },
  { what: "SPF with ptr", zone: spf("v=spf1 mx ptr -all"), says: /^advice .*uses ptr/ },
  { what: "a failing SPF lookup", zone: { "example.org": { failing: ["TXT"] } }, says: /^unknown +TXT example\.org/ },
  {
    what: "no SPF of the host",
    zone: { "mail.example.org": { ...ADDRESSES, TXT: [] } },
    says: /^advice +TXT mail\.example\.org/,
  },
  // DKIM
  { what: "no key", zone: { [KEY]: undefined }, says: /^wrong .*no record of a key that signs our mail/ },
  { what: "two keys", zone: dkim(DKIM_VALUE, DKIM_VALUE), says: /There are 2 records/ },
  { what: "another key", zone: dkim("v=DKIM1; k=rsa; p=QUJE"), says: /another key than the one that signs/ },
  { what: "a key cut off", zone: dkim(DKIM_VALUE.slice(0, 255)), says: /cut off after 237 of 392 characters/ },
  { what: "a revoked key", zone: dkim("v=DKIM1; p="), says: /is revoked/ },
  { what: "a record without a key", zone: dkim("v=DKIM1; k=rsa"), says: /has no key/ },
  {
    what: "a key of another type",
    zone: dkim(DKIM_VALUE.replace("rsa", "ed25519")),
    says: /of type "ed25519", and ours is rsa/,
  },
  { what: "a key that is no base64", zone: dkim("v=DKIM1; p=%%%"), says: /no base64/ },
  { what: "a record that is none", zone: dkim("hello"), says: /is no key record/ },
  { what: "a wrong version", zone: dkim(DKIM_VALUE.replace("DKIM1", "DKIM2")), says: /does not begin with "v=DKIM1"/ },
  { what: "a key for tests", zone: dkim(`${DKIM_VALUE}; t=s:y`), says: /^advice .*only trying DKIM/ },
  { what: "a key for sha1", zone: dkim(`${DKIM_VALUE}; h=sha1`), says: /no signatures with sha256/ },
  { what: "a key for other services", zone: dkim(`${DKIM_VALUE}; s=tlsrpt`), says: /not for mail/ },
  { what: "a key in capital letters", zone: dkim(DKIM_VALUE.toLowerCase()), says: /^wrong/ },
  // DMARC
  { what: "no DMARC", zone: { "_dmarc.example.org": undefined }, says: /^wrong .*There is no DMARC record/ },
  {
    what: "two DMARC records",
    zone: dmarc("v=DMARC1; p=none", "v=DMARC1; p=reject"),
    says: /There are 2 DMARC records/,
  },
  { what: "a text that is no DMARC", zone: dmarc("p=none"), says: /is no DMARC record: it must begin/ },
  {
    what: "a DMARC policy that is none",
    zone: dmarc("v=DMARC1; p=block; rua=mailto:a@example.org"),
    says: /"p=block" has a value that DMARC does not know/,
  },
  { what: "a DMARC record without a policy", zone: dmarc("v=DMARC1; rua=mailto:a@example.org"), says: /has no policy/ },
  {
    what: "DMARC without reports",
    zone: dmarc("v=DMARC1; p=reject"),
    says: /^advice .*Nobody gets the reports[^]*rua=mailto:postmaster@example\.org/,
  },
  {
    what: "DMARC with an unknown tag",
    zone: dmarc("v=DMARC1; p=reject; rau=mailto:a@example.org; rua=mailto:a@example.org"),
    says: /^advice .*pass over "rau=mailto:a@example\.org"/,
  },
  {
    what: "DMARC with a tag twice",
    zone: dmarc("v=DMARC1; p=reject; p=none; rua=mailto:a@example.org"),
    says: /p= stands there twice/,
  },
  {
    what: "DMARC with commas for semicolons",
    zone: dmarc("v=DMARC1; p=none, rua=mailto:a@example.org"),
    says: /value that DMARC does not know/,
  },
  {
    what: "DMARC with an address without mailto",
    zone: dmarc("v=DMARC1; p=none; rua=a@example.org"),
    says: /rua= names "a@example\.org", where no report can go/,
  },
  {
    what: "DMARC reports to a domain that did not agree",
    zone: dmarc("v=DMARC1; p=none; rua=mailto:a@reports.example"),
    says:
      /reports\.example does not agree[^]*example\.org\._report\._dmarc\.reports\.example\. 3600 IN TXT "v=DMARC1;"/,
  },
  {
    what: "DMARC reports to a domain that agreed",
    zone: {
      ...dmarc("v=DMARC1; p=quarantine; rua=mailto:a@reports.example!10m,mailto:b@sub.example.org"),
      "example.org._report._dmarc.reports.example": { TXT: ["v=DMARC1"] },
    },
    says: /^$/,
  },
  // Transport
  {
    what: "no TLS-RPT",
    zone: { "_smtp._tls.example.org": undefined },
    says: /^advice .*Nobody reports to us that TLS/,
  },
  {
    what: "a TLS-RPT without a place",
    zone: { "_smtp._tls.example.org": { TXT: ["v=TLSRPTv1; rua=x"] } },
    says: /cannot be read/,
  },
  {
    what: "two TLS-RPT records",
    zone: {
      "_smtp._tls.example.org": { TXT: ["v=TLSRPTv1; rua=mailto:a@b.example", "v=TLSRPTv1; rua=mailto:a@c.example"] },
    },
    says: /2 TLS-RPT records/,
  },
  {
    what: "no MTA-STS record",
    zone: { "_mta-sts.example.org": undefined },
    says: /^wrong .*nobody asks for our policy/,
  },
  {
    what: "the id of an older policy",
    zone: { "_mta-sts.example.org": { TXT: ["v=STSv1; id=1"] } },
    says: /The id is 1, and that of our policy \w{20}/,
  },
  {
    what: "an id with a hyphen",
    zone: { "_mta-sts.example.org": { TXT: ["v=STSv1; id=2026-11-27"] } },
    says: /letters and digits/,
  },
  {
    what: "two MTA-STS records",
    zone: { "_mta-sts.example.org": { TXT: ["v=STSv1; id=1", "v=STSv1; id=2"] } },
    says: /2 MTA-STS records/,
  },
  {
    what: "a policy that cannot be fetched",
    zone: {},
    wishes: { policy: { kind: "failed", failure: "sts-policy-fetch-error", reason: "the answer to GET is 404" } },
    says: /^wrong +HTTPS .*cannot be fetched: the answer to GET is 404[^]*mta-sts\.example\.org\. 3600 IN CNAME mail/,
  },
  {
    what: "a policy host with a wrong certificate",
    zone: {},
    wishes: { policy: { kind: "failed", failure: "sts-webpki-invalid", reason: "wrong name" } },
    says: /→ Get a certificate for mta-sts\.example\.org/,
  },
  {
    what: "a policy that is none",
    zone: {},
    wishes: { policy: { kind: "text", text: "<html>" } },
    says: /It is no policy/,
  },
  {
    what: "another policy",
    zone: {},
    wishes: { policy: { kind: "text", text: POLICY_TEXT.replace("enforce", "testing") } },
    says: /Another policy is served than the configuration says: "version: STSv1 \| mode: testing/,
  },
  {
    what: "a record of a policy that is not ours",
    zone: {},
    wishes: { site: WITHOUT_POLICY },
    says: /^advice +TXT _mta-sts.*domains\.example\.org\.mta_sts does not/,
  },
  {
    what: "a policy with LF",
    zone: {},
    wishes: { policy: { kind: "text", text: POLICY_TEXT.replaceAll("\r", "") } },
    says: /^$/,
  },
  // Clients
  {
    what: "no SRV",
    zone: { "_submissions._tcp.example.org": undefined },
    says: /^advice +SRV .*Mail programs cannot find/,
  },
  {
    what: "an SRV to another port",
    zone: {
      "_submissions._tcp.example.org": { SRV: [{ priority: 0, weight: 1, port: 466, target: "mail.example.org" }] },
    },
    says: /leads to mail\.example\.org port 466/,
  },
  {
    what: "an SRV to nowhere",
    zone: { "_submissions._tcp.example.org": { SRV: [{ priority: 0, weight: 0, port: 0, target: "" }] } },
    says: /leads to nowhere/,
  },
];

/** A policy that names our host and another one. */
function naming(host: string): NonNullable<CheckWishes["policy"]> {
  return { kind: "text", text: POLICY_TEXT.replace("mx:", `mx: ${host}\r\nmx:`) };
}

for (const { what, zone, says, wishes } of CASES) {
  Deno.test(`DNS with ${what}`, async () => {
    const found = (await checkAgainst(changed(zone), wishes)).filter(({ kind }) => kind !== "good");
    // A record of a policy that is none of ours is told in all of these sites.
    const others = wishes?.site === undefined || says.source.includes("_mta-sts")
      ? found
      : found.filter(({ name }) => name !== "_mta-sts.example.org" && !name.startsWith("mta-sts."));
    assertMatch(problems(others), says);
    assert(others.length <= 1, problems(others));
    assertEquals(others.filter(({ kind, mend }) => kind === "wrong" && !mend), []);
  });
}

Deno.test("a domain that does not exist is told once, before all that is missing then", async () => {
  const [first] = await checkAgainst({});
  assertEquals(first?.text, "The domain does not exist in DNS, so nobody can send to it");
});

Deno.test("MX to other hosts alone is told as such", async () => {
  const zone = changed({ "example.org": mx("mx.google.example"), "mx.google.example": { A: ["198.51.100.1"] } });
  assertMatch(
    problems(await checkAgainst(zone)),
    /^wrong +MX example\.org: Mail for the domain goes to other hosts: mx\.google\.example/,
  );
});

Deno.test("an MX host that is an alias is told, with the name that it stands for", async () => {
  const zone = { ...changed({ "host.example.net": ADDRESSES }), "mail.example.org": { cname: "host.example.net" } };
  assertMatch(
    problems(await checkAgainst(zone)),
    /CNAME mail\.example\.org: The MX host is an alias \(CNAME\) of host\.example\.net/,
  );
});

Deno.test("a host name that lost an address, and with it the way back from its PTR, is told for both", async () => {
  const found = problems(await checkAgainst(changed({ "mail.example.org": { A: [] } })));
  assertMatch(found, /^wrong +A mail\.example\.org: Our host name does not lead to 192\.0\.2\.1/);
  assertMatch(
    found,
    /PTR 1\.2\.0\.192\.in-addr\.arpa: The name of 192\.0\.2\.1 is mail\.example\.org, which does not lead back/,
  );
});

Deno.test("where this machine does not know its addresses, those of its name are checked", async () => {
  const site = { ...FULL_SITE, addresses: [] };
  assertEquals(problems(await checkAgainst(zoneOf(FULL_SITE), { site })), "");
  assertMatch(problems(await checkAgainst(changed({ [V4]: undefined }), { site })), /192\.0\.2\.1 has no name/);
});

Deno.test("with a smarthost the record need not name us, and its include is asked for where it is missing", async () => {
  const site = { ...FULL_SITE, smarthost: "smarthost.example" };
  const zone = {
    ...changed(spf("v=spf1 include:spf.smarthost.example -all")),
    "spf.smarthost.example": { TXT: ["v=spf1 ip4:198.51.100.0/24 -all"] },
  };
  assertEquals(problems(await checkAgainst(zone, { site })), "");
  assertMatch(
    problems(await checkAgainst(zoneOf(site), { site })),
    /Add the "include:" that the operator of smarthost\.example names/,
  );
});

Deno.test("the record by which reports of another domain of ours may come here is looked at", async () => {
  const site = { ...FULL_SITE, reportsAlsoOn: ["example.net"] };
  const name = "example.net._report._dmarc.example.org";
  const told = async (TXT: readonly string[] | undefined): Promise<string | undefined> => {
    const zone = { ...zoneOf(site), [name]: TXT === undefined ? { failing: ["TXT" as const] } : { TXT } };
    return findingLines((await checkAgainst(zone, { site })).filter((found) => found.name === name)).join("\n");
  };
  assertMatch(
    await told(["v=DMARC1;"]) ?? "",
    /^good +TXT example\.net\._report\._dmarc\.example\.org: reports about example\.net may come here$/,
  );
  assertMatch(await told(["v=DMARC1"]) ?? "", /^good /);
  assertMatch(
    await told(["v=spf1"]) ?? "",
    /^wrong .*no reports about example\.net come here[^]*Publish: example\.net\._report\._dmarc\.example\.org\. 3600 IN TXT "v=DMARC1;"/,
  );
  assertMatch(await told(undefined) ?? "", /^unknown /);
});

Deno.test("where reports go to another domain of ours, the check says who publishes that it agrees", async () => {
  const site = { ...FULL_SITE, reportsTo: "dmarc@example.net" };
  const lines = findingLines(await checkAgainst(zoneOf(site), { site })).join("\n");
  assertMatch(
    lines,
    /example\.net does not agree[^]*→ Publish: example\.org\._report\._dmarc\.example\.net\. 3600 IN TXT "v=DMARC1;"/,
  );
});

Deno.test("a policy in mode enforce that does not name an MX host is told", async () => {
  const zone = changed({
    "example.org": mx("mail.example.org", "b.example.net"),
    "b.example.net": { A: ["198.51.100.1"] },
  });
  assertMatch(
    problems(await checkAgainst(zone)),
    /does not name the MX hosts b\.example\.net: no mail is sent to them/,
  );
});

Deno.test("TLSA records are compared with the certificate, and count under DNSSEC only", async () => {
  const site = await certifiedSite();
  assert(site.certificate.kind === "key");
  const tlsa = (data: string, usage = 3): FakeRecords => ({
    TLSA: [{ usage, selector: 1, matchingType: 1, data: Uint8Array.fromHex(data) }],
    isSecure: true,
  });
  const check = async (records: FakeRecords, isTrusted = true): Promise<string> => {
    const zone = changed({ "_25._tcp.mail.example.org": records });
    zone["example.org"] = { ...zone["example.org"], isSecure: true };
    return problems(await checkAgainst(zone, { site, isTrusted }));
  };
  const { keyHash } = site.certificate;
  assertEquals(await check(tlsa(keyHash)), "");
  assertMatch(
    await check(tlsa("ab".repeat(32))),
    /^wrong +TLSA .*fits none of these[^]*IN TLSA 3 1 1 [0-9a-f]{64}; keep the old ones/,
  );
  assertMatch(await check(tlsa(keyHash, 1)), /^wrong .*none of these can be used for mail/);
  assertMatch(await check(tlsa("ab".repeat(32), 2)), /^unknown .*the authority of our certificate/);
  assertMatch(
    await check({ ...tlsa(keyHash), isSecure: false }),
    /^advice .*no effect, because the zone is not signed/,
  );
  assertMatch(await check(tlsa(keyHash), false), /^advice .*the resolver does not validate/);
  assertMatch(await check({ isSecure: true }), /^advice .*could protect mail to us \(DANE\)/);
  assertMatch(await check({ failing: ["TLSA"] }), /^unknown .*They must|they must answer questions about TLSA/);
});

Deno.test("a zone without DNSSEC is told where the resolver validates", async () => {
  assertMatch(
    problems(await checkAgainst(zoneOf(FULL_SITE), { isTrusted: true })),
    /^advice +MX example\.org: The zone is not signed/,
  );
});

Deno.test("what a policy server says cannot steer the terminal", async () => {
  const policy = {
    kind: "failed",
    failure: "sts-policy-fetch-error",
    reason: 'the media type is "\x1b[2J\r\n\x9b"',
  } as const;
  assertMatch(problems(await checkAgainst(zoneOf(FULL_SITE), { policy })), /the media type is "\?\[2J\?\?\?"\n/);
});

Deno.test("a TTL of nothing or of a week is told", async () => {
  const check = async (ttlSeconds: number): Promise<string> =>
    problems(await checkAgainst(zoneOf(FULL_SITE), { ttlSeconds }));
  assertMatch(await check(0), /^advice +MX example\.org: Its TTL is 0/);
  assertMatch(await check(7 * 86_400), /^advice +MX example\.org: Its TTL is 7 days/);
  assertEquals(await check(86_400), "");
});

Deno.test("whatever stands in TXT records, the check ends, and prints one printable line for each finding and mend", async () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc.constantFrom("v=spf1 ", "v=DMARC1;", "v=DKIM1; p=", "v=STSv1; id=", "v=TLSRPTv1; rua=").chain((head) =>
      fc.string({ unit: "binary", maxLength: 100 }).map((rest) => head + rest)
    ),
  );
  const names = Object.keys(zoneOf(FULL_SITE));
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...names), fc.array(text, { maxLength: 3 }), async (name, TXT) => {
      const findings = await checkAgainst(changed({ [name]: { TXT } }));
      for (const line of findingLines(findings)) assertMatch(line, /^[\x20-\x7e→…§]+$/);
    }),
    { numRuns: 60 },
  );
});
