/**
 * DMARC of generated messages, by posthorn and by the library of OpenDMARC, which follows RFC 7489: where an organisation
 * begins it reads in the list of public suffixes, posthorn in DNS. So the cases are those where both are the same.
 */

import { assert, assertEquals } from "@std/assert";
import { type DmarcCase, evaluateCase, makeCase, type Pick, picker } from "../support/msgauth/dmarc_cases.ts";
import type { DmarcFinding } from "../../lib/msgauth/findings.ts";
import { askOpendmarc, type OpendmarcCase, type OpendmarcVerdict } from "../support/interop/opendmarc.ts";
import { peerTest } from "../support/interop/peers.ts";
import { parseDmarcRecord } from "../../lib/msgauth/dmarc/record.ts";
import { seededRandom } from "../support/seeded_random.ts";

const CASES = 1500;

/** Organisations by the list of public suffixes, and domains below them. */
const ORGANIZATIONS = ["example.com", "example.co.uk", "other.org"];
const DOMAINS = [...ORGANIZATIONS, "mail.example.com", "a.mail.example.com", "news.example.com", "mail.example.co.uk"];

/** Records that mean the same by both RFCs. */
function record(pick: Pick): string {
  const policy = (): string => pick("none", "quarantine", "reject");
  return [
    "v=DMARC1",
    `p=${policy()}`,
    ...pick([], [`sp=${policy()}`]),
    ...pick([], [`adkim=${pick("r", "s")}`]),
    ...pick([], [`aspf=${pick("r", "s")}`]),
    ...pick([], [`pct=${pick(0, 5, 50, 99, 100)}`]),
    ...pick([], ["rua=mailto:a@example.org"]),
    ...pick([], [pick("fo=1", "rf=afrf", "ri=86400", "ruf=mailto:b@example.org")]),
  ].join(pick(";", "; ")) + pick("", ";");
}

/** The case as OpenDMARC's own policy discovery would hand it on (RFC 7489 §6.6.3). */
function forOpendmarc({ from, records, spf, dkim }: DmarcCase): OpendmarcCase {
  const organization = ORGANIZATIONS.find((domain) => from === domain || from.endsWith(`.${domain}`));
  const own = records[from];
  return {
    from,
    record: own ?? records[organization ?? ""] ?? "",
    organization: own === undefined ? organization : undefined,
    spf,
    dkim,
  };
}

/**
 * Whether OpenDMARC reads the case otherwise: in strict mode a domain below the author domain, or above it and below its
 * organisation, is the same one to its library, sometimes also where other signatures are there. Both RFCs want them identical.
 */
function isReadOtherwise({ from, spf, dkim }: DmarcCase, { record }: DmarcFinding): boolean {
  const isRelated = (domain: string): boolean => domain.endsWith(`.${from}`) || from.endsWith(`.${domain}`);
  return (record?.isSpfStrict === true && spf !== undefined && isRelated(spf)) ||
    (record?.isDkimStrict === true && dkim.some(isRelated));
}

peerTest(
  `posthorn and OpenDMARC agree on ${CASES} generated messages`,
  ["python", "libopendmarc", "publicsuffix"],
  async () => {
    const seed = Number(Deno.env.get("POSTHORN_DMARC_SEED") ?? 6);
    const pick = picker(seededRandom(seed));
    const cases = Array.from({ length: CASES }, () => {
      const given = makeCase(pick, { domains: DOMAINS, mayFail: false, record });
      // Each organisation has a record: this is what makes it one to posthorn.
      const top = ORGANIZATIONS.map((domain) => [domain, given.records[domain] ?? record(pick)]);
      return { ...given, records: { ...given.records, ...Object.fromEntries(top) } };
    });
    const theirs = await askOpendmarc(cases.map(forOpendmarc));
    const counts: Record<string, number> = {};
    for (const [i, given] of cases.entries()) {
      const found = await evaluateCase(given);
      const { isSpfAligned, isDkimAligned, record, policy } = found;
      const result = found.result === "pass" ? "pass" : policy ?? "void";
      const ours: OpendmarcVerdict = { result, isSpfAligned, isDkimAligned, percent: record?.percent ?? -1 };
      if (isReadOtherwise(given, found)) {
        counts.otherwise = (counts.otherwise ?? 0) + 1;
        continue;
      }
      assertEquals(ours, theirs[i], `seed ${seed}, case ${i}: ${JSON.stringify(given)}`);
      counts[ours.result] = (counts[ours.result] ?? 0) + 1;
    }
    assert((counts.otherwise ?? 0) < CASES / 4, JSON.stringify(counts));
    for (const result of ["pass", "none", "quarantine", "reject"]) {
      assert(
        (counts[result] ?? 0) > 50,
        JSON.stringify(counts),
      );
    }
  },
);

peerTest(
  "Records that OpenDMARC refuses are void to posthorn, too",
  ["python", "libopendmarc", "publicsuffix"],
  async () => {
    const records = [
      "v=DMARC1",
      "v=DMARC2; p=none",
      "v=DMARC1; p=rejct",
      "",
      "v=spf1 -all",
      "v=DMARC1; sp=none",
    ];
    const verdicts = await askOpendmarc(records.map((text) => ({ from: "example.com", record: text, dkim: [] })));
    assertEquals(verdicts.map(({ result }) => result), records.map(() => "void" as const));
    assertEquals(records.filter((text) => parseDmarcRecord(text)?.record !== undefined), []);
    // It takes the version in any place, where both RFCs say that it must be the first tag.
    const [last] = await askOpendmarc([{ from: "example.com", record: "p=none; v=DMARC1", dkim: [] }]);
    assertEquals([last?.result, parseDmarcRecord("p=none; v=DMARC1")], ["none", undefined]);
  },
);
