/** Sessions of the receiving side without a network: the test decides which octets arrive together. */

import { Connection } from "../../lib/inbound/connection.ts";
import { type Authentication, DEFAULT_TIMEOUTS, type Settings } from "../../lib/inbound/services.ts";
import type { Session } from "../../lib/inbound/session.ts";
import { relayBlocks } from "../../lib/policy/relay.ts";
import { BufferPool } from "../../lib/smtp/octet_input.ts";
import { MemoryConn } from "./memory_conn.ts";
import { MemorySpool } from "./memory_spool.ts";
import { testServices, testSession } from "./test_session.ts";

const pool = new BufferPool();

/** What a test may choose. */
export interface MemorySessionOptions {
  readonly service: Session["service"];
  readonly bareLf?: Settings["submission"]["bareLf"];
  /** The client is in `relay_from`: then it needs no login. */
  readonly isTrusted?: boolean;
  /** Default: nothing is checked, and nothing signed. */
  readonly authentication?: Authentication;
}

/** What became of a session. */
export interface Played {
  readonly output: string;
  readonly contents: readonly string[];
  /** What stands in front of them. */
  readonly traces: readonly string[];
  readonly openReceptions: number;
  readonly closes: number;
}

/** Plays groups of octets; the next one is sent when the server has answered all it can. */
export async function play(
  groups: readonly (readonly Uint8Array[])[],
  { service, bareLf = "refuse", isTrusted = false, authentication }: MemorySessionOptions,
): Promise<Played> {
  const conn = new MemoryConn();
  const spool = new MemorySpool();
  const session = testSession({ service }, {
    relayFrom: relayBlocks(isTrusted ? ["192.0.2.1"] : []),
    submission: { senders: "own", bareLf },
  });
  const services = testServices({ spool, ...(authentication && { authentication: () => authentication }) });
  const connection = new Connection({ conn, session, services, pool, timeouts: DEFAULT_TIMEOUTS });
  const running = connection.run();
  for (const group of groups) await conn.send(group);
  conn.end();
  await running;
  const contents = spool.messages.map(({ content }) => new TextDecoder("latin1").decode(content.inMemory));
  const traces = spool.messages.map(({ envelope }) => envelope.trace);
  return { output: conn.output, contents, traces, openReceptions: spool.openReceptions, closes: conn.closes };
}

/** Cuts octets at the given places. */
export function cut(octets: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [...new Set(places.map((place) => place % (octets.length + 1)))].sort((a, b) => a - b);
  return [0, ...sorted].map((from, index) => octets.subarray(from, sorted[index] ?? octets.length));
}
