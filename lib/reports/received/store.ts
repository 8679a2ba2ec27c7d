/** Reports that others sent us, in the state database. */

import type { Sql } from "../../state/state_database.ts";
import type { AggregateReport } from "../dmarc/aggregate.ts";
import type { TlsReport } from "../tls/tls_report.ts";

/** A report of either kind, and when it came. */
export type Received =
  | { readonly kind: "dmarc"; readonly report: AggregateReport }
  | { readonly kind: "tls"; readonly report: TlsReport; /** Of ours. */ readonly domain: string };

/** What became of it; `full`: received reports take all the room that they may. */
export type Kept = "kept" | "known" | "full";

/** Who reports what about which domain. */
export interface ReceivedFilter {
  /** This domain only. */
  readonly domain?: string;
  /** Reports that end at this time or later, seconds since 1970. */
  readonly sinceSeconds: number;
}

/** Rows of DMARC reports about one client, summed up. */
export interface SourceSummary {
  /** The domain that the reports are about. */
  readonly domain: string;
  /** The client. */
  readonly sourceIp: string;
  /** Messages. */
  readonly count: number;
  /** Of these: aligned signatures passed. */
  readonly dkim: number;
  /** Of these: an aligned SPF passed. */
  readonly spf: number;
  /** Of these: either passed. */
  readonly pass: number;
  /** Of these: put aside. */
  readonly quarantined: number;
  /** Of these: refused. */
  readonly rejected: number;
  /** Domains of From fields. */
  readonly headerFrom: readonly string[];
  /** Domains whose signatures passed. */
  readonly signers: readonly string[];
  /** Who reported. */
  readonly organizations: readonly string[];
}

/** Rows of DMARC reports about one domain, summed up: all of them, however many clients there are. */
export interface DomainSummary {
  /** The domain that the reports are about. */
  readonly domain: string;
  /** Messages. */
  readonly count: number;
  /** Of these: DKIM or SPF passed. */
  readonly pass: number;
  /** Rows of all reports. */
  readonly rows: number;
}

/** TLS reports, summed up. */
export interface TlsSummary {
  /** Ours. */
  readonly domain: string;
  /** `sts`, `tlsa`, `no-policy-found`. */
  readonly type: string;
  /** Sessions. */
  readonly successes: number;
  /** Sessions. */
  readonly failures: number;
  /** By kind and host, the most frequent first. */
  readonly details: readonly { readonly text: string; readonly count: number }[];
  /** Who reported. */
  readonly organizations: readonly string[];
}

const MAX_NAMES = 20;
/** Clients, or policies, that are summed up: reports can name a million. */
const MAX_SUMS = 1_000;
/** Rows that are written in one go: about 20 ms. */
export const ROWS_AT_A_TIME = 2_000;
/** Reports that are forgotten in one go. */
const FORGOTTEN_AT_A_TIME = 25;

/**
 * Keeps a report, unless it is there: of a long one the first {@linkcode ROWS_AT_A_TIME} rows, {@linkcode keepMoreRows} the rest.
 * Anybody can send reports, so they take half of the database at most.
 */
export function keepReport(sql: Sql, received: Received, nowSeconds: number): Kept {
  const { kind, report } = received;
  const domain = domainOf(received);
  if (!hasRoom(sql)) return "full";
  const id = sql.prepare(
    "INSERT OR IGNORE INTO received_report VALUES (NULL, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
  ).get(kind, report.organization, report.reportId, domain, report.beginSeconds, report.endSeconds, nowSeconds)?.["id"];
  if (id === undefined) return "known";
  if (received.kind === "dmarc") keepRows(sql, Number(id), received.report.rows.slice(0, ROWS_AT_A_TIME));
  else keepPolicies(sql, Number(id), received.report);
  return "kept";
}

/** Keeps further rows of a report that is there, {@linkcode ROWS_AT_A_TIME} from one on. */
export function keepMoreRows(sql: Sql, received: Extract<Received, { kind: "dmarc" }>, from: number): void {
  const { report: { organization, reportId, rows } } = received;
  const id = sql.prepare(
    "SELECT id FROM received_report WHERE kind = 'dmarc' AND organization = ? AND report_id = ? AND domain = ?",
  ).get(organization, reportId, domainOf(received))?.["id"];
  if (id !== undefined && hasRoom(sql)) keepRows(sql, Number(id), rows.slice(from, from + ROWS_AT_A_TIME));
}

function domainOf(received: Received): string {
  return received.kind === "dmarc" ? received.report.policy.domain : received.domain;
}

function hasRoom(sql: Sql): boolean {
  const pages = (name: string): number => Number(sql.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
  return pages("page_count") - pages("freelist_count") < pages("max_page_count") / 2;
}

function keepRows(sql: Sql, id: number, rows: AggregateReport["rows"]): void {
  const insert = sql.prepare("INSERT INTO received_dmarc VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  for (const row of rows) {
    const { sourceIp, count, disposition, isDkimAligned, isSpfAligned, headerFrom, dkim, spf, envelopeFrom } = row;
    const results = JSON.stringify({ dkim, spf, envelopeFrom });
    insert.run(id, sourceIp, count, disposition, Number(isDkimAligned), Number(isSpfAligned), headerFrom, results);
  }
}

function keepPolicies(sql: Sql, id: number, { policies }: TlsReport): void {
  const insert = sql.prepare("INSERT INTO received_tls VALUES (?, ?, ?, ?, ?)");
  for (const { type, successes, failures, details } of policies) {
    insert.run(id, type, successes, failures, JSON.stringify(details));
  }
}

/**
 * Forgets reports that ended before, or came before, whatever they say; some at a time, because a report may have
 * thousands of rows.
 */
export function pruneReceived(sql: Sql, beforeSeconds: number): void {
  sql.prepare(
    "DELETE FROM received_report WHERE id IN (SELECT id FROM received_report WHERE end_time < ? OR received_time < ? LIMIT ?)",
  ).run(beforeSeconds, beforeSeconds, FORGOTTEN_AT_A_TIME);
}

const DMARC_ROWS = `received_report r JOIN received_dmarc d ON d.report = r.id
  WHERE r.kind = 'dmarc' AND r.end_time >= ? AND (? IS NULL OR r.domain = ? OR d.header_from = ?)`;

/** Deno 2.5 takes no parameter that is used twice. */
function valuesOf({ domain, sinceSeconds }: ReceivedFilter): [number, ...(string | null)[]] {
  const wanted = domain ?? null;
  return [sinceSeconds, wanted, wanted, wanted];
}

/** How much mail there is in the name of each domain. */
export function sumDomains(sql: Sql, filter: ReceivedFilter): readonly DomainSummary[] {
  return sql.prepare(
    `SELECT r.domain, count(*) AS row_count, sum(d.count) AS messages, sum(d.count * (d.dkim OR d.spf)) AS pass
      FROM ${DMARC_ROWS} GROUP BY r.domain ORDER BY messages DESC LIMIT ${MAX_SUMS}`,
  ).all(...valuesOf(filter)).map(({ domain, row_count: rows, messages, pass }) => ({
    domain: String(domain),
    count: Number(messages),
    pass: Number(pass),
    rows: Number(rows),
  })).toSorted((a, b) => a.domain.localeCompare(b.domain));
}

/** Who sends in our name, by domain and client: most messages first, and a thousand of them at most. */
export function sumDmarc(sql: Sql, filter: ReceivedFilter): readonly SourceSummary[] {
  // SQLite sorts on disk what we could not hold in memory.
  const rows = sql.prepare(
    `WITH top AS MATERIALIZED (SELECT r.domain AS domain, d.source_ip AS source_ip FROM ${DMARC_ROWS}
        GROUP BY r.domain, d.source_ip ORDER BY sum(d.count) DESC LIMIT ${MAX_SUMS})
      SELECT r.organization, d.*, r.domain FROM ${DMARC_ROWS}
        AND EXISTS (SELECT 1 FROM top WHERE top.domain = r.domain AND top.source_ip = d.source_ip)`,
  );
  const sums = new Map<string, MutableSource>();
  for (const row of rows.iterate(...valuesOf(filter), ...valuesOf(filter))) addSource(sums, row);
  return [...sums.values()].map((sum) => ({
    ...sum,
    headerFrom: sorted(sum.headerFrom),
    signers: sorted(sum.signers),
    organizations: sorted(sum.organizations),
  })).toSorted((a, b) => a.domain.localeCompare(b.domain) || b.count - a.count || a.sourceIp.localeCompare(b.sourceIp));
}

type MutableSource =
  & { -readonly [K in Exclude<keyof SourceSummary, "headerFrom" | "signers" | "organizations">]: SourceSummary[K] }
  & { readonly [K in "headerFrom" | "signers" | "organizations"]: Set<string> };

function addSource(sums: Map<string, MutableSource>, row: Readonly<Record<string, unknown>>): void {
  const domain = String(row["domain"]);
  const sourceIp = String(row["source_ip"]);
  const key = `${domain} ${sourceIp}`;
  const zero = { count: 0, dkim: 0, spf: 0, pass: 0, quarantined: 0, rejected: 0 };
  let sum = sums.get(key);
  if (sum === undefined) {
    sum = { domain, sourceIp, ...zero, headerFrom: new Set(), signers: new Set(), organizations: new Set() };
    sums.set(key, sum);
  }
  const count = Number(row["count"]);
  sum.count += count;
  if (row["dkim"]) sum.dkim += count;
  if (row["spf"]) sum.spf += count;
  if (row["dkim"] || row["spf"]) sum.pass += count;
  if (row["disposition"] === "quarantine") sum.quarantined += count;
  if (row["disposition"] === "reject") sum.rejected += count;
  addName(sum.headerFrom, String(row["header_from"]));
  addName(sum.organizations, String(row["organization"]));
  const { dkim } = JSON.parse(String(row["results"])) as Pick<AggregateReport["rows"][number], "dkim">;
  for (const { domain, result } of dkim) if (result === "pass") addName(sum.signers, domain);
}

function sorted(names: ReadonlySet<string>): readonly string[] {
  return [...names].toSorted((a, b) => a.localeCompare(b));
}

function addName(names: Set<string>, name: string): void {
  if (names.size < MAX_NAMES && name !== "") names.add(name);
}

/** What others say about TLS with us, by domain and kind of policy. */
export function sumTls(sql: Sql, { domain, sinceSeconds }: ReceivedFilter): readonly TlsSummary[] {
  const rows = sql.prepare(
    `SELECT r.domain, r.organization, t.* FROM received_report r JOIN received_tls t ON t.report = r.id
      WHERE r.kind = 'tls' AND r.end_time >= ? AND (? IS NULL OR r.domain = ? OR r.domain LIKE '%.' || ?)`,
  );
  // A report on DANE is about the name of an MX host (RFC 8460 §1.1), which may be below the domain.
  const wanted = domain ?? null;
  const sums = new Map<
    string,
    { readonly details: Map<string, number>; readonly names: Set<string>; ok: number; bad: number }
  >();
  for (const row of rows.iterate(sinceSeconds, wanted, wanted, wanted)) {
    const key = `${String(row["domain"])} ${String(row["type"])}`;
    const sum = sums.get(key) ?? { details: new Map(), names: new Set(), ok: 0, bad: 0 };
    if (sums.size >= MAX_SUMS && !sums.has(key)) continue;
    sums.set(key, sum);
    sum.ok += Number(row["successes"]);
    sum.bad += Number(row["failures"]);
    addName(sum.names, String(row["organization"]));
    for (
      const { resultType, mxHost, reason, count } of JSON.parse(
        String(row["details"]),
      ) as TlsReport["policies"][number]["details"]
    ) {
      const text = `${resultType}${mxHost ? ` at ${mxHost}` : ""}${reason ? `: ${reason}` : ""}`;
      if (sum.details.size < 1000 || sum.details.has(text)) sum.details.set(text, (sum.details.get(text) ?? 0) + count);
    }
  }
  return [...sums].map(([key, { ok, bad, details, names }]) => ({
    domain: key.split(" ")[0] ?? "",
    type: key.slice(key.indexOf(" ") + 1),
    successes: ok,
    failures: bad,
    details: [...details].map(([text, count]) => ({ text, count })).toSorted((a, b) => b.count - a.count).slice(
      0,
      MAX_NAMES,
    ),
    organizations: sorted(names),
  })).toSorted((a, b) => a.domain.localeCompare(b.domain) || a.type.localeCompare(b.type));
}

/** How many reports there are. */
export function countReceived(sql: Sql, { sinceSeconds }: ReceivedFilter): number {
  return Number(
    sql.prepare("SELECT count(*) AS n FROM received_report WHERE end_time >= ?").get(sinceSeconds)?.["n"] ?? 0,
  );
}
