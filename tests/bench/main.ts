/**
 * posthorn and Postfix side by side on this machine: `deno task bench [--quick]`. Prints messages per second and CPU
 * seconds per 1,000 messages; every figure is a median of interleaved runs, because machines are noisy.
 *
 * Nothing is deleted while measuring: on ext4, deletions slow the creation of files down for minutes. For the same
 * reason two calls should be some minutes apart, and only figures of the same call be compared.
 */

import { UNAVAILABLE, USAGE_ERROR } from "../../lib/system/sysexits.ts";
import { startDnsServer } from "../support/dns_server.ts";
import { runCommand } from "../support/interop/command.ts";
import { freePort } from "../support/interop/free_port.ts";
import { findProgram } from "../support/interop/peers.ts";
import { type Cell, measure, MESSAGE_OCTETS, type Run, Sink, TOOLS } from "./measure.ts";
import { startPostfix, startPosthorn } from "./servers.ts";

const SERVERS = [startPosthorn, startPostfix] as const;
const RUNS = 3;
const SECONDS_PER_RUN = 4;
const HEAD = `Messages of ${MESSAGE_OCTETS} octets, medians of ${RUNS} interleaved runs.
deliver: SMTP → Maildir new/; relay: SMTP → queue → smtp-sink. CPU: seconds per 1,000 messages.

| scenario | connections | mode | posthorn/s | Postfix/s | ratio | posthorn CPU | Postfix CPU | min–max/s |
|---|---|---|---|---|---|---|---|---|`;

async function print(text: string, output = Deno.stdout): Promise<void> {
  await output.write(new TextEncoder().encode(`${text}\n`));
}

/** What keeps the benchmark from running here, with its mend. */
async function obstacle(): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return "it needs Linux, and Postfix from the distribution";
  const isThere = await Promise.all(Object.values(TOOLS).map((path) => Deno.stat(path).then(() => true, () => false)));
  if (findProgram("postfix") === undefined || isThere.includes(false)) {
    return "Postfix with its smtp-source and smtp-sink is missing: apt-get install postfix (it need not be set up)";
  }
  return Deno.uid() === 0 ? undefined : "only root can start Postfix: run it with sudo";
}

function cells(isQuick: boolean): Cell[] {
  const keep = (isQuick ? [20] : [1, 20, 100]).map((connections) => ({ connections, mode: "keep" as const }));
  const loads = isQuick ? keep : [...keep, ...keep.map(({ connections }) => ({ connections, mode: "new" as const }))];
  return (["deliver", "relay"] as const).flatMap((scenario) => loads.map((load) => ({ scenario, ...load })));
}

/** Starts both servers afresh, warms them up, and measures them in turns. @returns The runs of each. */
async function measureCell(cell: Cell, folder: string, dnsPort: number): Promise<Run[][]> {
  await using running = new AsyncDisposableStack();
  const sink = running.use(await Sink.start(freePort()));
  const plans: { readonly run: () => Promise<Run>; readonly runs: Run[] }[] = [];
  for (const start of SERVERS) {
    const own = await Deno.makeTempDir({ dir: folder });
    await Deno.chmod(own, 0o755);
    const server = await start({ folder: own, sinkPort: sink.port, dnsPort });
    running.defer(() => server.stop());
    const { messagesPerSecond } = await measure(server, sink, cell, cell.connections === 1 ? 200 : 1000);
    const messages = Math.ceil(messagesPerSecond * SECONDS_PER_RUN);
    plans.push({ run: () => measure(server, sink, cell, messages), runs: [] });
  }
  for (let round = 0; round < RUNS; round++) {
    for (const { run, runs } of plans) runs.push(await run());
  }
  return plans.map(({ runs }) => runs);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

function row({ scenario, connections, mode }: Cell, runs: readonly Run[][]): string {
  const rates = runs.map((each) => each.map(({ messagesPerSecond }) => Math.round(messagesPerSecond)));
  const [posthorn = NaN, postfix = NaN] = rates.map(median);
  const cpu = runs.map((each) => median(each.map(({ cpuPerThousand }) => cpuPerThousand)).toFixed(2));
  const spread = rates.map((each) => `${Math.min(...each)}–${Math.max(...each)}`).join(", ");
  const figures = [posthorn, postfix, `${(posthorn / postfix).toFixed(2)}×`, ...cpu, spread];
  return `| ${[scenario, connections, mode, ...figures].join(" | ")} |`;
}

async function benchmark(isQuick: boolean): Promise<void> {
  // /tmp is memory on many systems, and fsync free of charge there.
  const folder = await Deno.makeTempDir({ dir: Deno.env.get("TMPDIR") ?? "/var/tmp", prefix: "posthorn-bench-" });
  // Ctrl-C ends smtp-source too: the run under way fails, and everything is cleaned up on the way out.
  Deno.addSignalListener("SIGINT", () => {});
  try {
    await Deno.chmod(folder, 0o755);
    await runCommand(["chattr", "+T", folder]); // ext4: block groups of its own for each server. Others refuse: fine.
    await using dns = await startDnsServer();
    await print(HEAD);
    for (const cell of cells(isQuick)) await print(row(cell, await measureCell(cell, folder, dns.port)));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** @returns The exit code (sysexits.h). */
async function main(words: readonly string[]): Promise<number> {
  if (words.some((word) => word !== "--quick")) {
    await print("Usage: deno task bench [--quick]   (--quick: only 20 kept connections, about a minute)", Deno.stderr);
    return USAGE_ERROR;
  }
  const reason = await obstacle();
  if (reason !== undefined) {
    await print(`Cannot run the benchmark: ${reason}`, Deno.stderr);
    return UNAVAILABLE;
  }
  await benchmark(words.includes("--quick"));
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
