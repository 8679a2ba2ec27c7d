/** The results of TLS in the state database. */

import type { PublishedPolicy } from "../../delivery/remote/tls_results.ts";
import type { PolicyTally, TlsTally } from "../../delivery/remote/tls_tally.ts";
import type { Sql } from "../../state/state_database.ts";
import { deleteSomeBefore } from "../delete_rows.ts";
import { noteDone } from "../send_once.ts";
import type { TlsFailureDetails, TlsPolicyResult } from "./tls_report.ts";

/** What is counted for the mail to a domain on a day. */
export interface RecipientDay {
  /** The domain of the recipients. */
  readonly domain: string;
  /** UTC. */
  readonly day: string;
}

const MAX_POLICIES_OF_DAY = 50_000;
/** Failures of one policy that are told apart in a report. */
const MAX_DETAILS = 500;

/** Adds what the tally has counted. It is to be cleared then. */
export function addTlsCounts(sql: Sql, tally: TlsTally): void {
  for (const day of tally.days()) {
    const count = Number(sql.prepare("SELECT count(*) AS n FROM tls_policy WHERE day = ?").get(day)?.["n"] ?? 0);
    if (count >= MAX_POLICIES_OF_DAY) continue;
    for (const result of tally.of(day)) addPolicy(sql, day, result);
  }
}

function addPolicy(
  sql: Sql,
  day: string,
  { recipientDomain, policy, successes, failureCount, failures }: PolicyTally,
): void {
  const { type, domain } = policy;
  sql.prepare(
    `INSERT INTO tls_policy VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET policy = excluded.policy,
      successes = successes + excluded.successes, failures = failures + excluded.failures`,
  ).run(day, recipientDomain, JSON.stringify(policy), type, domain, successes, failureCount);
  const add = sql.prepare(
    "INSERT INTO tls_failure VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
  );
  for (const { failure, mxHost = "", receivingIp = "", reason = "", count } of failures) {
    add.run(day, recipientDomain, type, domain, failure, mxHost, receivingIp, reason.slice(0, 500), count);
  }
}

/** Which reports on days before `today` are still to be sent. The earliest day comes first. */
export function dueTlsReports(sql: Sql, today: string): readonly RecipientDay[] {
  return sql.prepare(
    `SELECT DISTINCT day, domain FROM tls_policy WHERE day < ? AND NOT EXISTS
      (SELECT * FROM report_done r WHERE r.kind = 'tls' AND r.day = tls_policy.day AND r.domain = tls_policy.domain)
     ORDER BY day, domain`,
  ).all(today).map(({ day, domain }) => ({ day: String(day), domain: String(domain) }));
}

/** Reads what a report is made of. */
export function readTlsCounts(sql: Sql, { day, domain }: RecipientDay): readonly TlsPolicyResult[] {
  const failures = sql.prepare(
    `SELECT failure, mx_host, receiving_ip, reason, count FROM tls_failure
      WHERE day = ? AND domain = ? AND type = ? AND policy_domain = ? ORDER BY count DESC, mx_host LIMIT ?`,
  );
  return sql.prepare(
    "SELECT policy, type, policy_domain, successes, failures FROM tls_policy WHERE day = ? AND domain = ?",
  ).all(day, domain).map(({ policy, type, policy_domain: policyDomain, successes, failures: count }) => {
    const { strings, mxHosts = [] } = JSON.parse(String(policy)) as PublishedPolicy;
    const details = failures.all(day, domain, String(type), String(policyDomain), MAX_DETAILS);
    return {
      type: String(type),
      domain: String(policyDomain),
      strings,
      mxHosts,
      successes: Number(successes),
      failures: Number(count),
      details: details.map(detailsOf),
    };
  });
}

function detailsOf(row: Readonly<Record<string, unknown>>): TlsFailureDetails {
  const text = (name: string): string => String(row[name] ?? "");
  return {
    resultType: text("failure"),
    count: Number(row["count"]),
    ...(text("mx_host") && { mxHost: text("mx_host") }),
    ...(text("receiving_ip") && { receivingIp: text("receiving_ip") }),
    ...(text("reason") && { reason: text("reason") }),
  };
}

/** Notes that a report is done with, and forgets what it was made of. */
export function finishTlsReport(sql: Sql, { day, domain }: RecipientDay): void {
  noteDone(sql, { kind: "tls", day, domain });
  for (const table of ["tls_failure", "tls_policy"]) {
    sql.prepare(`DELETE FROM ${table} WHERE day = ? AND domain = ?`).run(day, domain);
  }
}

/** Forgets some of the days before, sent or not. @returns Whether there is more. */
export function pruneTlsCounts(sql: Sql, firstDay: string): boolean {
  return deleteSomeBefore(sql, "tls_failure", firstDay) || deleteSomeBefore(sql, "tls_policy", firstDay);
}
