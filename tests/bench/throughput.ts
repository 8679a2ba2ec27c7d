/** Messages per second and CPU time, on the disk as it is and on a slow one. */

import type { Bench, BenchOptions } from "./bench.ts";
import type { BenchServer } from "./servers.ts";
import type { Sink } from "./sink.ts";
import { Running } from "./running.ts";
import { figure, median, print, spread, tableHead, tableRow } from "./figures.ts";
import { type Cell, measure, type Run, type Scenario } from "./measure.ts";
import { buildSlowDisk, checkSlowness } from "./slow_disk.ts";

/** A row of the table. */
export interface ThroughputRow extends Cell {
  readonly name: string;
  /** The ratio to Postfix that posthorn should reach. */
  readonly target?: number;
  readonly hasSlowDisk?: boolean;
}

/** The runs of each server in the order of the contestants. */
export type Runs = readonly (readonly Run[])[];

const KIBI = 1024;
const MEBI = 1024 * KIBI;
/** Of one run, so that it does not fill the disk with long messages. */
const MOST_OCTETS = 512 * MEBI;
const SIZES = { "2k": 2 * KIBI, "50k": 50 * KIBI, "5m": 5 * MEBI } as const;

/** All rows; `names` in the order scenario, size, connections, mode. */
export function throughputRows(): ThroughputRow[] {
  const rows: ThroughputRow[] = [];
  for (const scenario of ["deliver", "relay"] as const) {
    for (const connections of [1, 20, 100]) {
      for (const mode of ["keep", "new"] as const) {
        const target = connections === 1 ? 1.3 : scenario === "relay" ? 3 : mode === "keep" ? 4 : 2.5;
        rows.push(row(scenario, "2k", connections, mode, target));
      }
    }
    rows.push(row(scenario, "50k", 20, "keep", 2.5), row(scenario, "50k", 20, "new", 2.5));
    rows.push(row(scenario, "5m", 4, "keep", 1.5));
  }
  for (const mode of ["keep", "new"] as const) rows.push(row("checked", "2k", 20, mode));
  for (const scenario of ["deliver", "relay"] as const) {
    const onFast = row(scenario, "2k", 100, "keep", 3);
    rows.push({ ...onFast, name: `slowdisk-${onFast.name}`, hasSlowDisk: true });
  }
  return rows;
}

function row(
  scenario: Scenario,
  size: keyof typeof SIZES,
  connections: number,
  mode: Cell["mode"],
  target?: number,
): ThroughputRow {
  const cell = { name: `${scenario}-${size}-${connections}-${mode}`, scenario, octets: SIZES[size], connections, mode };
  return target === undefined ? cell : { ...cell, target };
}

/** Measures the rows that are wanted and prints a table. */
export async function measureThroughput(bench: Bench): Promise<void> {
  const rows = throughputRows().filter(({ name }) => bench.wants(name));
  if (rows.length === 0) return;
  const names = bench.contestants.map(({ name }) => name);
  const ratios = names.slice(0, -1).map((name) => `${name} / Postfix`);
  await print(tableHead([
    "row",
    ...names.map((name) => `${name}/s`),
    ...ratios,
    "target",
    ...names.map((name) => `${name} CPU`),
    "least–most/s",
  ]));
  for (const each of rows) await print(resultRow(each, await measureRow(bench, each)));
}

/** Starts all servers afresh and measures them. */
async function measureRow(bench: Bench, row: ThroughputRow): Promise<Runs> {
  const preload = row.hasSlowDisk === true ? await buildSlowDisk(await bench.newFolder()) : undefined;
  await using running = await Running.start(bench, preload);
  if (preload !== undefined) {
    for (const server of running.servers) await checkSlowness(server, running.sink, row, preload);
  }
  return await measureInTurns(running, row, bench.options);
}

/** Warms all servers up and measures them in turns. */
export async function measureInTurns(
  { servers, sink }: Running,
  cell: Cell,
  { runs, seconds }: Pick<BenchOptions, "runs" | "seconds">,
): Promise<Runs> {
  const plans: { readonly run: () => Promise<Run>; readonly runs: Run[] }[] = [];
  for (const server of servers) {
    let { messagesPerSecond } = await warmUp(server, sink, cell);
    const run = async (): Promise<Run> => {
      const messages = Math.min(messagesPerSecond * seconds, MOST_OCTETS / cell.octets);
      const result = await measure(server, sink, cell, Math.ceil(messages));
      messagesPerSecond = result.messagesPerSecond;
      return result;
    };
    plans.push({ run, runs: [] });
  }
  for (let round = 0; round < runs; round++) {
    for (const plan of plans) plan.runs.push(await plan.run());
  }
  return plans.map((plan) => plan.runs);
}

/** Until code is compiled and caches are full, which one connection alone would take too long for. */
async function warmUp(server: BenchServer, sink: Sink, cell: Cell): Promise<Run> {
  await measure(server, sink, { ...cell, octets: SIZES["2k"], connections: 20, mode: "keep" }, 2000);
  const messages = cell.octets > MEBI ? 8 : cell.connections === 1 ? 200 : 1000;
  return await measure(server, sink, cell, messages);
}

/** The rate of each server, median of its runs. */
export function ratesOf(runs: Runs): number[] {
  return runs.map((each) => median(each.map(({ messagesPerSecond }) => messagesPerSecond)));
}

function resultRow({ name, target }: ThroughputRow, runs: Runs): string {
  const rates = ratesOf(runs);
  const postfix = rates.at(-1) ?? NaN;
  const ratios = rates.slice(0, -1).map((rate) => `${(rate / postfix).toFixed(2)}×`);
  const cpu = runs.map((each) => figure(median(each.map(({ cpuPerThousand }) => cpuPerThousand))));
  const spreads = runs.map((each) => spread(each.map(({ messagesPerSecond }) => messagesPerSecond)));
  const wanted = target === undefined ? "–" : `${target}×`;
  return tableRow([name, ...rates.map(figure), ...ratios, wanted, ...cpu, spreads.join(", ")]);
}
