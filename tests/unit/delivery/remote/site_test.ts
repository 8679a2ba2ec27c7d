import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { MAIL_PROVIDERS, providerOf } from "../../../../lib/delivery/remote/providers.ts";
import { siteOf, Sites } from "../../../../lib/delivery/remote/site.ts";
import type { Resolver } from "../../../../lib/dns/resolver.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { FakeResolver } from "../../../support/fake_resolver.ts";
import { mxHop, smarthostHop, testTarget } from "../../../support/remote_delivery.ts";

/** What customers of each provider publish. */
const HOSTS: Readonly<Record<string, string>> = {
  "aspmx.l.google.com": "google",
  "alt4.aspmx.l.google.com": "google",
  "smtp.google.com": "google",
  "aspmx2.googlemail.com": "google",
  "gmail-smtp-in.l.google.com": "google",
  "example-org.mail.protection.outlook.com": "microsoft",
  "example-org.r-v1.mx.microsoft": "microsoft",
  "example.org.mail.eo.outlook.com": "microsoft",
  "outlook-com.olc.protection.outlook.com": "outlook",
  "hotmail-com.olc.protection.outlook.com": "outlook",
  "mta5.am0.yahoodns.net": "yahoo",
  "mx-aol.mail.gm0.yahoodns.net": "yahoo",
  "mx01.mail.icloud.com": "icloud",
  "mail.protonmail.ch": "protonmail",
  "mailsec.protonmail.ch": "protonmail",
  "mxa-001e1701.gslb.pphosted.com": "proofpoint",
  "mx1-us1.ppe-hosted.com": "proofpoint-essentials",
  "us-smtp-inbound-1.mimecast.com": "mimecast",
  "cluster5.us.messagelabs.com": "messagelabs",
  "d200001a.ess.barracudanetworks.com": "barracuda",
  "mx00.kundenserver.de": "ionos",
  "mx01.ionos.de": "ionos",
  "mx00.emig.gmx.net": "gmx",
  "mx-ha02.web.de": "gmx",
  "mx00.t-online.de": "t-online",
  "mxs.mail.ru": "mailru",
  "emx.mail.ru": "mailru",
  "mx.yandex.net": "yandex",
  "mx.yandex.ru": "yandex",
  "mx.zoho.com": "zoho",
  "mx2.zoho.eu": "zoho",
  "in1-smtp.messagingengine.com": "fastmail",
  "mx1.mail.ovh.net": "ovh",
  "spool.mail.gandi.net": "gandi",
  "mx3.qq.com": "qq",
  "mxbiz1.qq.com": "qq",
  "163mx01.mxmail.netease.com": "163",
  "qiye163mx01.mxmail.netease.com": "163",
  "mx1.comcast.net": "comcast",
  "route1.mx.cloudflare.net": "cloudflare",
  "inbound-smtp.eu-west-1.amazonaws.com": "amazon",
  "smtpin.rzone.de": "strato",
  "mx1.emailsrvr.com": "rackspace",
  "smtp.secureserver.net": "godaddy",
};

for (const [host, provider] of Object.entries(HOSTS)) {
  Deno.test(`${host} is a host of ${provider}`, () => assertEquals(providerOf(host), provider));
}

Deno.test("a host whose name only looks like that of a provider is none of its own", () => {
  for (const host of ["notgoogle.com", "google.com.example", "mxgmx.net", "outlook.com", "com", "localhost", ""]) {
    assertEquals(providerOf(host), undefined, host);
  }
});

Deno.test("the table of providers has each name and each domain once, in lower case", () => {
  const names = MAIL_PROVIDERS.map(({ name }) => name);
  const domains = MAIL_PROVIDERS.flatMap(({ mxDomains }) => mxDomains);
  assertEquals([new Set(names).size, new Set(domains).size], [names.length, domains.length]);
  assertEquals(names, names.toSorted());
  for (const name of names) assertMatch(name, /^[a-z0-9][a-z0-9-]*$/);
  for (const domain of domains) assertMatch(domain, /^([a-z0-9-]+\.)+[a-z]+$/);
});

/** MX records as `10 mx1.example.org`. */
function siteFor(...records: string[]): string | undefined {
  const parsed = records.map((record) => {
    const [preference = "", exchange = ""] = record.split(" ");
    return { preference: Number(preference), exchange };
  });
  return siteOf({ kind: "found", records: parsed, canonicalName: "example.test", isSecure: false, ttlSeconds: 60 });
}

for (
  const [what, records, expected] of [
    ["one host", ["10 mx.example.org"], "mx.example.org"],
    ["one best host of several", ["20 b.example.org", "10 MX.Example.org."], "mx.example.org"],
    ["a host that is named twice", ["10 mx.example.org", "10 MX.example.org"], "mx.example.org"],
    ["three equal hosts", ["5 c.example.org", "5 a.example.org", "5 b.example.org"], "a.example.org+2-"],
    ["a provider's hosts", ["1 aspmx.l.google.com", "5 alt1.aspmx.l.google.com"], "google"],
    ["two hosts of one provider", ["5 mta5.am0.yahoodns.net", "5 mta6.am0.yahoodns.net"], "yahoo"],
    ["a provider and somebody else", ["5 aspmx.l.google.com", "5 mx.example.org"], "aspmx.l.google.com+1-"],
    ["a provider behind a host of one's own", ["5 mx.example.org", "9 aspmx.l.google.com"], "mx.example.org"],
    ["an empty name next to others", ["0 ", "9 mx.example.org"], "mx.example.org"],
    ["a null MX", ["0 "], undefined],
  ] as [string, string[], string | undefined][]
) {
  Deno.test(`the site of ${what} is ${expected ?? "none"}`, () => {
    const site = siteFor(...records);
    if (expected?.endsWith("-")) assertMatch(site ?? "", new RegExp(`^${expected.replace("+", "\\+")}[0-9a-f]{8}$`));
    else assertEquals(site, expected);
  });
}

Deno.test("the same hosts in any order are one site, and other hosts are another one", () => {
  const site = siteFor("5 a.test", "5 b.test");
  assertEquals(siteFor("7 b.test", "7 a.test", "9 c.test"), site);
  assertNotEquals(siteFor("5 a.test", "5 c.test"), site);
});

Deno.test("a domain without MX is its own site, under its canonical name", async () => {
  const zone = { "www.test": { cname: "real.test" }, "real.test": { A: ["192.0.2.1"] } };
  const sites = new Sites({ resolver: new FakeResolver(zone), clock: new FakeClock() });
  assertEquals(await sites.of(mxHop("www.test"), new AbortController().signal), "real.test");
});

Deno.test("what DNS knows nothing of, or does not tell, is named by its domain", async () => {
  const zone = { "down.test": { failing: ["MX" as const] }, "null.test": { MX: [{ preference: 0, exchange: "" }] } };
  const sites = new Sites({ resolver: new FakeResolver(zone), clock: new FakeClock() });
  const { signal } = new AbortController();
  for (const domain of ["gone.test", "down.test", "null.test"]) {
    assertEquals(await sites.of(mxHop(domain), signal), `mx:${domain}`);
  }
  const broken: Resolver = { lookup: () => Promise.reject(new Error("bug")) };
  assertEquals(await new Sites({ resolver: broken, clock: new FakeClock() }).of(mxHop("a.test"), signal), "mx:a.test");
});

Deno.test("a name is given at once while it is known, and asked for again when its TTL is over", async () => {
  const resolver = new FakeResolver({ "a.test": { MX: [{ preference: 1, exchange: "mx.test" }] } });
  const clock = new FakeClock();
  const sites = new Sites({ resolver, clock });
  const { signal } = new AbortController();
  const first = sites.of(mxHop("a.test"), signal);
  assert(first instanceof Promise);
  assertEquals(await first, "mx.test");
  assertEquals(sites.of(mxHop("a.test"), signal), "mx.test");
  await clock.advance(60_000);
  resolver.zone = { "a.test": { MX: [{ preference: 1, exchange: "other.test" }] } };
  const second = sites.of(mxHop("a.test"), signal);
  assert(second instanceof Promise);
  assertEquals(await second, "other.test");
  assertEquals(resolver.questions.length, 2);
});

Deno.test("a lookup that failed is not believed for long", async () => {
  const resolver = new FakeResolver({ "a.test": { failing: ["MX"] } });
  const clock = new FakeClock();
  const sites = new Sites({ resolver, clock });
  const { signal } = new AbortController();
  await sites.of(mxHop("a.test"), signal);
  assertEquals(sites.of(mxHop("a.test"), signal), "mx:a.test");
  await clock.advance(10_000);
  resolver.zone = { "a.test": { MX: [{ preference: 1, exchange: "mx.test" }] } };
  assertEquals(await sites.of(mxHop("a.test"), signal), "mx.test");
});

Deno.test("of too many domains the one that was asked for longest ago is forgotten", async () => {
  const sites = new Sites({ resolver: new FakeResolver(), clock: new FakeClock(), maxDomains: 2 });
  const { signal } = new AbortController();
  for (const domain of ["a.test", "b.test", "c.test"]) await sites.of(mxHop(domain), signal);
  assertEquals(sites.of(mxHop("c.test"), signal), "mx:c.test");
  assertEquals(sites.of(mxHop("b.test"), signal), "mx:b.test");
  assert(sites.of(mxHop("a.test"), signal) instanceof Promise);
});

Deno.test("smarthosts and address literals are named by their key, without DNS", async () => {
  const hop = smarthostHop({ host: "smarthost.test", port: 587 });
  await using target = testTarget({});
  const { signal } = new AbortController();
  assertEquals(target.destinationOf(hop, signal), hop.key);
  assertEquals(target.destinationOf(mxHop("[192.0.2.1]"), signal), "mx:[192.0.2.1]");
  assertEquals(await target.destinationOf(mxHop("none.test"), signal), "mx:none.test");
});
