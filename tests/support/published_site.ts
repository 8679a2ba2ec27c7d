/** A site with all that can be published, and a zone that has it. */

import type { StsFetched } from "../../lib/delivery/remote/mta_sts_fetch.ts";
import type { Resolver } from "../../lib/dns/resolver.ts";
import { checkSpf } from "../../lib/msgauth/spf/check.ts";
import { checkRecords } from "../../lib/publish/check/check.ts";
import type { Finding } from "../../lib/publish/check/finding.ts";
import { type PublishedRecord, recordsOf } from "../../lib/publish/record.ts";
import { sectionsOf } from "../../lib/publish/sections.ts";
import type { Site } from "../../lib/publish/site.ts";
import { ownStsPolicy } from "../../lib/publish/sts_policy.ts";
import { publicKeyInfo } from "../../lib/tls/certificate_parts.ts";
import { makeSelfSigned } from "../../lib/tls/self_signed.ts";
import { FakeClock } from "./fake_clock.ts";
import { type FakeRecords, FakeResolver } from "./fake_resolver.ts";

/** Long enough for two strings of a TXT record. */
export const DKIM_VALUE = `v=DKIM1; k=rsa; p=${"QUJD".repeat(98)}`;
const KEY_HASH = "0".repeat(64);

const POLICY = ownStsPolicy({
  hostname: "mail.example.org",
  domains: new Map([["example.org", { name: "example.org", dkim: [], mtaSts: "enforce" }]]),
}, "example.org");
if (POLICY === undefined) throw new TypeError("The site has a policy");

/** The policy text that the site gives away. */
export const POLICY_TEXT: string = POLICY.text;

/** All sections have records. */
export const FULL_SITE: Site = {
  domain: "example.org",
  hostname: "mail.example.org",
  hosts: ["mail.example.org"],
  addresses: ["192.0.2.1", "2001:db8::1"],
  otherSources: [],
  hasHostRecords: true,
  dkimKeys: [{ selector: "s2026", value: DKIM_VALUE, isConfigured: true }],
  submission: { starttls: 587, implicit: 465 },
  takesMailOnPort25: true,
  sts: { ...POLICY, isServed: true, isCertified: true },
  certificate: { kind: "key", keyHash: KEY_HASH, certificate: new Uint8Array() },
  reportsTo: "postmaster@example.org",
  reportsAlsoOn: [],
};

/** The same site with a certificate that TLSA records can be compared with. */
export async function certifiedSite(): Promise<Site> {
  const { chain } = await makeSelfSigned("mail.example.org", Date.now());
  const der = Uint8Array.from(atob(chain.replace(/-----[^-]+-----|\s/g, "")), (octet) => octet.charCodeAt(0));
  const hash = await crypto.subtle.digest("SHA-256", Uint8Array.from(publicKeyInfo(der)));
  return { ...FULL_SITE, certificate: { kind: "key", keyHash: new Uint8Array(hash).toHex(), certificate: der } };
}

/** A zone with exactly the records of a site, but optional ones. */
export function zoneOf(site: Site): Record<string, FakeRecords> {
  const zone: Record<string, FakeRecords> = {};
  for (const record of recordsOf(sectionsOf(site))) {
    if (record.importance !== "optional") zone[record.name] = add(zone[record.name] ?? {}, record);
  }
  return zone;
}

function add(records: FakeRecords, { type, value }: PublishedRecord): FakeRecords {
  const words = value.split(" ").map((word) => word.replace(/\.$/, ""));
  switch (type) {
    case "CNAME":
      return { cname: words[0] ?? "" };
    case "MX":
      return { ...records, MX: [...records.MX ?? [], { preference: Number(words[0]), exchange: words[1] ?? "" }] };
    case "SRV": {
      const [priority, weight, port, target = ""] = words;
      return { ...records, SRV: [{ priority: Number(priority), weight: Number(weight), port: Number(port), target }] };
    }
    case "TLSA":
      return records;
    default:
      return { ...records, [type]: [...records[type] ?? [], type === "TXT" ? value : words[0] ?? ""] };
  }
}

/** What a check is made of that a test wants otherwise. */
export interface CheckWishes {
  readonly site?: Site;
  readonly isTrusted?: boolean;
  readonly policy?: StsFetched;
  /** Of all answers. */
  readonly ttlSeconds?: number;
}

/** Checks a site against a zone. */
export async function checkAgainst(
  zone: Record<string, FakeRecords>,
  { site = FULL_SITE, isTrusted = false, policy = { kind: "text", text: POLICY_TEXT }, ttlSeconds = 60 }: CheckWishes =
    {},
): Promise<readonly Finding[]> {
  const fake = new FakeResolver(zone);
  const resolver: Resolver = {
    lookup: async (name, type) => {
      const answer = await fake.lookup(name, type);
      return answer.kind === "failed" ? answer : { ...answer, ttlSeconds };
    },
  };
  return await checkRecords({
    site,
    resolver,
    isTrusted,
    checkSpf: (identity, domain, ip) =>
      checkSpf({
        identity,
        ip,
        helo: domain,
        reversePath: `postmaster@${domain}`,
        receiver: site.hostname,
        resolver,
        clock: new FakeClock(),
      }),
    fetchPolicy: () => Promise.resolve(policy),
    signal: new AbortController().signal,
  });
}
