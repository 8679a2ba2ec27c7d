/**
 * The servers of the benchmark. Each takes mail for u1@bench.test into a Maildir and relays u1@sink.test to a sink on
 * loopback; no TLS, no login, no limits on clients, its log in a file.
 */

import { startPostfix } from "./postfix_server.ts";
import { programOf, startPosthorn } from "./posthorn_server.ts";

/** Where a server listens. */
export interface Door {
  readonly hostname: string;
  readonly port: number;
}

/** A running server. */
export interface BenchServer {
  /** Of clients that may relay, which posthorn does not check. */
  readonly door: Door;
  /** Of strangers: posthorn checks SPF, DKIM and DMARC. Postfix has the same one for both, and checks nothing. */
  readonly checkedDoor: Door;
  /** Where messages to u1@bench.test appear. */
  readonly newFolder: string;
  /** Its only process, or the parent of all others. */
  readonly pid: number;
  /** From the start of the program to its banner. */
  readonly startSeconds: number;
  /** Ends it; its mail stays, because deletions slow ext4 down for minutes. */
  stop(): Promise<void>;
}

/** What a server is started with. */
export interface ServerOptions {
  /** Empty, and other users may enter it. */
  readonly folder: string;
  /** Where mail for sink.test goes: a port of 127.0.0.1. */
  readonly sinkPort: number;
  /** A DNS server on 127.0.0.1 that knows only what the benchmark needs, so that nothing leaves the machine. */
  readonly dnsPort: number;
  /** A library that is loaded into each process of the server. */
  readonly preload?: string;
}

/** A server that takes part. */
export interface Contestant {
  readonly name: string;
  start(options: ServerOptions): Promise<BenchServer>;
}

/**
 * Who is measured: posthorn, another version of it where one is named, and Postfix, to which the ratios refer.
 *
 * @param against A checkout or an executable of posthorn.
 */
export async function contestants(against?: string): Promise<Contestant[]> {
  const list: Contestant[] = [{ name: "posthorn", start: (options) => startPosthorn(options) }];
  if (against !== undefined) {
    const program = await programOf(against);
    list.push({ name: "other", start: (options) => startPosthorn(options, program) });
  }
  return [...list, { name: "Postfix", start: startPostfix }];
}
