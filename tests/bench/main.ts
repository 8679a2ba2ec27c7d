/**
 * posthorn and Postfix side by side on this machine: `deno task bench`. Prints throughput, CPU time, latency, memory and
 * start-up; figures are medians of interleaved runs, because machines are noisy. docs/performance.md says how to measure.
 *
 * Nothing is deleted while measuring: on ext4, deletions slow the creation of files down for minutes. For the same
 * reason two calls should be some minutes apart, and only figures of the same call be compared.
 */

import { parseArgs } from "@std/cli/parse-args";
import { INTERNAL_ERROR, UNAVAILABLE, USAGE_ERROR } from "../../lib/system/sysexits.ts";
import { Bench, type BenchOptions, obstacle } from "./bench.ts";
import { print } from "./figures.ts";
import { guard, QUICK, record } from "./guard.ts";
import { measureLarge } from "./large.ts";
import { measureLatency } from "./latency.ts";
import { measureMemory, measureStart } from "./resources.ts";
import { measureThroughput } from "./throughput.ts";

const USAGE = `Usage: deno task bench [--rows=NAMES] [--runs=3] [--seconds=4] [--against=PATH]
       deno task bench --quick [--record]
  --rows     rows of the tables, separated by commas, by their names or words of them: deliver-2k-20-keep, relay-2k,
             50k, checked, slowdisk, latency-deliver, memory, startup, large-relay, deliver-*-20
  --runs     of each server, in turns; a figure is their median
  --seconds  how long a run takes, about
  --against  another version of posthorn beside this one: its checkout or its executable
  --quick    less than a minute: compares with tests/bench/recorded.json, fails where a ratio is less than half
  --record   with --quick: writes tests/bench/recorded.json
$POSTHORN_BINARY names an executable that is measured in place of the sources.`;

/** What was asked for. */
interface Request {
  readonly options: BenchOptions;
  readonly task: "all" | "guard" | "record";
}

function parseRequest(words: readonly string[]): Request | undefined {
  let isWrong = false;
  const flags = parseArgs([...words], {
    string: ["rows", "runs", "seconds", "against"],
    boolean: ["quick", "record"],
    unknown: () => {
      isWrong = true;
      return false;
    },
  });
  const runs = Number(flags.runs ?? 3);
  const seconds = Number(flags.seconds ?? 4);
  if (isWrong || !(runs >= 1 && seconds > 0) || (flags.record && !flags.quick)) return undefined;
  if (flags.quick) return { options: QUICK, task: flags.record ? "record" : "guard" };
  return {
    task: "all",
    options: {
      runs,
      seconds,
      ...(typeof flags.rows === "string" && { rows: flags.rows.split(",") }),
      ...(typeof flags.against === "string" && { against: flags.against }),
    },
  };
}

async function measureAll(bench: Bench): Promise<void> {
  const { runs, seconds } = bench.options;
  await print(`Medians of ${runs} interleaved runs of about ${seconds} s.
deliver: SMTP → Maildir new/; checked: the same with SPF, DKIM and DMARC; relay: SMTP → queue → smtp-sink;
slowdisk: 5 ms longer for each fsync. CPU: seconds per 1,000 messages.`);
  for (const part of [measureThroughput, measureLatency, measureMemory, measureStart, measureLarge]) await part(bench);
}

function machine(): string {
  const { model, count } = cpu(Deno.readTextFileSync("/proc/cpuinfo"));
  return `${count} × ${model}, Linux ${Deno.osRelease()}, Deno ${Deno.version.deno}`;
}

function cpu(info: string): { readonly model: string; readonly count: number } {
  const models = [...info.matchAll(/^model name\s*: (.*)$/gm)].map(([, model]) => model);
  return { model: models[0] ?? Deno.build.arch, count: navigator.hardwareConcurrency };
}

/** @returns The exit code (sysexits.h). */
async function main(words: readonly string[]): Promise<number> {
  const request = parseRequest(words);
  if (request === undefined) {
    await print(USAGE, Deno.stderr);
    return USAGE_ERROR;
  }
  const reason = await obstacle();
  if (reason !== undefined) {
    await print(`Cannot run the benchmark: ${reason}`, Deno.stderr);
    return UNAVAILABLE;
  }
  // Ctrl-C ends smtp-source too: the run under way fails, and everything is cleaned up on the way out.
  Deno.addSignalListener("SIGINT", () => {});
  await using bench = await Bench.open(request.options);
  if (request.task === "guard") return await guard(bench) ? 0 : INTERNAL_ERROR;
  if (request.task === "record") await record(bench, machine(), new Date());
  else await measureAll(bench);
  return 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
