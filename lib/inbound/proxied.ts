/** Listeners behind a proxy: only listed peers may connect, and each begins with a PROXY header that names the client. */

import { isListed, relayBlocks } from "../policy/relay.ts";
import type { OctetConn } from "../smtp/octet_conn.ts";
import { type ProxiedClient, ProxyHeaderParser } from "../smtp/proxy_header.ts";
import type { Clock } from "../system/clock.ts";
import type { TlsConn } from "../tls/tls_conn.ts";
import type { BoundListener, IncomingConn } from "./bind.ts";

/** How long a proxy may take for its header, which it sends at once. */
export const PROXY_HEADER_TIMEOUT_MS = 5_000;

/** More than any header without TLVs. */
const READ_OCTETS = 512;

/** A connection on a listener with `proxy_protocol` that is not what it must be. It is closed. */
export class ProxyHeaderError extends Error {
  /** Stands in front of the message in logs and stack traces. */
  override readonly name = "ProxyHeaderError";
}

/** Bounds the wait for a header. */
export interface HeaderWait {
  /** Its sleep is the time limit. */
  readonly clock: Clock;
  /** Ends the wait at the stop of the server. */
  readonly signal: AbortSignal;
}

/**
 * Makes a listener for plain connections one behind proxies.
 *
 * @param plain Gives connections without TLS.
 * @param proxies Addresses and CIDR blocks, checked.
 * @param startTls Given where TLS follows the header at once.
 */
export function behindProxies(
  plain: BoundListener,
  proxies: readonly string[],
  startTls?: (conn: OctetConn, signal?: AbortSignal) => Promise<TlsConn>,
): BoundListener {
  const blocks = relayBlocks(proxies);
  const identify = async (incoming: IncomingConn, wait: HeaderWait): Promise<IncomingConn> => {
    const peer = incoming.remoteAddr;
    if (!isListed(peer.transport === "tcp" ? peer.hostname : undefined, blocks)) {
      incoming.close();
      throw new ProxyHeaderError("this address is not in proxy_protocol");
    }
    const conn = await readProxyHeader(await incoming.open(), wait);
    return {
      remoteAddr: conn.remoteAddr,
      open: (signal) => startTls === undefined ? Promise.resolve(conn) : startTls(conn, signal),
      close: () => conn.close(),
    };
  };
  return {
    ...plain,
    accept: async () => {
      const incoming = await plain.accept();
      return { ...incoming, identify: (wait) => identify(incoming, wait) };
    },
  };
}

/**
 * Reads the PROXY header at the begin of a connection.
 *
 * @returns The same connection behind the header, from the address that the header names.
 * @throws {ProxyHeaderError} After closing the connection.
 */
export async function readProxyHeader(conn: OctetConn, { clock, signal }: HeaderWait): Promise<OctetConn> {
  let stopped: string | undefined;
  const stop = (reason: string): void => {
    stopped ??= reason;
    closeQuietly(conn);
  };
  const abort = (): void => stop("the server is stopping");
  const timer = new AbortController();
  clock.sleep(PROXY_HEADER_TIMEOUT_MS, timer.signal).then(
    () => stop(`no PROXY header within ${PROXY_HEADER_TIMEOUT_MS / 1000} s`),
    () => {},
  );
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    const behind = await readHeader(conn);
    if (stopped !== undefined) throw new ProxyHeaderError(stopped);
    return behind;
  } catch (error) {
    closeQuietly(conn);
    const reason = stopped ?? (error instanceof Error ? error.message : String(error));
    throw new ProxyHeaderError(reason, { cause: error });
  } finally {
    timer.abort();
    signal.removeEventListener("abort", abort);
  }
}

async function readHeader(conn: OctetConn): Promise<OctetConn> {
  const parser = new ProxyHeaderParser();
  const buffer = new Uint8Array(READ_OCTETS);
  for (;;) {
    const count = await conn.read(buffer);
    if (count === null) throw new ProxyHeaderError("closed before its PROXY header was complete");
    const octets = buffer.subarray(0, count);
    const progress = parser.push(octets);
    if (progress.kind === "invalid") throw new ProxyHeaderError(progress.reason);
    if (progress.kind === "complete") return new ProxiedConn(conn, progress.client, octets.slice(progress.consumed));
  }
}

/** A connection whose header was read. */
class ProxiedConn implements OctetConn {
  readonly remoteAddr: Deno.Addr;
  readonly localAddr: Deno.Addr;
  readonly #conn: OctetConn;
  /** What came in one piece with the header: the client's greeting, or its TLS handshake. */
  #early: Uint8Array;

  constructor(conn: OctetConn, client: ProxiedClient | undefined, early: Uint8Array) {
    this.remoteAddr = client === undefined
      ? conn.remoteAddr
      : { transport: "tcp", hostname: client.host, port: client.port };
    this.localAddr = conn.localAddr;
    this.#conn = conn;
    this.#early = early;
  }

  async read(into: Uint8Array): Promise<number | null> {
    if (this.#early.length === 0) return await this.#conn.read(into);
    const taken = this.#early.subarray(0, into.length);
    into.set(taken);
    this.#early = this.#early.subarray(taken.length);
    return taken.length;
  }

  write(octets: Uint8Array): Promise<number> {
    return this.#conn.write(octets);
  }

  async closeWrite(): Promise<void> {
    await this.#conn.closeWrite?.();
  }

  close(): void {
    this.#conn.close();
  }
}

function closeQuietly(conn: { close(): void }): void {
  try {
    conn.close();
  } catch {
    // Closed before.
  }
}
