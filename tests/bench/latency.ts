/** How long a client waits, from connect to 250, at half of what a server can do at the most. */

import type { Bench } from "./bench.ts";
import { figure, median, print, quantile, tableHead, tableRow } from "./figures.ts";
import { measure, recipientOf, REVERSE_PATH, type Scenario } from "./measure.ts";
import { type OpenLoad, type OpenLoadResult, runOpenLoad } from "./open_loop.ts";
import { quietCpuSeconds } from "./process_tree.ts";
import { Running } from "./running.ts";
import type { BenchServer } from "./servers.ts";
import type { Sink } from "./sink.ts";

const OCTETS = 2048;
const WARM_UP = 2_000;

/** A server at a rate. */
interface Plan {
  readonly title: string;
  readonly server: BenchServer;
  readonly load: OpenLoad;
  readonly results: OpenLoadResult[];
}

/** Measures the rows that are wanted and prints a table. */
export async function measureLatency(bench: Bench): Promise<void> {
  const scenarios = (["deliver", "checked", "relay"] as const).filter((scenario) => bench.wants(`latency-${scenario}`));
  if (scenarios.length === 0) return;
  await print(tableHead([
    "connect to 250, ms",
    "messages/s",
    "p50",
    "p99",
    "p99.9",
    "most",
    "most of each run",
    "generator late, p99",
  ]));
  for (const scenario of scenarios) await measureScenario(bench, scenario);
}

async function measureScenario(bench: Bench, scenario: Scenario): Promise<void> {
  await using running = await Running.start(bench);
  const plans: Plan[] = [];
  const halves: number[] = [];
  for (const [place, server] of running.servers.entries()) {
    const half = await mostPerSecond(server, running.sink, scenario) / 2;
    halves.push(half);
    plans.push(planOf(bench, bench.contestants[place]?.name ?? "", server, scenario, half));
  }
  // The same rate for all tells more than half of the own one, where one can do much more.
  const least = Math.min(...halves);
  for (const [place, { server, title }] of [...plans.entries()].reverse()) {
    if (halves[place] !== least) plans.push(planOf(bench, title, server, scenario, least));
  }
  for (let round = 0; round < bench.options.runs; round++) {
    for (const { server, load, results } of plans) {
      results.push(await runOpenLoad(load));
      await quietCpuSeconds(server.pid); // What is still to be delivered must not disturb the next.
    }
  }
  for (const { title, load, results } of plans) await print(resultRow(`${scenario}, ${title}`, load, results));
}

/** Over 100 connections, a new one for each message, until all have arrived. */
async function mostPerSecond(server: BenchServer, sink: Sink, scenario: Scenario): Promise<number> {
  const cell = { scenario, octets: OCTETS, connections: 100, mode: "new" } as const;
  const { messagesPerSecond } = await measure(server, sink, cell, WARM_UP);
  const runs: number[] = [];
  for (let round = 0; round < 3; round++) {
    runs.push((await measure(server, sink, cell, Math.ceil(messagesPerSecond * 3))).messagesPerSecond);
  }
  return median(runs);
}

function planOf(bench: Bench, title: string, server: BenchServer, scenario: Scenario, perSecond: number): Plan {
  const door = scenario === "checked" ? server.checkedDoor : server.door;
  const names = { reversePath: REVERSE_PATH, recipient: recipientOf(scenario) };
  const load = { door, ...names, octets: OCTETS, perSecond, seconds: bench.options.seconds };
  return { title, server, load, results: [] };
}

function resultRow(title: string, { perSecond }: OpenLoad, results: readonly OpenLoadResult[]): string {
  const of = (part: number): number => median(results.map(({ latenciesMs }) => quantile(latenciesMs, part)));
  const most = results.map(({ latenciesMs }) => quantile(latenciesMs, 1));
  const late = median(results.map(({ lateMs }) => quantile(lateMs, 0.99)));
  const figures = [of(0.5), of(0.99), of(0.999), Math.max(...most)].map(figure);
  return tableRow([title, figure(perSecond), ...figures, most.map(figure).join(", "), figure(late)]);
}
