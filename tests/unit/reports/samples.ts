/** Reports for tests, made up. */

import type { AggregateReport, AggregateResults, AggregateRow } from "../../../lib/reports/dmarc/aggregate.ts";
import type { DmarcFinding, DmarcRecord, Findings } from "../../../lib/msgauth/findings.ts";
import type { DmarcObservation } from "../../../lib/reports/dmarc/collector.ts";
import { type DomainDay, readDmarcPage } from "../../../lib/reports/dmarc/store.ts";
import { MIGRATIONS } from "../../../lib/state/schema.ts";
import { StateDatabase } from "../../../lib/state/state_database.ts";
import type { Clock } from "../../../lib/system/clock.ts";
import { LogLines } from "../../support/log_lines.ts";

export const folder = new URL("../../fixtures/reports/", import.meta.url);

export const readSample = (name: string): Promise<Uint8Array<ArrayBuffer>> => Deno.readFile(new URL(name, folder));

export const ROW: AggregateRow = {
  sourceIp: "192.0.2.1",
  count: 2,
  disposition: "none",
  isDkimAligned: true,
  isSpfAligned: false,
  reasons: [],
  headerFrom: "example.com",
  envelopeFrom: "bounce.example.com",
  dkim: [{ domain: "example.com", selector: "s1", result: "pass" }],
  spf: [{ domain: "bounce.example.com", scope: "mfrom", result: "softfail" }],
};

export const REPORT: AggregateReport = {
  organization: "Example & Sons",
  email: "postmaster@example.org",
  reportId: "20260101.example.com@mail.example.org",
  beginSeconds: 1_767_225_600,
  endSeconds: 1_767_311_999,
  policy: { domain: "example.com", adkim: "r", aspf: "s", p: "reject", sp: "quarantine", pct: 50, fo: "1:d" },
  rows: [ROW, {
    ...ROW,
    sourceIp: "2001:db8::25",
    count: 7,
    disposition: "quarantine",
    isDkimAligned: false,
    reasons: [{ type: "trusted_forwarder", comment: "arc=pass <list.example>" }, { type: "sampled_out" }],
    envelopeFrom: "",
    dkim: [],
    spf: [{ domain: "client.example", scope: "helo", result: "none" }],
  }],
};

export const RECORD: DmarcRecord = {
  policy: "reject",
  isDkimStrict: false,
  isSpfStrict: true,
  psd: "u",
  percent: 100,
  aggregateUris: [{ uri: "mailto:rua@example.com" }],
  failureUris: [],
  failureOptions: "0",
};

export const FINDING: DmarcFinding = {
  result: "fail",
  fromDomain: "shop.example.com",
  policyDomain: "example.com",
  record: RECORD,
  policy: "reject",
  request: "reject",
  isSpfAligned: false,
  isDkimAligned: false,
};

export const FINDINGS: Findings = {
  spf: [
    { identity: "helo", domain: "client.example", result: "pass" },
    { identity: "mailfrom", domain: "bounce.example", result: "fail" },
  ],
  dkim: [
    { result: "fail", domain: "shop.example.com", selector: "a", isTesting: false },
    { result: "pass", domain: "other.example", selector: "b", isTesting: false },
  ],
  dmarc: FINDING,
};

export const OBSERVATION: DmarcObservation = {
  findings: FINDINGS,
  clientAddress: "192.0.2.9",
  envelopeFrom: "bounce.example",
  disposition: "reject",
  reasons: [],
};

/** A state database in a folder of its own. */
export interface StateLab extends AsyncDisposable {
  readonly state: StateDatabase;
  readonly log: LogLines;
}

export async function stateLab(clock: Clock): Promise<StateLab> {
  const folder = await Deno.makeTempDir();
  const log = new LogLines();
  const state = await StateDatabase.open({ path: `${folder}/state.db`, migrations: MIGRATIONS, clock, logger: log });
  return {
    state,
    log,
    [Symbol.asyncDispose]: async (): Promise<void> => {
      state[Symbol.dispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

export const breathe = (): Promise<void> => Promise.resolve();

/** The first rows of a report as they are in the database. */
export function rowsOf(state: StateDatabase, due: DomainDay): readonly AggregateRow[] {
  const page = state.read((sql) => readDmarcPage(sql, due, { after: "", size: 1_000 })) ?? [];
  return page.map(({ results, count }) => ({ ...JSON.parse(results) as AggregateResults, count }));
}
