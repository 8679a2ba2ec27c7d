/**
 * Very many messages, half of them delivered with all checks and half relayed, both at once: `deno task bench:soak`.
 * Prints the memory of posthorn ten times, and in the end whether it grows. Mail is removed as it comes, so that the disk
 * does not fill; a steady stream of new and removed files, as a queue makes it, does not slow ext4 down.
 */

import { parseArgs } from "@std/cli/parse-args";
import { UNAVAILABLE, USAGE_ERROR } from "../../lib/system/sysexits.ts";
import { pause, waitUntil } from "../support/interop/wait.ts";
import { Bench, obstacle } from "./bench.ts";
import { figure, median, print, tableHead, tableRow } from "./figures.ts";
import { sendLoad } from "./measure.ts";
import { cpuSeconds, quietCpuSeconds, type TreeMemory, treeMemory } from "./process_tree.ts";
import type { BenchServer } from "./servers.ts";
import { Sink } from "./sink.ts";

const MEBI = 1024 * 1024;
const SAMPLES = 10;
const CONNECTIONS = 20;
const OCTETS = 2048;
/** Messages of one smtp-source, which has a time limit. */
const MOST_AT_ONCE = 5_000;
/** Caches and compiled code fill at first: these samples say nothing about growth. */
const SKIPPED = 2;
/** Of the memory in the middle of the run: growth of less is what collections of garbage leave, more or less. */
const MOST_GROWTH = 0.15;

/** Removes mail while it comes, and counts it. */
class Remover implements AsyncDisposable {
  readonly #removing: Promise<void>;
  #isStopped = false;
  /** Mail so far. */
  count = 0;

  constructor(folder: string) {
    this.#removing = this.#run(folder);
  }

  async #run(folder: string): Promise<void> {
    while (!this.#isStopped) {
      const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name).catch(ignoreMissing);
      for (const name of names) await Deno.remove(`${folder}/${name}`);
      this.count += names.length;
      await pause(200);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    await this.#removing;
  }
}

function ignoreMissing(error: unknown): string[] {
  if (error instanceof Deno.errors.NotFound) return []; // The first message makes it.
  throw error;
}

/** Sends a tenth of the messages, and waits until all have arrived. */
async function sendPart(server: BenchServer, sink: Sink, mail: Remover, each: number): Promise<void> {
  const sinkBefore = await sink.messages();
  const before = mail.count;
  const cell = { octets: OCTETS, connections: CONNECTIONS, mode: "keep" } as const;
  const loads = (["checked", "relay"] as const).map(async (scenario) => {
    for (let left = each; left > 0; left -= MOST_AT_ONCE) {
      await sendLoad(server, { ...cell, scenario }, Math.min(left, MOST_AT_ONCE));
    }
  });
  await Promise.all(loads);
  await waitUntil(async () => mail.count - before >= each && await sink.messages() - sinkBefore >= each || undefined, {
    what: `${each} messages delivered and relayed`,
    timeoutMs: 60_000,
    detail: () => `${mail.count - before} were delivered`,
  });
}

async function soak(bench: Bench, messages: number): Promise<void> {
  const posthorn = bench.contestants[0];
  if (posthorn === undefined) throw new TypeError("Nobody to measure");
  await using running = new AsyncDisposableStack();
  const sink = running.use(await Sink.start());
  const server = await bench.start(posthorn, sink.port);
  running.defer(() => server.stop());
  const mail = running.use(new Remover(server.newFolder));
  const each = Math.ceil(messages / SAMPLES / 2);
  await print(tableHead(["messages", "per second", "CPU s/1,000", "RSS, MiB", "PSS, MiB", "anonymous, MiB"]));
  await print(memoryRow(0, 0, 0, await treeMemory(server.pid)));
  const samples: number[] = [];
  for (let part = 1; part <= SAMPLES; part++) {
    const cpuBefore = await cpuSeconds(server.pid);
    const startMs = performance.now();
    await sendPart(server, sink, mail, each);
    const perSecond = 2 * each / (performance.now() - startMs) * 1000;
    const cpu = (await quietCpuSeconds(server.pid) - cpuBefore) / (2 * each) * 1000;
    const memory = await treeMemory(server.pid);
    samples.push(memory.anonymous);
    await print(memoryRow(2 * each * part, perSecond, cpu, memory));
  }
  await print(verdict(samples, 2 * each));
}

function memoryRow(messages: number, perSecond: number, cpu: number, { rss, pss, anonymous }: TreeMemory): string {
  const memory = [rss, pss, anonymous].map((octets) => (octets / MEBI).toFixed(1));
  return tableRow([messages, figure(perSecond), figure(cpu), ...memory]);
}

/** Fits a line through the samples after the first ones. */
function verdict(all: readonly number[], messagesEach: number): string {
  const samples = all.slice(SKIPPED);
  const middle = (samples.length - 1) / 2;
  const mean = samples.reduce((sum, octets) => sum + octets, 0) / samples.length;
  const slope = samples.reduce((sum, octets, place) => sum + (place - middle) * (octets - mean), 0) /
    samples.reduce((sum, _, place) => sum + (place - middle) ** 2, 0);
  const growth = slope * (samples.length - 1);
  const isGrowing = growth > MOST_GROWTH * median(samples);
  const perMessage = slope / messagesEach;
  return `${isGrowing ? "Memory GROWS" : "Memory does not grow"}: ${
    (growth / MEBI).toFixed(1)
  } MiB of anonymous memory from ` +
    `${SKIPPED} tenths to the end, ${perMessage.toFixed(1)} octets for each message, along the line that fits best.`;
}

/** @returns The exit code (sysexits.h). */
async function main(words: readonly string[]): Promise<number> {
  const { messages: text } = parseArgs([...words], { string: ["messages"] });
  const messages = Number(text ?? 1_000_000);
  if (!(messages >= 1000)) {
    await print("Usage: deno task bench:soak [--messages=1000000]", Deno.stderr);
    return USAGE_ERROR;
  }
  const reason = await obstacle();
  if (reason !== undefined) {
    await print(`Cannot run the soak: ${reason}`, Deno.stderr);
    return UNAVAILABLE;
  }
  Deno.addSignalListener("SIGINT", () => {});
  await using bench = await Bench.open({ runs: 1, seconds: 1 });
  await soak(bench, messages);
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
