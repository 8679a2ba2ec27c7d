/** One run of the benchmark: load from smtp-source, and what the server made of it in which time. */

import { mustRun } from "../support/interop/command.ts";
import { Daemon } from "../support/interop/daemon.ts";
import { pause, waitUntil } from "../support/interop/wait.ts";
import { type BenchServer, greets } from "./servers.ts";

/** What is sent and where it goes. */
export interface Cell {
  /** SMTP in → Maildir, or SMTP in → queue → sink. */
  readonly scenario: "deliver" | "relay";
  readonly connections: number;
  /** `keep`: each connection carries many messages. `new`: a connection for each message. */
  readonly mode: "keep" | "new";
}

/** What a run showed. */
export interface Run {
  /** Until the last message is in new/, or at the sink. */
  readonly messagesPerSecond: number;
  /** CPU seconds of all processes of the server per 1,000 messages, until it is quiet again. */
  readonly cpuPerThousand: number;
}

/** Debian's load generator and its counterpart. */
export const TOOLS = { source: "/usr/sbin/smtp-source", sink: "/usr/sbin/smtp-sink" } as const;
/** Octets of a message. */
export const MESSAGE_OCTETS = 2048;
const TIMEOUT_MS = 30_000;
/** Of /proc/PID/stat: USER_HZ, which is 100 on all common Linux. */
const TICKS_PER_SECOND = 100;

/** smtp-sink, with its count of messages in a file in memory. */
export class Sink implements AsyncDisposable {
  readonly #program: Daemon;
  readonly #counter: string;

  private constructor(readonly port: number) {
    this.#counter = `/dev/shm/posthorn-bench-${port}`;
    const command = [TOOLS.sink, "-c", "-u", "nobody", "-m", "2000", `127.0.0.1:${port}`, "1000"];
    this.#program = new Daemon(["sh", "-c", 'exec "$@" >"$0"', this.#counter, ...command]);
  }

  /** Starts it and waits until it answers. */
  static async start(port: number): Promise<Sink> {
    const sink = new Sink(port);
    await waitUntil(() => greets(port), { what: "smtp-sink to greet", detail: () => sink.#program.log });
    return sink;
  }

  /** Messages that it has answered with 250 since it was started. */
  async messages(): Promise<number> {
    const counts = await Deno.readTextFile(this.#counter);
    return Number(/^mesg=(\d+)/.exec(counts.slice(counts.lastIndexOf("mesg=")))?.[1] ?? 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
    await Deno.remove(this.#counter);
  }
}

/** Sends `messages` and waits until all have arrived. @throws {Error} When one does not, or comes twice. */
export async function measure(server: BenchServer, sink: Sink, cell: Cell, messages: number): Promise<Run> {
  const { scenario, connections, mode } = cell;
  const recipient = scenario === "relay" ? "u1@sink.test" : "u1@bench.test";
  const arrived = scenario === "relay" ? () => sink.messages() : () => countFiles(server.newFolder);
  const load = ["-s", connections, "-m", messages, "-l", MESSAGE_OCTETS, ...(mode === "keep" ? ["-d"] : [])].map(
    String,
  );
  const before = await arrived();
  await mustRun(["sync"]);
  const cpuBefore = await cpuSeconds(server.pid);
  const start = performance.now();
  const names = ["-M", "client.test", "-f", "s@client.test", "-t", recipient];
  await mustRun([TOOLS.source, ...load, ...names, `127.0.0.1:${server.port}`], { timeoutMs: TIMEOUT_MS });
  await waitUntil(async () => await arrived() >= before + messages ? true : undefined, {
    what: `${messages} messages, ${scenario}`,
    timeoutMs: TIMEOUT_MS,
    everyMs: 20,
  });
  const seconds = (performance.now() - start) / 1000;
  const cpu = await quietCpuSeconds(server.pid) - cpuBefore;
  const count = await arrived() - before;
  if (count !== messages) throw new Error(`${count} messages arrived, ${messages} were sent`);
  return { messagesPerSecond: messages / seconds, cpuPerThousand: cpu / messages * 1000 };
}

async function countFiles(folder: string): Promise<number> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).length;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0; // The first message makes it.
    throw error;
  }
}

/** Waits until a server stops using CPU, 10 s at most. @returns Its CPU seconds since the start. */
async function quietCpuSeconds(pid: number): Promise<number> {
  let [last, now] = [-1, await cpuSeconds(pid)];
  for (let look = 0; look < 40 && now - last >= 0.015; look++) {
    await pause(250);
    [last, now] = [now, await cpuSeconds(pid)];
  }
  return now;
}

/** CPU seconds of a process, its living children, and the ended ones, which it waited for: see proc(5). */
async function cpuSeconds(parent: number): Promise<number> {
  let ticks = 0;
  for await (const { name } of Deno.readDir("/proc")) {
    const stat = /^\d+$/.test(name) ? await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "") : "";
    // The second field is a name in parentheses that may hold anything; 4 is the parent, 14 to 17 are times.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
    if (Number(name) !== parent && fields[1] !== parent) continue;
    ticks += fields.slice(11, 15).reduce((sum, each) => sum + each, 0);
  }
  return ticks / TICKS_PER_SECOND;
}
