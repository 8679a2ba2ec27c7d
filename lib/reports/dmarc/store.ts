/** The counts of DMARC in the state database. */

import type { Sql } from "../../state/state_database.ts";
import type { AggregateResults, AggregateRow, PublishedPolicy } from "./aggregate.ts";
import type { DmarcCount } from "./collector.ts";

/** What is counted for a domain and day. */
export interface DomainDay {
  /** The policy domain. */
  readonly domain: string;
  /** UTC. */
  readonly day: string;
}

/** All about a domain and day. */
export interface DomainCounts {
  /** As seen last. */
  readonly policy: PublishedPolicy;
  /** Its URIs. */
  readonly rua: readonly string[];
  /** The most frequent ones. */
  readonly rows: readonly AggregateRow[];
}

/** About 160 MB, what strangers may take of the disk in a day. */
const MAX_ROWS_OF_DAY = 200_000;
/** Rows of a report: the most frequent ones. At about 800 octets each it is well below what mail servers take. */
const MAX_ROWS_OF_REPORT = 20_000;

/** Adds counts to those that are there. @param maxRows Of a day; then only what is there is counted on, and no domain added. */
export function addDmarcCounts(sql: Sql, counts: readonly DmarcCount[], maxRows: number = MAX_ROWS_OF_DAY): void {
  const policies = sql.prepare(
    "INSERT INTO dmarc_policy VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET policy = excluded.policy, rua = excluded.rua",
  );
  const add = sql.prepare(
    "INSERT INTO dmarc_row VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
  );
  const addToSame = sql.prepare(
    "UPDATE dmarc_row SET count = count + ? WHERE day = ? AND domain = ? AND results = ?",
  );
  const latest = new Map(counts.map(({ day, policy, rua }) => [`${day} ${policy.domain}`, { day, policy, rua }]));
  const changeSame = sql.prepare("UPDATE dmarc_policy SET policy = ?, rua = ? WHERE day = ? AND domain = ?");
  const days = new Set(counts.map(({ day }) => day));
  const full = new Map([...days].map((day) => [day, rowsOf(sql, day) >= maxRows]));
  for (const { day, policy, rua } of latest.values()) {
    const [text, uris] = [JSON.stringify(policy), JSON.stringify(rua)];
    if (full.get(day)) changeSame.run(text, uris, day, policy.domain);
    else policies.run(day, policy.domain, text, uris);
  }
  for (const { day, policy, results, count } of counts) {
    const key = [day, policy.domain, JSON.stringify(results)] as const;
    if (full.get(day)) addToSame.run(count, ...key);
    else add.run(...key, count);
  }
}

function rowsOf(sql: Sql, day: string): number {
  return Number(sql.prepare("SELECT count(*) AS n FROM dmarc_row WHERE day = ?").get(day)?.["n"] ?? 0);
}

/** Which reports on days before `today` are still to be sent. The earliest day comes first. */
export function dueDmarcReports(sql: Sql, today: string): readonly DomainDay[] {
  return sql.prepare(
    `SELECT day, domain FROM dmarc_policy WHERE day < ? AND NOT EXISTS
      (SELECT * FROM report_done r WHERE r.kind = 'dmarc' AND r.day = dmarc_policy.day AND r.domain = dmarc_policy.domain)
     ORDER BY day, domain`,
  ).all(today).map(({ day, domain }) => ({ day: String(day), domain: String(domain) }));
}

/** Reads what a report is made of; undefined where there is nothing. */
export function readDmarcCounts(sql: Sql, { day, domain }: DomainDay): DomainCounts | undefined {
  const head = sql.prepare("SELECT policy, rua FROM dmarc_policy WHERE day = ? AND domain = ?").get(day, domain);
  if (head === undefined) return undefined;
  const rows = sql.prepare(
    "SELECT results, count FROM dmarc_row WHERE day = ? AND domain = ? ORDER BY count DESC, results LIMIT ?",
  ).all(day, domain, MAX_ROWS_OF_REPORT);
  return {
    policy: JSON.parse(String(head["policy"])) as PublishedPolicy,
    rua: JSON.parse(String(head["rua"])) as string[],
    rows: rows.map(({ results, count }) => ({
      ...JSON.parse(String(results)) as AggregateResults,
      count: Number(count),
    })),
  };
}

/** Notes that a report is done with, and forgets what it was made of. */
export function finishDmarcReport(sql: Sql, { day, domain }: DomainDay): void {
  sql.prepare("INSERT OR IGNORE INTO report_done VALUES ('dmarc', ?, ?)").run(day, domain);
  sql.prepare("DELETE FROM dmarc_row WHERE day = ? AND domain = ?").run(day, domain);
  sql.prepare("DELETE FROM dmarc_policy WHERE day = ? AND domain = ?").run(day, domain);
}

/** Forgets all of the days before, sent or not. */
export function pruneDmarcCounts(sql: Sql, firstDay: string): void {
  for (const table of ["dmarc_row", "dmarc_policy", "report_done"]) {
    sql.prepare(`DELETE FROM ${table} WHERE day < ?`).run(firstDay);
  }
}
