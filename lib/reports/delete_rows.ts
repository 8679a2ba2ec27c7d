/** Deleting much, some at a time: each call holds up the event loop. */

import type { Sql } from "../state/state_database.ts";

/** Rows that are deleted in one go: about 5 ms. */
const ROWS_AT_A_TIME = 1_000;
/** The columns of the primary keys; the day comes first. */
const KEYS: Readonly<Record<DayTable, string>> = {
  "dmarc_row": "day, domain, results",
  "dmarc_policy": "day, domain",
  "tls_policy": "day, domain, type, policy_domain",
  "tls_failure": "day, domain, type, policy_domain, failure, mx_host, receiving_ip",
};

/** A table that is emptied piece by piece. */
export type DayTable = "dmarc_row" | "dmarc_policy" | "tls_policy" | "tls_failure";

/** Deletes some rows of the days before. @returns Whether there are more. */
export function deleteSomeBefore(sql: Sql, table: DayTable, firstDay: string): boolean {
  return deleteSome(sql, { table, where: "day < ?", values: [firstDay], keys: KEYS[table] });
}

/** Deletes some rows of a domain and day. @returns Whether there are more. */
export function deleteSomeOf(sql: Sql, day: string, domain: string): boolean {
  const where = "day = ? AND domain = ? AND results >= ?";
  return deleteSome(sql, { table: "dmarc_row", where, values: [day, domain, ""], keys: "results" });
}

interface Rows {
  readonly table: string;
  readonly where: string;
  readonly values: readonly string[];
  /** The columns behind those that `where` gives one value. */
  readonly keys: string;
}

/** Up to a row some way behind the first one. The comparison has to be one that finds its rows by the index. */
function deleteSome(sql: Sql, { table, where, values, keys }: Rows): boolean {
  const end = sql.prepare(
    `SELECT ${keys} FROM ${table} WHERE ${where} ORDER BY ${keys} LIMIT 1 OFFSET ${ROWS_AT_A_TIME}`,
  ).get(...values);
  if (end === undefined) {
    sql.prepare(`DELETE FROM ${table} WHERE ${where}`).run(...values);
    return false;
  }
  const columns = keys.split(", ");
  const places = columns.map(() => "?").join(", ");
  const fixed = where.split(" AND ").filter((condition) => condition.endsWith(" = ?"));
  const upTo = [...fixed, `(${keys}) < (${places})`].join(" AND ");
  sql.prepare(`DELETE FROM ${table} WHERE ${upTo}`)
    .run(...values.slice(0, fixed.length), ...columns.map((column) => String(end[column])));
  return true;
}
