/** What long messages cost in memory: it must not depend on how long they are. */

import { pause } from "../support/interop/wait.ts";
import type { Bench } from "./bench.ts";
import { figure, print, tableHead, tableRow } from "./figures.ts";
import { type Cell, measure, type Scenario } from "./measure.ts";
import { peakAnonymous, treeMemory } from "./process_tree.ts";
import type { BenchServer, Contestant } from "./servers.ts";
import { Sink } from "./sink.ts";

const MEBI = 1024 * 1024;
const OCTETS = 49 * MEBI;
const SMALL = 3_000;
/** After work, until the memory is what stays. */
const SETTLE_MS = 2_000;

/** Measures the rows that are wanted, of each posthorn, and prints a table. */
export async function measureLarge(bench: Bench): Promise<void> {
  const scenarios = (["deliver", "checked", "relay"] as const).filter((scenario) => bench.wants(`large-${scenario}`));
  if (scenarios.length === 0) return;
  await print(tableHead([
    "anonymous memory, MiB; messages of 49 MiB",
    "idle before",
    "peak above it, 10 one after the other",
    "stays",
    "idle before",
    "peak above it, 20 at once",
    "for each",
    "stays",
    "messages/s, one after the other",
  ]));
  for (const contestant of bench.contestants.slice(0, -1)) {
    for (const scenario of scenarios) await print(await largeRow(bench, contestant, scenario));
  }
}

async function largeRow(bench: Bench, contestant: Contestant, scenario: Scenario): Promise<string> {
  await using running = new AsyncDisposableStack();
  const sink = running.use(await Sink.start());
  const server = await bench.start(contestant, sink.port);
  running.defer(() => server.stop());
  const cell: Cell = { scenario, octets: OCTETS, connections: 1, mode: "keep" };
  // Code that is compiled for the first time, and the heap of a busy server, are no costs of a long message.
  await measure(server, sink, { ...cell, octets: 2048, connections: 20 }, SMALL);
  await measure(server, sink, cell, 2);
  const single = await costOf(server, sink, cell, 10);
  const many = await costOf(server, sink, { ...cell, connections: 20 }, 20);
  const figures = [single.idle, single.peak, single.after, many.idle, many.peak, many.peak / 20, many.after];
  return tableRow([
    `${scenario}, ${contestant.name}`,
    ...figures.map((octets) => (octets / MEBI).toFixed(1)),
    figure(single.perSecond),
  ]);
}

interface Cost {
  readonly idle: number;
  /** Above the idle one, as what follows. */
  readonly peak: number;
  readonly after: number;
  readonly perSecond: number;
}

async function costOf(server: BenchServer, sink: Sink, cell: Cell, messages: number): Promise<Cost> {
  await pause(SETTLE_MS);
  const { anonymous: idle } = await treeMemory(server.pid);
  const work = measure(server, sink, cell, messages);
  const peak = await peakAnonymous(server.pid, work);
  await pause(SETTLE_MS);
  const { anonymous: after } = await treeMemory(server.pid);
  return { idle, peak: peak - idle, after: after - idle, perSecond: (await work).messagesPerSecond };
}
