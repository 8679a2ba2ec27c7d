/** Deleting much, some at a time: each call holds up the event loop. */

import type { Sql } from "../state/state_database.ts";

/** Rows that are deleted in one go: about 5 ms. */
const ROWS_AT_A_TIME = 2_000;
/** The columns of the primary keys; the day comes first. */
const KEYS = {
  dmarc_row: "day, domain, results",
  dmarc_policy: "day, domain",
  tls_policy: "day, domain, type, policy_domain",
  tls_failure: "day, domain, type, policy_domain, failure, mx_host, receiving_ip",
} as const;

/** Deletes some rows of the days before. @returns Whether there are more. */
export function deleteSomeBefore(sql: Sql, table: keyof typeof KEYS, firstDay: string): boolean {
  const keys = KEYS[table];
  return deleteSome(sql, table, "day < ?", [firstDay], keys);
}

/** Deletes some rows of a domain and day. @returns Whether there are more. */
export function deleteSomeOf(sql: Sql, day: string, domain: string): boolean {
  return deleteSome(sql, "dmarc_row", "day = ? AND domain = ?", [day, domain], KEYS.dmarc_row);
}

function deleteSome(sql: Sql, table: string, which: string, values: readonly string[], keys: string): boolean {
  const end = sql.prepare(
    `SELECT ${keys} FROM ${table} WHERE ${which} ORDER BY ${keys} LIMIT 1 OFFSET ${ROWS_AT_A_TIME}`,
  ).get(...values);
  if (end === undefined) {
    sql.prepare(`DELETE FROM ${table} WHERE ${which}`).run(...values);
    return false;
  }
  const columns = keys.split(", ");
  const places = columns.map(() => "?").join(", ");
  sql.prepare(`DELETE FROM ${table} WHERE ${which} AND (${keys}) < (${places})`)
    .run(...values, ...columns.map((column) => String(end[column])));
  return true;
}
