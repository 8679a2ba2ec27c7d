import { assertEquals } from "@std/assert";
import type { DmarcCount } from "../../../../lib/reports/dmarc/collector.ts";
import { reportRows } from "../../../../lib/reports/dmarc/report_rows.ts";
import { addDmarcCounts, finishDmarcReport, pruneDmarcCounts } from "../../../../lib/reports/dmarc/store.ts";
import { deleteSomeOf } from "../../../../lib/reports/delete_rows.ts";
import type { StateDatabase } from "../../../../lib/state/state_database.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { breathe, REPORT, ROW, stateLab } from "../samples.ts";

const DUE = { day: "2026-03-01", domain: "example.com" };
const clock = new FakeClock("2026-03-02T12:00:00Z");

/** Rows with counts from 1 to 10. */
function fill(state: StateDatabase, rows: number, maxRows?: number): void {
  const { count: _, ...results } = ROW;
  for (let from = 0; from < rows; from += 1_000) {
    const counts = Array.from({ length: Math.min(1_000, rows - from) }, (_, i): DmarcCount => ({
      day: DUE.day,
      policy: REPORT.policy,
      rua: ["mailto:rua@example.com"],
      results: { ...results, sourceIp: `2001:db8::${(from + i).toString(16)}` },
      count: 1 + (from + i) % 10,
    }));
    state.transact((sql) => addDmarcCounts(sql, counts, maxRows));
  }
}

Deno.test("A report has the most frequent rows where there are more than it may have, and each row once", async () => {
  await using at = await stateLab(clock);
  fill(at.state, 2_500);
  const read = async (maxRows: number): Promise<readonly number[]> => {
    const rows = (await Array.fromAsync(reportRows({ state: at.state, breathe, maxRows }, DUE))).flat();
    assertEquals(new Set(rows.map(({ sourceIp }) => sourceIp)).size, rows.length);
    return rows.map(({ count }) => count).sort((a, b) => b - a);
  };
  assertEquals((await read(2_500)).length, 2_500);
  const some = await read(600);
  assertEquals([some.length, some[0], some[249], some[250], some[499], some[500], some[599]], [
    600,
    10,
    10,
    9,
    9,
    8,
    8,
  ]);
});

Deno.test("What a report was made of goes piece by piece, as does what was never sent", async () => {
  await using at = await stateLab(clock);
  const left = (): unknown =>
    at.state.read((sql) => Number(sql.prepare("SELECT count(*) AS n FROM dmarc_row").get()?.["n"]));
  fill(at.state, 2_500);
  at.state.transact((sql) => finishDmarcReport(sql, DUE));
  const after: unknown[] = [];
  while (at.state.transact((sql) => deleteSomeOf(sql, DUE.day, DUE.domain))) after.push(left());
  assertEquals([...after, left()], [1_500, 500, 0]);
  fill(at.state, 1_500);
  assertEquals(at.state.transact((sql) => pruneDmarcCounts(sql, "2026-03-02")), true);
  assertEquals(left(), 500);
  assertEquals(at.state.transact((sql) => pruneDmarcCounts(sql, "2026-03-02")), false);
  assertEquals(left(), 0);
});

Deno.test("A day takes no more rows than it may have; those that it has are counted on", async () => {
  await using at = await stateLab(clock);
  for (let i = 0; i < 3; i++) fill(at.state, 3_000, 2_000);
  const sums = at.state.read((sql) => [
    sql.prepare("SELECT count(*) AS n, sum(count) AS messages FROM dmarc_row").get(),
    sql.prepare("SELECT row_count AS n FROM dmarc_day").get(),
  ]);
  // The first round made them, and the others found them there.
  assertEquals(sums?.map((row) => row?.["n"]), [2_000, 2_000]);
  assertEquals(sums?.[0]?.["messages"], 3 * 2_000 * 5.5);
});
