/** Server-side TLS over an accepted connection: after STARTTLS (RFC 3207) and from the first octet (RFC 8314). */

import { TLSSocket } from "node:tls";
import type { SecureContext, TLSSocketOptions } from "node:tls";
import type { OctetConn } from "../smtp/octet_conn.ts";
import type { Certificate, Certificates } from "./certificates.ts";
import type { ClientAuthorities } from "./client_authorities.ts";
import { ConnDuplex } from "./conn_duplex.ts";
import { isAtLeast } from "./peer_chain.ts";
import { presentedCertificates } from "./presented_certificates.ts";
import { type ClientCertificate, handshakeReason, type TlsConn, TlsHandshakeError } from "./tls_conn.ts";

/** How a connection is upgraded. */
export interface UpgradeOptions {
  /** Limit of the whole handshake. */
  readonly handshakeTimeoutMs: number;
  /** Ends the handshake early, for instance at shutdown. */
  readonly signal?: AbortSignal;
  /**
   * Asks for a certificate of the client. It need not give one, and the handshake goes on with one that does not count:
   * what came is in `TlsFacts`. Without authorities in `Certificates` nothing is asked.
   */
  readonly requestsCertificate?: boolean;
}

/** How long `close` waits for a peer that does not take our last octets. */
const CLOSE_TIMEOUT_MS = 1000;

/** True where this runtime can start TLS on an accepted connection: Deno 2.8 and later. */
export const canUpgradeServer: boolean = isAtLeast(Deno.version.deno, 2, 8);

/**
 * Runs the server side of a TLS handshake on a connection, TLS 1.2 or 1.3 (RFC 8997).
 *
 * @param conn Belongs to the result from now on. After STARTTLS its user must have thrown away what the client sent
 *   behind the command (RFC 3207 §4.2 and CVE-2011-0411).
 * @param certificates The one that matches the name asked for is used, otherwise the first.
 * @throws {TlsHandshakeError} After closing the connection.
 */
export async function upgradeServer(
  conn: OctetConn,
  certificates: Certificates,
  { handshakeTimeoutMs, signal, requestsCertificate = false }: UpgradeOptions,
): Promise<TlsConn> {
  const carrier = new ConnDuplex(conn);
  const authorities = requestsCertificate ? certificates.clientAuthorities : undefined;
  const contextOf = ({ secureContext, requestingContext }: Certificate): SecureContext =>
    authorities === undefined ? secureContext : requestingContext ?? secureContext;
  let shown: Certificate = certificates.select(undefined);
  const options: TLSSocketOptions = {
    isServer: true,
    secureContext: contextOf(shown),
    ...(authorities === undefined ? {} : { requestCert: true, rejectUnauthorized: false }),
    SNICallback: (name: string, done: (error: Error | null, context?: SecureContext) => void): void => {
      shown = certificates.select(name);
      done(null, contextOf(shown));
    },
  };
  // The types know net.Socket only; node:tls takes any Duplex (Node documentation of `new tls.TLSSocket`).
  const socket = new TLSSocket(carrier as unknown as ConstructorParameters<typeof TLSSocket>[0], options);
  const tls = new ServerTlsConn(conn, carrier, socket);
  try {
    await tls.handshake(handshakeTimeoutMs, signal);
    // A resumed session shows no certificate: that of its first handshake counts, and may have been replaced since.
    if (shown.serverEndPoint !== undefined && !socket.isSessionReused()) tls.serverEndPoint = shown.serverEndPoint;
    if (authorities !== undefined) tls.judgeClient(authorities);
    return tls;
  } catch (error) {
    tls.abandon();
    throw error instanceof TlsHandshakeError ? error : new TlsHandshakeError(handshakeReason(error), { cause: error });
  }
}

/** Pull-style reads and writes on top of a TLSSocket. No event of it is ever left without a listener. */
class ServerTlsConn implements TlsConn {
  readonly remoteAddr: Deno.Addr;
  readonly localAddr: Deno.Addr;
  protocol = "TLS";
  cipher = "";
  serverName?: string;
  serverEndPoint?: Uint8Array;
  clientCertificate?: ClientCertificate;
  refusedCertificate?: string;
  readonly #carrier: ConnDuplex;
  readonly #socket: TLSSocket;
  /** Why there is no more to read or write. */
  #failure: Error | undefined;
  #handshaking = true;
  #ended = false;
  #closed = false;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;

  constructor(conn: OctetConn, carrier: ConnDuplex, socket: TLSSocket) {
    this.remoteAddr = conn.remoteAddr;
    this.localAddr = conn.localAddr;
    this.#carrier = carrier;
    this.#socket = socket;
    carrier.heldOctets = (): number => socket.readableLength;
    const fail = (error?: Error): void => this.#fail(error);
    carrier.on("error", fail).on("close", () => fail());
    socket.on("error", fail).on("close", () => fail());
    socket.on("end", () => {
      this.#ended = true;
      this.#wake();
    });
    socket.on("drain", () => this.#wake());
    socket.on("readable", () => {
      // In the handshake there is nothing to read but the end, and the stream tells that only to a reader.
      if (!this.#handshaking) this.#wake();
      else if (socket.readableLength === 0) socket.read();
    });
  }

  async handshake(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = (): void => reject(new TlsHandshakeError("the server is stopping"));
    const timer = setTimeout(() => reject(new TlsHandshakeError(`not done within ${timeoutMs / 1000} s`)), timeoutMs);
    this.#socket.once("secure", resolve);
    this.#wakeReader = (): void => reject(this.#failure ?? new TlsHandshakeError("the client closed the connection"));
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) abort();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      this.#wakeReader = undefined;
      this.#handshaking = false;
    }
    this.#describe();
  }

  /** Notes whether the certificate of the client counts, where it gave one. */
  judgeClient(authorities: ClientAuthorities): void {
    const presented = presentedCertificates(this.#socket);
    if (presented === undefined) return;
    const verification = authorities.verify(presented);
    if (verification.kind === "verified") this.clientCertificate = verification.certificate;
    else this.refusedCertificate = verification.reason;
  }

  async read(into: Uint8Array): Promise<number | null> {
    while (true) {
      if (this.#closed) throw new Deno.errors.BadResource("Connection is closed");
      const available = this.#socket.readableLength;
      const chunk: Uint8Array | null = available > into.length ? this.#socket.read(into.length) : this.#socket.read();
      if (chunk !== null && chunk.length > 0) {
        into.set(chunk);
        this.#carrier.release();
        return chunk.length;
      }
      if (this.#ended) return null;
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise<void>((resolve) => this.#wakeReader = resolve);
    }
  }

  async write(octets: Uint8Array): Promise<number> {
    this.#refuseWhenOver();
    // The stream may encrypt later, and the caller may use its buffer again at once: hence the copy.
    if (!this.#socket.write(octets.slice())) {
      while (this.#socket.writableNeedDrain && this.#failure === undefined && !this.#closed) {
        await new Promise<void>((resolve) => this.#wakeWriter = resolve);
      }
      this.#refuseWhenOver();
    }
    return octets.length;
  }

  /** Sends what was written and a close_notify alert; the peer may go on sending (RFC 8446 §6.1). */
  closeWrite(): Promise<void> {
    this.#socket.end();
    return Promise.resolve();
  }

  /** Sends what was written and a close_notify alert (RFC 8446 §6.1), then closes the connection. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#wake();
    if (this.#failure !== undefined) return this.abandon();
    const timer = setTimeout(() => this.abandon(), CLOSE_TIMEOUT_MS);
    Deno.unrefTimer(timer);
    const finish = (): void => {
      this.#carrier.written().then(() => {
        clearTimeout(timer);
        this.abandon();
      });
    };
    this.#socket.once("finish", finish).once("close", finish);
    this.#socket.end();
  }

  /** Closes the connection at once. */
  abandon(): void {
    this.#closed = true;
    this.#socket.destroy();
    this.#carrier.destroy();
    this.#wake();
  }

  #describe(): void {
    this.protocol = this.#socket.getProtocol() ?? "TLS";
    this.cipher = this.#socket.getCipher()?.standardName ?? "";
    const name: unknown = "servername" in this.#socket ? this.#socket.servername : undefined;
    if (typeof name === "string" && name !== "") this.serverName = name;
  }

  #refuseWhenOver(): void {
    if (this.#closed) throw new Deno.errors.BadResource("Connection is closed");
    if (this.#failure !== undefined) throw this.#failure;
  }

  #fail(error = new Deno.errors.ConnectionReset("Connection was closed")): void {
    this.#failure ??= error;
    this.#wake();
  }

  #wake(): void {
    const [reader, writer] = [this.#wakeReader, this.#wakeWriter];
    this.#wakeReader = this.#wakeWriter = undefined;
    reader?.();
    writer?.();
  }
}
