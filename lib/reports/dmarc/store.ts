/** The counts of DMARC in the state database. */

import type { Sql } from "../../state/state_database.ts";
import { deleteSomeBefore } from "../delete_rows.ts";
import { noteDone } from "../send_once.ts";
import type { PublishedPolicy } from "./aggregate.ts";
import type { DmarcCount } from "./collector.ts";

/** What is counted for a domain and day. */
export interface DomainDay {
  /** The policy domain. */
  readonly domain: string;
  /** UTC. */
  readonly day: string;
}

/** What a domain had published on a day. */
export interface DomainPolicy {
  /** As seen last. */
  readonly policy: PublishedPolicy;
  /** Its URIs. */
  readonly rua: readonly string[];
}

/** A row as it is stored. */
export interface StoredRow {
  /** JSON of `AggregateResults`. */
  readonly results: string;
  /** Messages. */
  readonly count: number;
}

/** About 160 MB, what strangers may take of the disk in a day. */
const MAX_ROWS_OF_DAY = 200_000;

/** Adds counts to those that are there. @param maxRows Of a day; then only what is there is counted on, and no domain added. */
export function addDmarcCounts(sql: Sql, counts: readonly DmarcCount[], maxRows: number = MAX_ROWS_OF_DAY): void {
  const days = new Set(counts.map(({ day }) => day));
  const full = new Map([...days].map((day) => [day, rowsOf(sql, day) >= maxRows]));
  addPolicies(sql, counts, full);
  const add = sql.prepare(
    "INSERT INTO dmarc_row VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count RETURNING count",
  );
  const addToSame = sql.prepare(
    "UPDATE dmarc_row SET count = count + ? WHERE day = ? AND domain = ? AND results = ?",
  );
  const added = new Map<string, number>();
  for (const { day, policy, results, count } of counts) {
    const key = [day, policy.domain, JSON.stringify(results)] as const;
    if (full.get(day)) addToSame.run(count, ...key);
    // A row that was there has more now than was added.
    else if (Number(add.get(...key, count)?.["count"]) === count) added.set(day, (added.get(day) ?? 0) + 1);
  }
  const addRows = sql.prepare(
    "INSERT INTO dmarc_day VALUES (?, ?) ON CONFLICT DO UPDATE SET row_count = row_count + excluded.row_count",
  );
  for (const [day, rows] of added) addRows.run(day, rows);
}

function addPolicies(sql: Sql, counts: readonly DmarcCount[], full: ReadonlyMap<string, boolean>): void {
  const latest = new Map(counts.map(({ day, policy, rua }) => [`${day} ${policy.domain}`, { day, policy, rua }]));
  const policies = sql.prepare(
    "INSERT INTO dmarc_policy VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET policy = excluded.policy, rua = excluded.rua",
  );
  const changeSame = sql.prepare("UPDATE dmarc_policy SET policy = ?, rua = ? WHERE day = ? AND domain = ?");
  for (const { day, policy, rua } of latest.values()) {
    const [text, uris] = [JSON.stringify(policy), JSON.stringify(rua)];
    if (full.get(day)) changeSame.run(text, uris, day, policy.domain);
    else policies.run(day, policy.domain, text, uris);
  }
}

function rowsOf(sql: Sql, day: string): number {
  return Number(sql.prepare("SELECT row_count FROM dmarc_day WHERE day = ?").get(day)?.["row_count"] ?? 0);
}

/** Which reports on days before `today` are still to be sent. The earliest day comes first. */
export function dueDmarcReports(sql: Sql, today: string): readonly DomainDay[] {
  return sql.prepare(
    `SELECT day, domain FROM dmarc_policy WHERE day < ? AND NOT EXISTS
      (SELECT * FROM report_done r WHERE r.kind = 'dmarc' AND r.day = dmarc_policy.day AND r.domain = dmarc_policy.domain)
     ORDER BY day, domain`,
  ).all(today).map(({ day, domain }) => ({ day: String(day), domain: String(domain) }));
}

/** Reads what a domain had published; undefined where nothing is known of it. */
export function readDmarcPolicy(sql: Sql, { day, domain }: DomainDay): DomainPolicy | undefined {
  const head = sql.prepare("SELECT policy, rua FROM dmarc_policy WHERE day = ? AND domain = ?").get(day, domain);
  return head && {
    policy: JSON.parse(String(head["policy"])) as PublishedPolicy,
    rua: JSON.parse(String(head["rua"])) as string[],
  };
}

/** Reads some rows in the order of their results. @param page Up to `size` rows behind the results `after`; "" is in front of all. */
export function readDmarcPage(
  sql: Sql,
  { day, domain }: DomainDay,
  { after, size }: { readonly after: string; readonly size: number },
): readonly StoredRow[] {
  return sql.prepare(
    "SELECT results, count FROM dmarc_row WHERE day = ? AND domain = ? AND results > ? ORDER BY results LIMIT ?",
  ).all(day, domain, after, size).map(({ results, count }) => ({ results: String(results), count: Number(count) }));
}

/** Notes that a report is done with. What it was made of is left for `deleteSomeOf`. */
export function finishDmarcReport(sql: Sql, { day, domain }: DomainDay): void {
  noteDone(sql, { kind: "dmarc", day, domain });
  sql.prepare("DELETE FROM dmarc_policy WHERE day = ? AND domain = ?").run(day, domain);
}

/** Forgets some of the days before, sent or not. @returns Whether there is more. */
export function pruneDmarcCounts(sql: Sql, firstDay: string): boolean {
  if (deleteSomeBefore(sql, "dmarc_row", firstDay) || deleteSomeBefore(sql, "dmarc_policy", firstDay)) return true;
  for (const table of ["dmarc_day", "report_done", "report_sent"]) {
    sql.prepare(`DELETE FROM ${table} WHERE day < ?`).run(firstDay);
  }
  return false;
}
