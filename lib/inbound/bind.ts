/** Binds the sockets of the configuration, before privileges are dropped. */

import type { BindAddress, ListenerConfig } from "../config/config.ts";
import type { OctetConn } from "../smtp/octet_conn.ts";
import { type Certificates } from "../tls/certificates.ts";
import { listenImplicit } from "../tls/listen.ts";
import { canUpgradeServer, upgradeServer } from "../tls/server_tls.ts";
import type { TlsConn } from "../tls/tls_conn.ts";
import { behindProxies, type HeaderWait } from "./proxied.ts";

/** How long a client may take for a TLS handshake. */
export const HANDSHAKE_TIMEOUT_MS = 30_000;

/** An accepted connection that may have a TLS handshake to do. */
export interface IncomingConn {
  /** Known before any handshake; of transport `unix` for a Unix socket. */
  readonly remoteAddr: Deno.Addr;
  /**
   * There behind a proxy only, and then to be called before `open`: gives the connection as one of the client that the
   * proxy names.
   *
   * @throws {ProxyHeaderError} After closing the connection.
   */
  identify?(wait: HeaderWait): Promise<IncomingConn>;
  /** Gives the connection, after the handshake where the listener is for implicit TLS. */
  open(signal?: AbortSignal): Promise<OctetConn | TlsConn>;
  /** Closes a connection that was not opened. */
  close(): void;
}

/** A bound socket. */
export interface BoundListener {
  /** The entry of `listeners` it was bound for. */
  readonly config: ListenerConfig;
  /** Where it is bound: of interest where the configuration said port 0. */
  readonly addr: Deno.Addr;
  /** Waits for a client, and for no handshake. Rejects once the listener is closed, and when descriptors run out. */
  accept(): Promise<IncomingConn>;
  /** Accepts nobody any more; accepted connections stay. */
  close(): void;
}

/** Thrown where a socket cannot be bound; the message says which and what to do. */
export class BindError extends Error {
  /** Stands in front of the message in logs and stack traces. */
  override readonly name = "BindError";
}

/**
 * Binds one socket.
 *
 * @param certificates Called for each handshake.
 * @param canUpgrade Whether this runtime can start TLS on an accepted connection.
 * @throws {BindError} Where the address is taken, not ours, or needs more rights.
 */
export async function bindListener(
  config: ListenerConfig,
  certificates: () => Certificates,
  canUpgrade: boolean = canUpgradeServer,
): Promise<BoundListener> {
  try {
    if (config.clientCertificates !== undefined && !canUpgrade) throw new Error(needsUpgrade("client_certificates"));
    if (config.bind.kind === "unix") return await bindUnix(config, config.bind.path);
    if (config.proxyProtocol !== undefined) return bindProxied(config, config.proxyProtocol, certificates, canUpgrade);
    return config.tls === "implicit" ? bindTls(config, certificates) : bindPlain(config);
  } catch (error) {
    throw new BindError(`Cannot listen on ${formatBind(config.bind)}: ${explain(error)}`, { cause: error });
  }
}

/** `host:port`, `[host]:port` or `unix:path`. */
export function formatBind(bind: BindAddress): string {
  if (bind.kind === "unix") return `unix:${bind.path}`;
  return bind.host.includes(":") ? `[${bind.host}]:${bind.port}` : `${bind.host}:${bind.port}`;
}

function bindPlain(config: ListenerConfig): BoundListener {
  const listener = listen(config.bind);
  const accept = async (): Promise<IncomingConn> => {
    const conn = await listener.accept();
    if (conn.remoteAddr.transport === "tcp") (conn as Deno.TcpConn).setNoDelay(true);
    return { remoteAddr: conn.remoteAddr, open: () => Promise.resolve(conn), close: () => conn.close() };
  };
  return { config, addr: listener.addr, accept, close: () => listener.close() };
}

function listen(bind: BindAddress): Deno.Listener {
  if (bind.kind === "tcp") return Deno.listen({ hostname: bind.host, port: bind.port });
  return Deno.listen({ transport: "unix", path: bind.path }) as unknown as Deno.Listener;
}

/**
 * Who may enter the folder may connect, as to the LMTP sockets of other servers: the MTA in front runs as a user of its
 * own, and the umask of whoever starts posthorn is no place to say so. A Unix socket is never a reason to relay.
 */
async function bindUnix(config: ListenerConfig, path: string): Promise<BoundListener> {
  await removeStaleSocket(path);
  const listener = bindPlain(config);
  try {
    await Deno.chmod(path, 0o666);
  } catch (error) {
    listener.close();
    throw error;
  }
  return listener;
}

/** A socket file stays behind after a crash: it is removed where nobody answers on it. @throws {Deno.errors.AddrInUse} Somebody does. */
export async function removeStaleSocket(path: string): Promise<void> {
  try {
    if (!(await Deno.lstat(path)).isSocket) return;
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    if (error instanceof Deno.errors.ConnectionRefused) return await Deno.remove(path);
    throw error;
  }
  throw new Deno.errors.AddrInUse(path);
}

function bindTls(config: ListenerConfig, certificates: () => Certificates): BoundListener {
  if (config.bind.kind !== "tcp") throw new Error("implicit TLS needs a TCP address");
  const { host, port } = config.bind;
  const listener = listenImplicit({
    hostname: host,
    port,
    certificates,
    handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
    requestsCertificate: config.clientCertificates !== undefined,
  });
  const accept = async (): Promise<IncomingConn> => {
    const conn = await listener.accept();
    return { remoteAddr: conn.remoteAddr, open: (signal) => conn.handshake(signal), close: () => conn.close() };
  };
  return { config, addr: listener.addr, accept, close: () => listener.close() };
}

function bindProxied(
  config: ListenerConfig,
  proxies: readonly string[],
  certificates: () => Certificates,
  canUpgrade: boolean,
): BoundListener {
  if (config.tls !== "implicit") return behindProxies(bindPlain(config), proxies);
  if (!canUpgrade) {
    throw new Error(`${needsUpgrade("implicit TLS with proxy_protocol")}; let the proxy do the TLS`);
  }
  return behindProxies(bindPlain(config), proxies, (conn, signal) =>
    upgradeServer(conn, certificates(), {
      handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
      requestsCertificate: config.clientCertificates !== undefined,
      ...(signal === undefined ? {} : { signal }),
    }));
}

function needsUpgrade(what: string): string {
  return `${what} needs Deno 2.8 or later, and this is ${Deno.version.deno}`;
}

function explain(error: unknown): string {
  if (error instanceof Deno.errors.AddrInUse) {
    return "the address is in use; is posthorn or another mail server running (ss -ltnp)?";
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return "permission denied; start as root with `user`, give CAP_NET_BIND_SERVICE, or use a port above 1023";
  }
  if (error instanceof Deno.errors.AddrNotAvailable) return "this machine does not have the address";
  return error instanceof Error ? error.message : String(error);
}
