/** Compares ratios to Postfix with those that were recorded, so that a gross loss is noticed. */

import { type Bench } from "./bench.ts";
import { print } from "./figures.ts";
import { measureRow, ratesOf, throughputRows } from "./throughput.ts";

/** Ratios as they were, with where and when: tests/bench/recorded.json. */
interface Recorded {
  /** Day, in ISO 8601. */
  readonly date: string;
  readonly machine: string;
  readonly ratios: Readonly<Record<string, number>>;
}

const FILE = new URL("recorded.json", import.meta.url);
const ROWS = ["deliver-2k-20-keep", "deliver-2k-20-new", "relay-2k-20-keep"];
/** Machines are noisy: only less than this part of what was recorded is a loss. */
const LEAST_PART = 0.5;

/** How the guard runs: short, since CI waits. */
export const QUICK = { runs: 3, seconds: 1.5, rows: ROWS } as const;

/** Measures the rows of the guard. @returns Whether none is a gross loss. */
export async function guard(bench: Bench): Promise<boolean> {
  const { date, machine, ratios }: Recorded = JSON.parse(await Deno.readTextFile(FILE));
  await print(`Ratios to Postfix; in parentheses those of ${date} (${machine})`);
  let isFine = true;
  for (const [name, ratio] of await ratiosNow(bench)) {
    const recorded = ratios[name];
    const isLoss = recorded !== undefined && ratio < recorded * LEAST_PART;
    isFine &&= !isLoss;
    await print(`${name}: ${ratio.toFixed(2)}× (${recorded?.toFixed(2) ?? "none"})${isLoss ? "  GROSS LOSS" : ""}`);
  }
  return isFine;
}

/** Measures the rows of the guard and records them. */
export async function record(bench: Bench, machine: string, date: Date): Promise<void> {
  const ratios = Object.fromEntries((await ratiosNow(bench)).map(([name, ratio]) => [name, Number(ratio.toFixed(2))]));
  const recorded: Recorded = { date: date.toISOString().slice(0, 10), machine, ratios };
  const text = `${JSON.stringify(recorded, null, 2)}\n`;
  await Deno.writeTextFile(FILE, text);
  await print(text);
}

async function ratiosNow(bench: Bench): Promise<[string, number][]> {
  const ratios: [string, number][] = [];
  for (const row of throughputRows().filter(({ name }) => bench.wants(name) && ROWS.includes(name))) {
    const rates = ratesOf(await measureRow(bench, row));
    ratios.push([row.name, (rates[0] ?? NaN) / (rates.at(-1) ?? NaN)]);
  }
  return ratios;
}
