/** A disk that is slow to make things durable, emulated alike for all servers by a library in front of their libc. */

import { mustRun } from "../support/interop/command.ts";
import { type Cell, measure } from "./measure.ts";
import { allHaveMapped } from "./process_tree.ts";
import type { BenchServer } from "./servers.ts";
import type { Sink } from "./sink.ts";

const DELAY_MS = 5;

/** Compiles the library. @returns Its path, for LD_PRELOAD. */
export async function buildSlowDisk(folder: string): Promise<string> {
  const library = `${folder}/slow_fsync.so`;
  const source = `${import.meta.dirname}/slow_fsync.c`;
  await mustRun(["cc", "-shared", "-fPIC", "-O2", `-DDELAY_MS=${DELAY_MS}`, "-o", library, source, "-ldl"]);
  return library;
}

/** Makes sure that a server has the library, and that it does something: a message takes an fsync at the least. */
export async function checkSlowness(server: BenchServer, sink: Sink, cell: Cell, library: string): Promise<void> {
  const { messagesPerSecond } = await measure(server, sink, { ...cell, connections: 1 }, 50);
  if (messagesPerSecond < 1000 / DELAY_MS && await allHaveMapped(server.pid, library)) return;
  throw new Error(`The slow disk is not in effect: ${messagesPerSecond} messages per second over one connection`);
}
