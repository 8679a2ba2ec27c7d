/** Generated messages for DMARC: a small DNS with records at random places, and identifiers that passed. */

import { evaluateDmarc } from "../../../lib/msgauth/dmarc/evaluate.ts";
import type { DmarcFinding } from "../../../lib/msgauth/findings.ts";
import { type FakeRecords, FakeResolver } from "../fake_resolver.ts";

/** One message, and the DNS that it meets. */
export interface DmarcCase {
  /** The author domain. */
  readonly from: string;
  /** Texts of TXT records, by the domain that they are for. */
  readonly records: Readonly<Record<string, string>>;
  /** Names that exist, beside those above. */
  readonly names: readonly string[];
  /** Domains whose record cannot be looked up. */
  readonly failing: readonly string[];
  /** The domain of MAIL, which passed. */
  readonly spf?: string;
  /** Domains of signatures that passed. */
  readonly dkim: readonly string[];
}

/** What a case may have. */
export interface CaseOptions {
  /** Domains that records and identifiers are for, from the top on; parents of them are in it, too. */
  readonly domains: readonly string[];
  /** Whether a lookup may fail. */
  readonly mayFail: boolean;
  /** Makes the text of a record. */
  readonly record: (pick: Pick) => string;
}

/** Takes one of some values at random. */
export type Pick = <T>(...values: readonly T[]) => T;

/** Makes a picker of a source of numbers from 0 to below 1. */
export function picker(random: () => number): Pick {
  return <T>(...values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
}

/** Makes a case. */
export function makeCase(pick: Pick, { domains, mayFail, record }: CaseOptions): DmarcCase {
  const from = pick(...domains.filter((domain) => domain.includes(".")));
  const near = domains.filter((domain) =>
    domain === from || from.endsWith(`.${domain}`) || domain.endsWith(`.${from}`)
  );
  const some = (count: number): string[] => Array.from({ length: count }, () => pick(...pick(near, domains)));
  const spf = pick(undefined, ...some(2));
  return {
    from,
    records: Object.fromEntries(some(pick(0, 1, 1, 2, 3)).map((domain) => [domain, record(pick)])),
    names: pick([], [from]),
    failing: mayFail ? pick([], [], [], [], some(1)) : [],
    ...(spf === undefined ? {} : { spf }),
    dkim: some(pick(0, 0, 1, 2)),
  };
}

/** A record with any tags, most of them right. */
export function anyRecord(pick: Pick): string {
  const policy = (): string => pick("none", "quarantine", "reject", "REJECT");
  const tags = [
    ...pick([`p=${policy()}`], [`p=${policy()}`], [`p=${policy()}`], ["p=rejct"], []),
    ...pick([], [], [`sp=${policy()}`], ["sp=x"]),
    ...pick([], [], [`np=${policy()}`], ["np=x"]),
    ...pick([], [], [`psd=${pick("y", "n", "u", "z", "Y")}`]),
    ...pick([], [], [`adkim=${pick("r", "s", "S", "x")}`]),
    ...pick([], [], [`aspf=${pick("r", "s", "x")}`]),
    ...pick([], [], [`t=${pick("y", "n", "Y", "maybe")}`]),
    ...pick([], [], [
      `rua=${pick("mailto:a@example.org", "a@example.org", "mailto:a@example.org!10m, https://x.example")}`,
    ]),
    ...pick([], [], [pick("x=1", "junk", "=", "fo=1:d", "rf=afrf", "ri=86400", "ruf=mailto:b@example.org")]),
  ];
  const version = pick(
    "v=DMARC1",
    "v=DMARC1",
    "v=DMARC1",
    "v=DMARC1",
    "V = DMARC1",
    "v=dmarc1",
    "v=DMARC1 p=none",
    "v=spf1",
  );
  return [version, ...tags].join(pick(";", "; ", " ; ", "; ;")) + pick("", ";");
}

/** What posthorn makes of a case. */
export function evaluateCase({ from, records, names, failing, spf, dkim }: DmarcCase): Promise<DmarcFinding> {
  const zone: Record<string, FakeRecords> = {};
  for (const name of names) zone[name] = { A: ["192.0.2.1"] };
  for (const [domain, text] of Object.entries(records)) zone[`_dmarc.${domain}`] = { TXT: [text] };
  for (const domain of failing) zone[`_dmarc.${domain}`] = { failing: ["TXT"] };
  return evaluateDmarc({
    headerSection: new TextEncoder().encode(`From: a@${from}\r\n`),
    spf: spf === undefined ? [] : [{ identity: "mailfrom", domain: spf, result: "pass" }],
    dkim: dkim.map((domain) => ({ result: "pass", domain, isTesting: false })),
    resolver: new FakeResolver(zone),
    random: () => 0,
  });
}
