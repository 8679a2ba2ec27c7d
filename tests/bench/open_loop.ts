/**
 * Load that does not wait for the server: sessions begin at a fixed rate, whatever became of those before. How long each
 * takes is counted from when it should have begun. A generator that waits for replies would ask less of a server that
 * is stuck, and never see how long others would have waited meanwhile.
 */

import { pause } from "../support/interop/wait.ts";
import type { Door } from "./servers.ts";

/** What is sent, and how often. */
export interface OpenLoad {
  readonly door: Door;
  readonly reversePath: string;
  readonly recipient: string;
  /** Of the body. */
  readonly octets: number;
  /** Sessions that begin in a second; each sends one message. */
  readonly perSecond: number;
  readonly seconds: number;
}

/** What became of it, in milliseconds. */
export interface OpenLoadResult {
  /** From the planned begin of each session to its 250 after the final dot. */
  readonly latenciesMs: readonly number[];
  /** By how much sessions began too late: how far the generator itself can be trusted. */
  readonly lateMs: readonly number[];
}

/** More sessions at a time mean that the rate is too high for the server. */
const MOST_SESSIONS = 4_000;
const LINE = "The quick brown fox jumps over the lazy dog, and nobody asks the dog about it.\r\n";
const encoder = new TextEncoder();

/** Runs the load. @throws {Error} When a message is refused, or the server falls behind for good. */
export async function runOpenLoad(load: OpenLoad): Promise<OpenLoadResult> {
  const total = Math.ceil(load.perSecond * load.seconds);
  const steps = stepsOf(load);
  const latenciesMs: number[] = [];
  const lateMs: number[] = [];
  const open = new Set<Promise<void>>();
  const failures: unknown[] = [];
  const beginMs = performance.now() + 10;
  for (let index = 0; index < total && failures.length === 0;) {
    const plannedMs = beginMs + index / load.perSecond * 1000;
    const nowMs = performance.now();
    if (plannedMs > nowMs) {
      await pause(plannedMs - nowMs);
      continue;
    }
    if (open.size >= MOST_SESSIONS) {
      throw new Error(`${open.size} sessions wait for ${load.door.port} at the same time`);
    }
    index++;
    lateMs.push(nowMs - plannedMs);
    const session = talk(load.door, steps, () => latenciesMs.push(performance.now() - plannedMs))
      .catch((error) => void failures.push(error))
      .finally(() => open.delete(session));
    open.add(session);
  }
  await Promise.all(open);
  if (failures.length > 0) throw new Error(`A session failed, of ${total}`, { cause: failures[0] });
  return { latenciesMs, lateMs };
}

/** What is written at a time, and how the last line of the answer begins. */
interface Step {
  readonly octets: Uint8Array;
  /** Replies to wait for; the last one has this code. */
  readonly replies: number;
  readonly code: string;
}

function stepsOf({ reversePath, recipient, octets }: OpenLoad): Step[] {
  const body = LINE.repeat(Math.ceil(octets / LINE.length)).slice(0, octets - 2) + "\r\n";
  const header = `From: <${reversePath}>\r\nTo: <${recipient}>\r\nSubject: benchmark\r\n` +
    "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@client.test>\r\n\r\n";
  const envelope = `MAIL FROM:<${reversePath}>\r\nRCPT TO:<${recipient}>\r\nDATA\r\n`;
  return [
    { octets: new Uint8Array(), replies: 1, code: "220" },
    { octets: encoder.encode("EHLO client.test\r\n"), replies: 1, code: "250" },
    { octets: encoder.encode(envelope), replies: 3, code: "354" },
    { octets: encoder.encode(`${header}${body}.\r\n`), replies: 1, code: "250" },
  ];
}

async function talk(door: Door, steps: readonly Step[], done: () => void): Promise<void> {
  using connection = await Deno.connect(door);
  const buffer = new Uint8Array(1024);
  for (const { octets, replies, code } of steps) {
    await writeAll(connection, octets);
    const text = await read(connection, buffer, replies);
    if (!text.slice(0, -2).split("\r\n").at(-1)?.startsWith(code)) throw new Error(`Instead of ${code}: ${text}`);
  }
  done();
  await writeAll(connection, encoder.encode("QUIT\r\n"));
  await read(connection, buffer, 1);
}

async function writeAll(connection: Deno.Conn, octets: Uint8Array): Promise<void> {
  for (let at = 0; at < octets.length;) at += await connection.write(octets.subarray(at));
}

/** Reads so many replies: their last lines have a space after the code. */
async function read(connection: Deno.Conn, buffer: Uint8Array, replies: number): Promise<string> {
  let text = "";
  for (;;) {
    const octets = await connection.read(buffer);
    if (octets === null) throw new Error(`The server hung up after: ${text}`);
    for (const octet of buffer.subarray(0, octets)) text += String.fromCharCode(octet);
    if (text.endsWith("\r\n") && (text.match(/^\d{3} /gm)?.length ?? 0) >= replies) return text;
  }
}
