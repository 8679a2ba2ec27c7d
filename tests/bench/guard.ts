/** Compares ratios to Postfix with those that were recorded, so that a gross loss is noticed. */

import type { Bench } from "./bench.ts";
import { print } from "./figures.ts";
import { Running } from "./running.ts";
import { measureInTurns, ratesOf, type ThroughputRow, throughputRows } from "./throughput.ts";

/** Ratios as they were, with where and when: tests/bench/recorded.json. */
interface Recorded {
  /** Day, in ISO 8601. */
  readonly date: string;
  readonly machine: string;
  readonly ratios: Readonly<Record<string, number>>;
}

const FILE = new URL("recorded.json", import.meta.url);
const NAMES = ["deliver-2k-1-keep", "deliver-2k-20-keep", "deliver-2k-20-new", "relay-2k-20-keep"];
const ROWS = throughputRows().filter(({ name }) => NAMES.includes(name));
/** Machines are noisy: only less than this part of what was recorded is a loss. */
const LEAST_PART = 0.5;

/** How the guard runs: short, since CI waits. */
export const QUICK = { runs: 3, seconds: 1 } as const;

/** Measures the rows of the guard, and again what seems to be a loss. @returns Whether none is a gross one. */
export async function guard(bench: Bench): Promise<boolean> {
  const { date, machine, ratios }: Recorded = JSON.parse(await Deno.readTextFile(FILE));
  await print(`Ratios to Postfix; in parentheses those of ${date} (${machine})`);
  await using running = await Running.start(bench);
  let isFine = true;
  for (const row of ROWS) {
    const recorded = ratios[row.name];
    const isLoss = (ratio: number): boolean => recorded !== undefined && ratio < recorded * LEAST_PART;
    let ratio = await ratioOf(bench, running, row);
    if (isLoss(ratio)) {
      await print(`${row.name}: ${ratio.toFixed(2)}×, once more`);
      ratio = await ratioOf(bench, running, row);
    }
    isFine &&= !isLoss(ratio);
    const note = isLoss(ratio) ? "  LOSS: less than half of it" : "";
    await print(`${row.name}: ${ratio.toFixed(2)}× (${recorded?.toFixed(2) ?? "none"})${note}`);
  }
  return isFine;
}

/** Measures the rows of the guard and records them. */
export async function record(bench: Bench, machine: string, date: Date): Promise<void> {
  await using running = await Running.start(bench);
  const ratios: Record<string, number> = {};
  for (const row of ROWS) ratios[row.name] = Number((await ratioOf(bench, running, row)).toFixed(2));
  const recorded: Recorded = { date: date.toISOString().slice(0, 10), machine, ratios };
  const text = `${JSON.stringify(recorded, null, 2)}\n`;
  await Deno.writeTextFile(FILE, text);
  await print(text);
}

async function ratioOf(bench: Bench, running: Running, row: ThroughputRow): Promise<number> {
  const rates = ratesOf(await measureInTurns(running, row, bench.options));
  return (rates[0] ?? NaN) / (rates.at(-1) ?? NaN);
}
