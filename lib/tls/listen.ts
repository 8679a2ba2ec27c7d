/** Listening for TLS from the first octet (RFC 8314 §3.3), in whichever of two ways this runtime can. */

import type { OctetConn } from "../smtp/octet_conn.ts";
import type { Certificates } from "./certificates.ts";
import { canUpgradeServer, upgradeServer } from "./server_tls.ts";
import { handshakeReason, type TlsConn, type TlsFacts, TlsHandshakeError } from "./tls_conn.ts";

/** Where to listen, and with what. */
export interface ImplicitTlsOptions {
  /** Address without brackets. */
  readonly hostname: string;
  /** 0: any free one. */
  readonly port: number;
  /** Called for each handshake, so that a reload shows at once. In native mode it is called only when the socket is bound. */
  readonly certificates: () => Certificates;
  /** Limit of a handshake. */
  readonly handshakeTimeoutMs: number;
  /** Asks for a certificate of the client (`UpgradeOptions`); not possible in native mode. */
  readonly requestsCertificate?: boolean;
  /** For tests; by default decided by the runtime. */
  readonly mode?: ImplicitTlsMode;
}

/**
 * `upgrade`: accept plain, then run TLS over it: certificates by SNI, protocol and cipher known.
 * `native`: the runtime's own TLS listener, for Deno before 2.8: one certificate, fixed until a restart.
 */
export type ImplicitTlsMode = "upgrade" | "native";

/** A bound socket whose connections begin with a TLS handshake. */
export interface ImplicitTlsListener {
  /** Where it is bound. */
  readonly addr: Deno.NetAddr;
  /** How it works on this runtime. */
  readonly mode: ImplicitTlsMode;
  /** Waits for a connection. Limits by address belong here, before the handshake costs anything. */
  accept(): Promise<AcceptedConn>;
  /** Stops listening; a waiting `accept` rejects. Accepted connections go on. */
  close(): void;
}

/** A connection before its handshake. */
export interface AcceptedConn {
  /** The peer. */
  readonly remoteAddr: Deno.NetAddr;
  /**
   * Runs the handshake; to be called once, and not in the accept loop, because the peer decides how long it takes.
   *
   * @throws {TlsHandshakeError} After closing the connection.
   */
  handshake(signal?: AbortSignal): Promise<TlsConn>;
  /** Closes it without a handshake. */
  close(): void;
}

/** Binds a socket for implicit TLS. Throws the errors of `Deno.listen`. */
export function listenImplicit(options: ImplicitTlsOptions): ImplicitTlsListener {
  const mode = options.mode ?? (canUpgradeServer ? "upgrade" : "native");
  return mode === "upgrade" ? listenUpgrading(options) : listenNative(options);
}

function listenUpgrading(
  { hostname, port, certificates, handshakeTimeoutMs, requestsCertificate = false }: ImplicitTlsOptions,
): ImplicitTlsListener {
  const listener = Deno.listen({ hostname, port });
  const accept = async (): Promise<AcceptedConn> => {
    const conn = await listener.accept();
    // As on plain listeners: else what follows the handshake waits 40 ms for the client to acknowledge the session tickets.
    conn.setNoDelay(true);
    return {
      remoteAddr: conn.remoteAddr,
      handshake: (signal) =>
        upgradeServer(conn, certificates(), {
          handshakeTimeoutMs,
          requestsCertificate,
          ...(signal === undefined ? {} : { signal }),
        }),
      close: () => conn.close(),
    };
  };
  return { addr: listener.addr, mode: "upgrade", accept, close: () => listener.close() };
}

/** Deno tells neither version nor cipher of its own TLS connections. */
const UNTOLD_FACTS: TlsFacts = { protocol: "TLS", cipher: "" };

function listenNative({ hostname, port, certificates, handshakeTimeoutMs }: ImplicitTlsOptions): ImplicitTlsListener {
  const { chain, key, serverEndPoint } = certificates().select(undefined);
  const facts: TlsFacts = { ...UNTOLD_FACTS, ...(serverEndPoint === undefined ? {} : { serverEndPoint }) };
  const listener = Deno.listenTls({ hostname, port, cert: chain, key });
  const accept = async (): Promise<AcceptedConn> => {
    const conn = await listener.accept();
    return {
      remoteAddr: conn.remoteAddr,
      handshake: (signal) => nativeHandshake(conn, facts, handshakeTimeoutMs, signal),
      close: () => conn.close(),
    };
  };
  return { addr: listener.addr, mode: "native", accept, close: () => listener.close() };
}

async function nativeHandshake(
  conn: Deno.TlsConn,
  facts: TlsFacts,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<TlsConn> {
  let cause: string | undefined;
  const stop = (reason: string): void => {
    cause = reason;
    closeQuietly(conn);
  };
  const timer = setTimeout(() => stop(`not done within ${timeoutMs / 1000} s`), timeoutMs);
  const abort = (): void => stop("the server is stopping");
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted) abort();
  try {
    await conn.handshake();
    return withFacts(conn, facts);
  } catch (error) {
    closeQuietly(conn);
    throw new TlsHandshakeError(cause ?? handshakeReason(error), { cause: error });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

function withFacts(conn: OctetConn, facts: TlsFacts): TlsConn {
  return {
    ...facts,
    remoteAddr: conn.remoteAddr,
    localAddr: conn.localAddr,
    read: (into) => conn.read(into),
    write: (octets) => conn.write(octets),
    close: () => closeQuietly(conn),
  };
}

function closeQuietly(conn: { close(): void }): void {
  try {
    conn.close();
  } catch {
    // Closed before.
  }
}
