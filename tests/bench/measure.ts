/** One run of the benchmark: load from smtp-source, and what the server made of it in which time. */

import { mustRun } from "../support/interop/command.ts";
import { pause } from "../support/interop/wait.ts";
import { cpuSeconds, quietCpuSeconds } from "./process_tree.ts";
import type { BenchServer } from "./servers.ts";
import { type Sink, TOOLS } from "./sink.ts";

/** SMTP in → Maildir; the same from a stranger, whose mail posthorn checks; SMTP in → queue → sink. */
export type Scenario = "deliver" | "checked" | "relay";

/** What is sent and where it goes. */
export interface Cell {
  readonly scenario: Scenario;
  /** Octets of the body of each message. */
  readonly octets: number;
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

const TIMEOUT_MS = 180_000;
const LOOK_EVERY_MS = 20;

/** Who sends. A stranger is allowed to by the DNS of the benchmark. */
export const REVERSE_PATH = "s@client.test";

/** Who gets the mail of a scenario. */
export function recipientOf(scenario: Scenario): string {
  return scenario === "relay" ? "u1@sink.test" : "u1@bench.test";
}

/** Sends messages with smtp-source, and waits until all were answered. @throws {Error} When one was refused. */
export async function sendLoad(server: BenchServer, cell: Cell, messages: number): Promise<void> {
  const { scenario, octets, connections, mode } = cell;
  const { hostname, port } = scenario === "checked" ? server.checkedDoor : server.door;
  const numbers = ["-s", Math.min(connections, messages), "-m", messages, "-l", octets].map(String);
  const names = ["-M", "client.test", "-f", REVERSE_PATH, "-t", recipientOf(scenario)];
  const address = hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
  const command = [TOOLS.source, ...numbers, ...names, ...(mode === "keep" ? ["-d"] : []), address];
  await mustRun(command, { timeoutMs: TIMEOUT_MS });
}

/** Sends `messages` and waits until all have arrived. @throws {Error} When one does not, or comes twice. */
export async function measure(server: BenchServer, sink: Sink, cell: Cell, messages: number): Promise<Run> {
  const isRelay = cell.scenario === "relay";
  const arrived = isRelay ? () => sink.messages() : () => Promise.resolve(countFiles(server.newFolder));
  const before = await arrived();
  await mustRun(["sync"]);
  const cpuBefore = await cpuSeconds(server.pid);
  const startMs = Date.now();
  await sendLoad(server, cell, messages);
  await untilArrived(arrived, before + messages, startMs + TIMEOUT_MS);
  // A look at a full folder takes long, but the folder itself says when the last file came.
  const endMs = isRelay ? Date.now() : (await Deno.stat(server.newFolder)).mtime?.getTime() ?? NaN;
  const cpu = await quietCpuSeconds(server.pid) - cpuBefore;
  const count = await arrived() - before;
  if (count !== messages) throw new Error(`${count} messages arrived, ${messages} were sent`);
  return { messagesPerSecond: messages / (endMs - startMs) * 1000, cpuPerThousand: cpu / messages * 1000 };
}

/** Waits, and leaves nine tenths of the time to the server. */
async function untilArrived(arrived: () => Promise<number>, wanted: number, deadlineMs: number): Promise<void> {
  for (;;) {
    const lookMs = performance.now();
    const count = await arrived();
    if (count >= wanted) return;
    if (Date.now() > deadlineMs) throw new Error(`${wanted - count} messages have not arrived`);
    await pause(Math.max(LOOK_EVERY_MS, 9 * (performance.now() - lookMs)));
  }
}

function countFiles(folder: string): number {
  try {
    let count = 0;
    for (const _ of Deno.readDirSync(folder)) count++;
    return count;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0; // The first message makes it.
    throw error;
  }
}
