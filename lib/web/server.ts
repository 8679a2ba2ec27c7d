/**
 * The web listeners: give away the MTA-STS policies of our domains (RFC 8461 §3.3), one request for each connection.
 * Everybody may connect, so all is bounded: connections, the head of a request, and the time for each step.
 */

import type { ListenerConfig } from "../config/config.ts";
import { AcceptTrouble, isOutOfResources } from "../inbound/accept_trouble.ts";
import { type BoundListener, formatBind, type IncomingConn } from "../inbound/bind.ts";
import { ConnectionLimits, type ConnectionLimitSettings } from "../inbound/connection_limits.ts";
import type { Logger } from "../log/logger.ts";
import { STS_PATH } from "../publish/sts_policy.ts";
import type { OctetConn } from "../smtp/octet_conn.ts";
import type { Clock } from "../system/clock.ts";
import type { TlsConn } from "../tls/tls_conn.ts";
import { HttpError, readHead } from "./http_head.ts";
import { parseRequest } from "./request.ts";
import { encodeResponse, problem, type WebResponse } from "./response.ts";

/** What the server is made of. */
export interface WebServerOptions {
  /** Monotonic for time limits, wall clock for the Date field. */
  readonly clock: Clock;
  /** Hears who got a policy (info), and what else went on (debug). */
  readonly logger: Logger;
  /** The text of the policy that this host gives away now; the name is in lower case. Undefined: none. */
  readonly policyOf: (host: string) => string | undefined;
  /** The limits now. Their total is for the listeners of the web alone, and never more than 200. */
  readonly limits: () => ConnectionLimitSettings;
}

/** From the end of the handshake to the end of the request's head, and for taking the response. */
export const WEB_STEP_MS = 10_000;
/** How long a client may take to close, once it has the response. */
const LINGER_MS = 1_000;
/** One policy is a few hundred octets: more connections than these are no senders of mail. */
const MAX_CONNECTIONS = 200;
/** Pause when there are no file descriptors. */
const ACCEPT_PAUSE_MS = 1_000;

/** Serves bound listeners until it is disposed of. */
export class WebServer implements AsyncDisposable {
  readonly #options: WebServerOptions;
  readonly #limits = new ConnectionLimits();
  readonly #listeners: BoundListener[] = [];
  readonly #connections = new Map<{ close(): void }, Promise<void>>();
  readonly #stopping = new AbortController();

  /** Makes a server that does not listen yet. */
  constructor(options: WebServerOptions) {
    this.#options = options;
  }

  /** Open connections. */
  get connectionCount(): number {
    return this.#limits.total;
  }

  /** Serves a bound socket. */
  serve(listener: BoundListener): void {
    this.#listeners.push(listener);
    this.#accept(listener);
  }

  /** Stops accepting and closes what is open: senders ask again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error("the server is stopping"));
    for (const listener of this.#listeners) listener.close();
    for (const conn of this.#connections.keys()) closeQuietly(conn);
    await Promise.allSettled(this.#connections.values());
  }

  async #accept(listener: BoundListener): Promise<void> {
    const { clock, logger } = this.#options;
    const trouble = new AcceptTrouble(clock, logger, formatBind(listener.config.bind));
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const incoming = await listener.accept();
        trouble.accepted();
        const ended = this.#welcome(incoming, listener.config).finally(() => this.#connections.delete(incoming));
        this.#connections.set(incoming, ended);
      } catch (error) {
        if (signal.aborted) return;
        const reason = error instanceof Error ? error.message : String(error);
        if (!isOutOfResources(error)) {
          logger.debug("A web connection was gone before it was accepted: {reason}", { reason });
          continue;
        }
        trouble.failed(reason);
        await clock.sleep(ACCEPT_PAUSE_MS, signal).catch(() => {});
      }
    }
  }

  /** Never rejects. What was accepted is closed at its end: by its user once it was opened, else by itself. */
  async #welcome(accepted: IncomingConn, config: ListenerConfig): Promise<void> {
    const { clock, logger } = this.#options;
    const { signal } = this.#stopping;
    let incoming = accepted;
    // Behind a proxy all clients share its address, unless it names them.
    const isProxied = accepted.identify !== undefined || config.tls === "off";
    let counted = isProxied ? undefined : addressOf(accepted.remoteAddr);
    const limits = this.#limitsNow();
    if (this.#limits.enter(counted, limits) !== undefined) {
      logger.debug("Refused web connection from {client}: too many", { client: clientOf(accepted) });
      return closeQuietly(accepted);
    }
    try {
      if (accepted.identify !== undefined) {
        incoming = await accepted.identify({ clock, signal });
        const address = addressOf(incoming.remoteAddr);
        if (!this.#limits.identify(address, limits)) return closeQuietly(incoming);
        counted = address;
      }
      await this.#converse(await incoming.open(signal), clientOf(incoming));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      logger.debug("No web request from {client}: {reason}", { client: clientOf(incoming), reason });
    } finally {
      this.#limits.leave(counted);
    }
  }

  #limitsNow(): ConnectionLimitSettings {
    const { connections, connectionsPerIp } = this.#options.limits();
    return { connections: Math.min(connections, MAX_CONNECTIONS), connectionsPerIp };
  }

  async #converse(conn: OctetConn | TlsConn, client: string): Promise<void> {
    this.#connections.set(conn, Promise.resolve());
    try {
      const response = await this.#inTime(conn, WEB_STEP_MS, this.#respond(conn, client));
      if (response === undefined) return;
      const octets = encodeResponse(response, this.#options.clock.now());
      await this.#inTime(conn, WEB_STEP_MS, writeAll(conn, octets));
      await this.#inTime(conn, LINGER_MS, drain(conn));
    } finally {
      this.#connections.delete(conn);
      closeQuietly(conn);
    }
  }

  /** @returns Undefined where the client left without a request. */
  async #respond(conn: OctetConn, client: string): Promise<WebResponse | undefined> {
    try {
      const head = await readHead(conn);
      if (head === undefined) return undefined;
      const { method, host, path } = parseRequest(head);
      const text = path === STS_PATH ? this.#options.policyOf(host) : undefined;
      const { logger } = this.#options;
      if (text === undefined) {
        logger.debug("Asked by {client} for {host}{path}, which is not here", { client, host, path });
        return problem(404, "There is nothing here under this name", method === "HEAD");
      }
      logger.info("Gave the MTA-STS policy of {host} to {client}", { host, client });
      return { status: 200, text, isHeadOnly: method === "HEAD" };
    } catch (error) {
      if (error instanceof HttpError) return problem(error.status, error.message);
      throw error;
    }
  }

  /** Ends the connection, and with it what was waited for, when the time is over. */
  async #inTime<T>(conn: { close(): void }, limitMs: number, work: Promise<T>): Promise<T> {
    const timer = new AbortController();
    this.#options.clock.sleep(limitMs, timer.signal).then(() => closeQuietly(conn), () => {});
    try {
      return await work;
    } finally {
      timer.abort();
    }
  }
}

async function writeAll(conn: OctetConn, octets: Uint8Array): Promise<void> {
  for (let written = 0; written < octets.length;) written += await conn.write(octets.subarray(written));
}

/** What a client still sends is read: closing over it would take the response away from it (RFC 9112 §9.6). */
async function drain(conn: OctetConn): Promise<void> {
  await conn.closeWrite?.();
  const dropped = new Uint8Array(16 * 1024);
  try {
    while (await conn.read(dropped) !== null);
  } catch {
    // The time is over, or the client is gone: it has its response, or does not want it.
  }
}

function addressOf(addr: Deno.Addr): string | undefined {
  return addr.transport === "tcp" ? addr.hostname : undefined;
}

function clientOf({ remoteAddr }: IncomingConn): string {
  const address = addressOf(remoteAddr);
  return address === undefined ? "unix" : address.startsWith("::ffff:") ? address.slice(7) : address;
}

function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // Closed before.
  }
}
