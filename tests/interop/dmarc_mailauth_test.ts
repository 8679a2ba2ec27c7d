/** DMARC of generated messages, by posthorn and by npm's mailauth, which follows RFC 9989 as well. */

import { assert, assertEquals } from "@std/assert";
import { dmarc } from "mailauth";
import { anyRecord, type DmarcCase, evaluateCase, makeCase, picker } from "../support/msgauth/dmarc_cases.ts";
import { seededRandom } from "../support/seeded_random.ts";

const CASES = 3000;

/** From the top of the tree to names that are too long for a walk by single labels. */
const DOMAINS = [
  "com",
  "example.com",
  "mail.example.com",
  "a.mail.example.com",
  "b.mail.example.com",
  "dept.example.com",
  "other.com",
  "uk",
  "co.uk",
  "example.co.uk",
  "mail.example.co.uk",
  "g.h.i.j.mail.example.com",
  "e.f.g.h.i.j.mail.example.com",
  "a.b.c.d.e.f.g.h.i.j.mail.example.com",
  "xn--bcher-kva.example",
];

/** What both are asked: the result, for mail that fails the policy, and where its record is. */
interface Verdict {
  readonly result: string;
  readonly policy?: string | undefined;
  readonly policyDomain?: string | undefined;
  readonly isSpfAligned?: boolean;
  readonly isDkimAligned?: boolean;
}

function notFound(code: string): Error {
  return Object.assign(new Error(code), { code });
}

async function byMailauth({ from, records, names, failing, spf, dkim }: DmarcCase): Promise<Verdict> {
  const resolver = (name: string, type: string): Promise<string[] | string[][]> => {
    const domain = name.replace(/^_dmarc\./, "");
    const isDmarc = domain !== name;
    if (isDmarc && failing.includes(domain)) return Promise.reject(notFound("ESERVFAIL"));
    const text = isDmarc ? records[domain] : undefined;
    if (text !== undefined && type === "TXT") return Promise.resolve([[text]]);
    if (!isDmarc && names.includes(domain) && type === "A") return Promise.resolve(["192.0.2.1"]);
    return Promise.reject(notFound(names.includes(domain) && !isDmarc ? "ENODATA" : "ENOTFOUND"));
  };
  const found = await dmarc(
    {
      headerFrom: [`a@${from}`],
      spfDomains: spf === undefined ? [] : [spf],
      dkimDomains: dkim.map((domain) => ({ domain })),
      resolver,
    } as Parameters<typeof dmarc>[0],
  );
  assert(found);
  const { status, policy, policyDomain, alignment } = found as unknown as {
    readonly status: { readonly result: string };
    readonly policy?: string;
    readonly policyDomain?: string;
    readonly alignment?: Readonly<Record<"spf" | "dkim", { readonly result?: string }>>;
  };
  if (status.result === "none" || status.result === "temperror") return { result: status.result };
  return {
    result: status.result,
    policyDomain,
    // Whether the author domain exists is asked by mailauth in any case, by us only where it makes a difference.
    ...(status.result === "fail" ? { policy } : {}),
    isSpfAligned: alignment?.spf.result !== undefined,
    isDkimAligned: alignment?.dkim.result !== undefined,
  };
}

async function byPosthorn(given: DmarcCase): Promise<Verdict> {
  const { result, policy, policyDomain, isSpfAligned, isDkimAligned } = await evaluateCase(given);
  if (result === "none" || result === "temperror") return { result };
  return { result, policyDomain, ...(result === "fail" ? { policy } : {}), isSpfAligned, isDkimAligned };
}

/**
 * The one difference (docs/standards.md): a top-level domain that says nothing about psd is a public suffix to posthorn. With
 * the tag in its record mailauth must come to the same verdict.
 */
function asPosthornReads(given: DmarcCase): DmarcCase {
  const records = Object.entries(given.records).map(([domain, text]): [string, string] =>
    domain.includes(".") || /psd=[yn]/i.test(text) ? [domain, text] : [domain, `${text};psd=y`]
  );
  return { ...given, records: Object.fromEntries(records) };
}

Deno.test(`posthorn and mailauth agree on ${CASES} generated messages`, async () => {
  const seed = Number(Deno.env.get("POSTHORN_DMARC_SEED") ?? 6);
  const pick = picker(seededRandom(seed));
  const counts: Record<string, number> = {};
  for (let i = 0; i < CASES; i++) {
    const given = makeCase(pick, { domains: DOMAINS, mayFail: true, record: anyRecord });
    const [ours, theirs] = [await byPosthorn(given), await byMailauth(asPosthornReads(given))];
    assertEquals(ours, theirs, `seed ${seed}, case ${i}: ${JSON.stringify(given)}`);
    counts[ours.result] = (counts[ours.result] ?? 0) + 1;
  }
  for (const result of ["pass", "fail", "none", "temperror"]) {
    assert((counts[result] ?? 0) > 100, JSON.stringify(counts));
  }
});
