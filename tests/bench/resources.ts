/** Memory and start-up. */

import type { Bench } from "./bench.ts";
import { figure, median, print, spread, tableHead, tableRow } from "./figures.ts";
import { idleClients } from "./idle_clients.ts";
import { measure } from "./measure.ts";
import { quietCpuSeconds, treeMemory } from "./process_tree.ts";
import { pause } from "../support/interop/wait.ts";
import type { Contestant } from "./servers.ts";
import { Sink } from "./sink.ts";

const MEBI = 1024 * 1024;
const IDLE_CONNECTIONS = 1000;
const LOAD_MESSAGES = 1000;
const STARTS = 5;
/** After the start, until what was only needed for it is gone. */
const SETTLE_MS = 2_000;

/** Memory of one start, in octets (PSS). */
interface Memory {
  readonly idle: number;
  readonly perConnection: number;
  readonly afterLoad: number;
}

/** Measures memory, where it is wanted, and prints a table. */
export async function measureMemory(bench: Bench): Promise<void> {
  if (!bench.wants("memory")) return;
  const { contestants, options: { runs } } = bench;
  const results = contestants.map((): Memory[] => []);
  for (let round = 0; round < runs; round++) {
    for (const [place, contestant] of contestants.entries()) results[place]?.push(await memoryOf(bench, contestant));
  }
  await print(tableHead([
    "memory (PSS), medians",
    "idle, MiB",
    `each of ${IDLE_CONNECTIONS} idle connections, KiB`,
    `after ${LOAD_MESSAGES} deliveries and ${LOAD_MESSAGES} relayed, MiB`,
  ]));
  for (const [place, { name }] of contestants.entries()) {
    const each = results[place] ?? [];
    const [idle, connection, load] = (["idle", "perConnection", "afterLoad"] as const).map((key) =>
      median(each.map((memory) => memory[key]))
    );
    await print(
      tableRow([name, ...[(idle ?? NaN) / MEBI, (connection ?? NaN) / 1024, (load ?? NaN) / MEBI].map(figure)]),
    );
  }
}

async function memoryOf(bench: Bench, contestant: Contestant): Promise<Memory> {
  await using sink = await Sink.start();
  let idle: number;
  let perConnection: number;
  {
    await using running = new AsyncDisposableStack();
    const server = await bench.start(contestant, sink.port);
    running.defer(() => server.stop());
    await pause(SETTLE_MS);
    idle = (await treeMemory(server.pid)).pss;
    using _clients = await idleClients(server.door, IDLE_CONNECTIONS);
    await quietCpuSeconds(server.pid);
    perConnection = ((await treeMemory(server.pid)).pss - idle) / IDLE_CONNECTIONS;
  }
  await using running = new AsyncDisposableStack();
  const server = await bench.start(contestant, sink.port);
  running.defer(() => server.stop());
  for (const scenario of ["deliver", "relay"] as const) {
    await measure(server, sink, { scenario, octets: 2048, connections: 20, mode: "keep" }, LOAD_MESSAGES);
  }
  await pause(SETTLE_MS);
  return { idle, perConnection, afterLoad: (await treeMemory(server.pid)).pss };
}

/** Measures how long servers take from their start to the banner, where that is wanted, and prints a table. */
export async function measureStart(bench: Bench): Promise<void> {
  if (!bench.wants("startup")) return;
  const seconds = bench.contestants.map((): number[] => []);
  for (let round = 0; round < STARTS; round++) {
    for (const [place, contestant] of bench.contestants.entries()) {
      const server = await bench.start(contestant, 9);
      await server.stop();
      seconds[place]?.push(server.startSeconds);
    }
  }
  await print(tableHead([`start to banner, ${STARTS} times`, "median, s", "least–most, s"]));
  for (const [place, { name }] of bench.contestants.entries()) {
    const each = seconds[place] ?? [];
    await print(tableRow([name, figure(median(each)), spread(each)]));
  }
}
