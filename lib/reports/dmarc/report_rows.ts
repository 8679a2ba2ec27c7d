/** The rows of a report, read a page at a time: a day of a big domain has more of them than fit into memory at ease. */

import type { StateDatabase } from "../../state/state_database.ts";
import { StateUnusableError } from "../send_once.ts";
import type { AggregateResults, AggregateRow } from "./aggregate.ts";
import { type DomainDay, readDmarcPage, type StoredRow } from "./store.ts";

/** How rows are read. */
export interface ReportRowsOptions {
  /** Where they are. */
  readonly state: StateDatabase;
  /** Lets the event loop do something else. */
  readonly breathe: () => Promise<void>;
  /** Rows of a report; default 20,000, the most frequent ones. At about 800 octets each it is well below what mail servers take. */
  readonly maxRows?: number;
}

const MAX_ROWS_OF_REPORT = 20_000;
/** Rows that are looked at in one go, and those that are made part of a report: 5 ms each. */
const COUNTS_AT_A_TIME = 2_000;
const ROWS_AT_A_TIME = 200;

/** The rows in groups. @throws {StateUnusableError} */
export async function* reportRows(options: ReportRowsOptions, due: DomainDay): AsyncGenerator<AggregateRow[]> {
  const choice = await chooseRows(options, due);
  for await (const page of pages(options, due, ROWS_AT_A_TIME)) {
    const rows = page.filter(choice).map(({ results, count }) => ({
      ...JSON.parse(results) as AggregateResults,
      count,
    }));
    if (rows.length > 0) yield rows;
  }
}

/** All rows, or the most frequent ones. Those that are as frequent as the last of them have to share the room. */
async function chooseRows(options: ReportRowsOptions, due: DomainDay): Promise<(row: StoredRow) => boolean> {
  const { maxRows = MAX_ROWS_OF_REPORT } = options;
  const rowsOfCount = new Map<number, number>();
  let all = 0;
  for await (const page of pages(options, due, COUNTS_AT_A_TIME)) {
    all += page.length;
    for (const { count } of page) rowsOfCount.set(count, (rowsOfCount.get(count) ?? 0) + 1);
  }
  if (all <= maxRows) return () => true;
  let room = maxRows;
  for (const [least, rows] of [...rowsOfCount].sort(([a], [b]) => b - a)) {
    if (rows > room) return ({ count }) => count > least || count === least && room-- > 0;
    room -= rows;
  }
  return () => true;
}

async function* pages({ state, breathe }: ReportRowsOptions, due: DomainDay, size: number): AsyncGenerator<
  readonly StoredRow[]
> {
  for (let after = "";;) {
    const page = state.read((sql) => readDmarcPage(sql, due, { after, size }));
    if (page === undefined) throw new StateUnusableError();
    yield page;
    if (page.length < size) return;
    after = page.at(-1)?.results ?? "";
    await breathe();
  }
}
