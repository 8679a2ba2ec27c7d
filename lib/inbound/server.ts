/** Accepts connections, keeps the limits, and stops when told. */

import type { ListenerConfig, Service } from "../config/config.ts";
import { isListed } from "../policy/relay.ts";
import type { OctetConn } from "../smtp/octet_conn.ts";
import { BufferPool } from "../smtp/octet_input.ts";
import type { EndOfTurn } from "../system/end_of_turn.ts";
import { formatReply, type Reply, reply } from "../smtp/reply.ts";
import type { SocketTurn } from "../system/socket_turn.ts";
import { type TlsConn, tlsFacts } from "../tls/tls_conn.ts";
import { AcceptTrouble, isOutOfResources } from "./accept_trouble.ts";
import { type BoundListener, formatBind, type IncomingConn } from "./bind.ts";
import { admit } from "./client_certificate.ts";
import { Connection } from "./connection.ts";
import { ConnectionLimits } from "./connection_limits.ts";
import { freshPatience } from "./patience.ts";
import { ProxyHeaderError } from "./proxied.ts";
import { DEFAULT_TIMEOUTS, type InboundTimeouts, type Services, type Settings } from "./services.ts";
import { clientText, type Session } from "./session.ts";

/** How often silent connections are looked for. */
const SWEEP_MS = 1000;
/** Pause when there are no file descriptors: trying again at once would burn a core. */
const ACCEPT_PAUSE_MS = 200;

/** How long cut-off connections get to end. */
const ABORT_MS = 1000;

const encoder = new TextEncoder();

/** What the server is made of. */
export interface InboundServerOptions {
  /** Shared by all connections. */
  readonly services: Services;
  /** The configuration now; a new connection takes what it says. */
  readonly settings: () => Settings;
  /** True where STARTTLS can be offered. */
  readonly canStartTls: boolean;
  /** Shows whether a client talks before it is greeted. Absent: only a `greet_delay` does. */
  readonly socketTurn?: SocketTurn;
  /** When replies go out. Absent: each at once. */
  readonly endOfTurn?: Pick<EndOfTurn, "next">;
  /** Absent: `DEFAULT_TIMEOUTS`. */
  readonly timeouts?: InboundTimeouts;
}

/** A bound socket on which mail comes. */
type MailListener = BoundListener & { readonly config: { readonly service: Service } };

/** The receiving side of posthorn. */
export class InboundServer {
  readonly #options: InboundServerOptions;
  readonly #timeouts: InboundTimeouts;
  readonly #limits = new ConnectionLimits();
  readonly #pool = new BufferPool();
  readonly #connections = new Map<Connection, Promise<void>>();
  readonly #listeners: BoundListener[] = [];
  readonly #sweeping = new AbortController();
  /** Ends TLS handshakes and pauses that are under way. */
  readonly #handshakes = new AbortController();
  #isStopping = false;
  #stopped: Promise<void> | undefined;

  /** Makes a server that does not listen yet. */
  constructor(options: InboundServerOptions) {
    this.#options = options;
    this.#timeouts = options.timeouts ?? DEFAULT_TIMEOUTS;
    this.#sweep();
  }

  /** Open connections. */
  get connectionCount(): number {
    return this.#limits.total;
  }

  /** Serves a bound socket, which is for mail, until `stop`. */
  serve(listener: BoundListener): void {
    if (!isForMail(listener)) throw new TypeError("Cannot serve a listener that is not for mail");
    this.#listeners.push(listener);
    this.#acceptLoop(listener);
  }

  /**
   * Stops accepting; idle clients are told 421, commands that run are finished.
   *
   * @param graceMs What still runs after this is cut off: nothing of it was acknowledged.
   */
  stop(graceMs: number): Promise<void> {
    this.#stopped ??= this.#stop(graceMs);
    return this.#stopped;
  }

  async #stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    this.#handshakes.abort(new Error("the server is stopping"));
    for (const listener of this.#listeners) listener.close();
    for (const connection of this.#connections.keys()) connection.stop();
    const { clock } = this.#options.services;
    const timer = new AbortController();
    const done = Promise.allSettled(this.#connections.values()).then(() => timer.abort());
    await clock.sleep(graceMs, timer.signal).catch(() => {});
    for (const connection of this.#connections.keys()) connection.abort();
    // A disk that hangs must not keep the process: what it holds up was not acknowledged.
    await Promise.race([done, clock.sleep(ABORT_MS, timer.signal).catch(() => {})]);
    this.#sweeping.abort();
  }

  async #acceptLoop(listener: MailListener): Promise<void> {
    const { clock, logger } = this.#options.services;
    const trouble = new AcceptTrouble(clock, logger, formatBind(listener.config.bind));
    while (!this.#isStopping) {
      try {
        this.#welcome(await listener.accept(), listener.config);
        trouble.accepted();
      } catch (error) {
        if (this.#isStopping) return;
        const reason = error instanceof Error ? error.message : String(error);
        if (!isOutOfResources(error)) {
          logger.debug("A connection was gone before it was accepted: {reason}", { reason });
          continue;
        }
        trouble.failed(reason);
        await clock.sleep(ACCEPT_PAUSE_MS);
      }
    }
  }

  async #welcome(accepted: IncomingConn, config: MailListener["config"]): Promise<void> {
    const { clock, logger } = this.#options.services;
    const { signal } = this.#handshakes;
    const settings = this.#options.settings();
    let incoming = accepted;
    if (this.#options.services.isDraining?.() === true) return await this.#turnAway(incoming, config);
    // Behind a proxy the client is not known yet: until then only the total counts.
    let counted = accepted.identify === undefined ? countedAddress(accepted.remoteAddr, settings) : undefined;
    const over = this.#limits.enter(counted, settings.limits);
    if (over !== undefined) return await this.#refuse(incoming, config, over);
    let isServed = false;
    try {
      if (accepted.identify !== undefined) {
        incoming = await accepted.identify({ clock, signal });
        const address = countedAddress(incoming.remoteAddr, settings);
        if (!this.#limits.identify(address, settings.limits)) return await this.#refuse(incoming, config, "client");
        counted = address;
      }
      const conn = await incoming.open(signal);
      const isWelcome = config.clientCertificates === undefined ||
        await admit(conn, config, clientName(conn.remoteAddr), logger);
      isServed = isWelcome && this.#run(conn, config, settings, counted);
    } catch (error) {
      this.#noteFailure(incoming, error);
    } finally {
      if (!isServed) this.#limits.leave(counted);
    }
  }

  /** An operator drains the server: those who come later find it, or another one. */
  async #turnAway(incoming: IncomingConn, config: ListenerConfig): Promise<void> {
    this.#options.services.logger.info("Refused connection from {client}: no new mail is taken while draining", {
      client: clientName(incoming.remoteAddr),
    });
    await refuse(incoming, config, reply(421, "4.3.2", "This server takes no new mail for now; try again later"));
  }

  async #refuse(incoming: IncomingConn, config: ListenerConfig, over: "total" | "client"): Promise<void> {
    this.#options.services.logger.warning("Refused connection from {client}: too many connections {scope}", {
      client: clientName(incoming.remoteAddr),
      scope: over === "total" ? "in all" : "from this address",
    });
    await refuse(incoming, config, reply(421, "4.7.0", "Too many connections; try again later"));
  }

  #noteFailure({ remoteAddr }: IncomingConn, error: unknown): void {
    const { logger } = this.#options.services;
    const client = clientName(remoteAddr);
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof ProxyHeaderError && !this.#isStopping) {
      logger.warning("Closed connection from {client} on a listener with proxy_protocol: {reason}", { client, reason });
    } else logger.info("No session with {client}: {error}", { client, error: reason });
  }

  /** Starts a session and does not wait for its end. @returns False where it closed the connection instead. */
  #run(
    conn: OctetConn | TlsConn,
    { service, tls, clientCertificates }: MailListener["config"],
    settings: Settings,
    counted: string | undefined,
  ): boolean {
    if (this.#isStopping) {
      conn.close();
      return false;
    }
    const { services, canStartTls } = this.#options;
    const clientAddress = addressOf(conn.remoteAddr);
    const session: Session = {
      service,
      settings,
      clientAddress,
      isProxy: isListed(clientAddress, settings.xclientFrom),
      forwardedHelo: undefined,
      localAddress: addressOf(conn.localAddr),
      client: clientName(conn.remoteAddr),
      mayStartTls: tls === "starttls" && canStartTls,
      requestsCertificate: clientCertificates !== undefined,
      greeting: undefined,
      tls: "protocol" in conn ? tlsFacts(conn) : undefined,
      login: undefined,
      transaction: undefined,
      spent: freshPatience(services.clock.monotonic()),
    };
    const connection = new Connection({
      conn,
      session,
      services,
      pool: this.#pool,
      timeouts: this.#timeouts,
      endOfTurn: this.#options.endOfTurn,
    });
    const ended = connection.run(this.#pauseBeforeGreeting(session)).then(() => {
      this.#connections.delete(connection);
      this.#limits.leave(counted);
    });
    this.#connections.set(connection, ended);
    return true;
  }

  /** Servers must wait for our greeting, and those that do not are no servers; our users' programs are left alone. */
  #pauseBeforeGreeting({ service, clientAddress, isProxy, settings }: Session): (() => Promise<void>) | undefined {
    if (service !== "mx" || isProxy || isListed(clientAddress, settings.relayFrom)) return undefined;
    const { services: { clock }, socketTurn } = this.#options;
    const { greetDelayMs } = settings.mx;
    if (greetDelayMs !== undefined) return () => clock.sleep(greetDelayMs, this.#handshakes.signal);
    return socketTurn === undefined ? undefined : () => socketTurn.next();
  }

  #checkDeadline(connection: Connection, nowMs: number): void {
    try {
      connection.checkDeadline(nowMs);
    } catch (error) {
      this.#options.services.logger.error("Cannot end a silent connection: {error}", { error });
    }
  }

  async #sweep(): Promise<void> {
    const { clock } = this.#options.services;
    const { signal } = this.#sweeping;
    try {
      while (!signal.aborted) {
        await clock.sleep(SWEEP_MS, signal);
        const nowMs = clock.monotonic();
        for (const connection of this.#connections.keys()) this.#checkDeadline(connection, nowMs);
      }
    } catch {
      // Aborted: the server stopped.
    }
  }
}

function isForMail(listener: BoundListener): listener is MailListener {
  return listener.config.service !== "web";
}

/** Says why, where the client can read it, and closes. */
async function refuse(incoming: IncomingConn, { tls }: ListenerConfig, why: Reply): Promise<void> {
  try {
    if (tls === "implicit") return;
    const conn = await incoming.open();
    await conn.write(encoder.encode(formatReply(why)));
  } catch {
    // The client is gone already.
  } finally {
    incoming.close();
  }
}

/** What counts towards `connections_per_ip`: not the address that all clients behind a proxy share. */
function countedAddress(addr: Deno.Addr, { xclientFrom }: Settings): string | undefined {
  const address = addressOf(addr);
  return isListed(address, xclientFrom) ? undefined : address;
}

/** The address without port; IPv4 that came over an IPv6 socket as IPv4. */
function addressOf(addr: Deno.Addr): string | undefined {
  if (addr.transport !== "tcp" && addr.transport !== "udp") return undefined;
  return addr.hostname.startsWith("::ffff:") && addr.hostname.includes(".") ? addr.hostname.slice(7) : addr.hostname;
}

function clientName(addr: Deno.Addr): string {
  const address = addressOf(addr);
  return address === undefined ? "unix" : clientText(address, (addr as Deno.NetAddr).port);
}
