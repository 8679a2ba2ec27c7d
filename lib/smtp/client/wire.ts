/**
 * A socket as the client wants it: octets are asked for, buffered within a bound, and every wait has a time limit.
 *
 * It is made of node:net and node:tls because opportunistic TLS has to take certificates as they come (RFC 7435), which
 * `Deno.startTls` does not.
 */

import net from "node:net";
import tls from "node:tls";
import type { Clock } from "../../system/clock.ts";
import { canJudgePeers, peerChain } from "../../tls/peer_chain.ts";
import { ClientError, type ClientFault, errorText } from "./client_error.ts";

/** Where a peer is. */
export type WireAddress =
  | {
    readonly host: string;
    readonly port: number;
    /** Our own address to connect from, in its one spelling (RFC 5952 §4); absent: the system chooses. */
    readonly source?: string;
  }
  | { readonly socketPath: string };

/** How a TLS session is to be made. */
export interface WireTls {
  /** For SNI and, with `isVerified`, the name the certificate must have: a host name or an IP address. */
  readonly name: string;
  /** The certificate must be valid for the name; else any will do. */
  readonly isVerified: boolean;
  /** PEM; default: those that Deno comes with or is told to use. */
  readonly caCertificates?: readonly string[];
  /**
   * Judges the certificates that the peer showed (DER, its own first), in place of `isVerified`. Returns what is wrong
   * with them. Needs a runtime that proves possession of the key (`canJudgePeers`).
   */
  readonly judge?: (chain: readonly Uint8Array[]) => ClientError | undefined;
  /** What {@linkcode Wire.tlsInfo} says about the proof that was asked for, e.g. `DANE`. */
  readonly proof?: string;
}

/** Unread octets beyond this stop reading from the socket. No reply is longer. */
const BUFFER_OCTETS = 64 * 1024;
/** The alarm never sleeps longer, so that the next limit, if it is shorter, seldom has to replace it. */
const ALARM_MS = 60_000;

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset by peer",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network unreachable",
  ETIMEDOUT: "connection timed out",
  EPIPE: "connection closed by peer",
  ENOENT: "no such socket",
  EACCES: "permission denied",
  EADDRNOTAVAIL: "no free port, or no address of this machine to connect from",
  EMFILE: "too many open files on our side",
  ENFILE: "too many open files on our side",
  ENOBUFS: "no memory for sockets on our side",
};
/** What says nothing about the peer. Without a network, or without IPv6, there is no route to anybody. */
const OURS: ReadonlySet<string> = new Set([
  "EADDRNOTAVAIL",
  "EAFNOSUPPORT",
  "EMFILE",
  "ENETDOWN",
  "ENETUNREACH",
  "ENFILE",
  "ENOBUFS",
]);

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: ClientError) => void;
}

/** One connection, in the clear or under TLS. */
export class Wire {
  readonly #clock: Clock;
  readonly #source: string | undefined;
  #socket: net.Socket;
  #chunks: Uint8Array[] = [];
  #bufferedOctets = 0;
  #failure: ClientError | undefined;
  #reading: Waiter | undefined;
  #draining: Waiter | undefined;
  #opening: Waiter | undefined;
  #deadline = Infinity;
  #wakeAt = Infinity;
  #alarm: AbortController | undefined;
  #phase: "connecting" | "open" | "handshake" | "fresh TLS" = "connecting";
  #tls: tls.TLSSocket | undefined;
  #proof: string | undefined;
  /** The handshake takes any certificate. */
  #isLenient = false;
  /** What TLS runs on: a handshake that is given up leaves it open. */
  #plain: net.Socket | undefined;
  #isReading = false;
  #isSparing = false;

  /** Begins to connect; {@linkcode opened} tells when it is done. */
  constructor(address: WireAddress, clock: Clock) {
    this.#clock = clock;
    this.#source = "source" in address ? address.source : undefined;
    this.#socket = "socketPath" in address
      ? net.connect({ path: address.socketPath })
      : net.connect({ host: address.host, port: address.port, ...(this.#source && { localAddress: this.#source }) });
    this.#socket.pause();
    this.#listen(this.#socket, "connect");
  }

  /** The TLS protocol, cipher and proof, e.g. `TLSv1.3 TLS_AES_256_GCM_SHA384, DANE`; undefined in the clear. */
  get tlsInfo(): string | undefined {
    if (this.#tls === undefined) return undefined;
    // Deno before 2.8 tells neither.
    const protocol = this.#tls.getProtocol?.() ?? "TLS";
    const cipher: { name?: string } | undefined = this.#tls.getCipher?.();
    const text = `${protocol} ${cipher?.name ?? ""}`.trim();
    return this.#proof === undefined ? text : `${text}, ${this.#proof}`;
  }

  /** True while nothing went wrong and the peer has not closed. */
  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /** True where octets arrived that nobody has read. */
  get hasUnread(): boolean {
    return this.#bufferedOctets > 0;
  }

  /** Waits for the connection; once there is one, it returns at once. @throws {ClientError} */
  async opened(limitMs: number): Promise<void> {
    if (this.#phase !== "connecting" && this.isOpen) return;
    await this.#untilOpen(limitMs);
    this.#socket.setNoDelay(true);
  }

  /**
   * Takes the octets that came since the last call, or waits for some. Wrap it in {@linkcode startLimit} and
   * {@linkcode endLimit}.
   *
   * @throws {ClientError} When nothing is left to read and the connection is of no use any more.
   */
  async read(): Promise<Uint8Array> {
    if (this.#chunks.length === 0) {
      if (this.#failure !== undefined) throw this.#failure;
      this.#startReading();
      await new Promise<void>((resolve, reject) => this.#reading = { resolve, reject });
    }
    return this.readBuffered() ?? new Uint8Array(0);
  }

  /** Takes what came already, without waiting; undefined where there is nothing. */
  readBuffered(): Uint8Array | undefined {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) this.#bufferedOctets -= chunk.length;
    return chunk;
  }

  /**
   * Reads no further than what is asked for, until {@linkcode startTls}. To be called before the last octets in the
   * clear are asked for: a read that is under way would take octets of the handshake from the TLS socket (Deno before 2.8).
   */
  readSparingly(): void {
    this.#isSparing = true;
  }

  /**
   * Sends octets, which must not change until they have left.
   *
   * @param hasLeft Called when they have; never where the connection fails before.
   * @returns Undefined where more may be sent at once, else a promise to wait for (back-pressure), at most `limitMs`.
   * @throws {ClientError} Where the connection is of no use any more.
   */
  write(octets: Uint8Array, limitMs: number, hasLeft?: () => void): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    const isAccepted = hasLeft === undefined
      ? this.#socket.write(octets)
      : this.#socket.write(octets, (error) => error instanceof Error ? undefined : hasLeft());
    return isAccepted ? undefined : this.#drained(limitMs);
  }

  /**
   * Makes TLS of the connection, as client.
   *
   * Octets that came before are refused: they were sent in the clear, by anybody (RFC 3207 §4.2, CVE-2011-0411).
   *
   * @throws {ClientError} `tls`, or `certificate` where only the name is not proved.
   */
  async startTls(options: WireTls, limitMs: number): Promise<void> {
    if (this.hasUnread) {
      throw this.fail(new ClientError("tls", "Peer sent octets in the clear after its go-ahead for TLS"));
    }
    if (this.#failure !== undefined) throw this.#failure;
    const plain = this.#plain = this.#socket;
    plain.removeAllListeners();
    // What breaks the connection reaches the TLS socket too; without a listener here it would be uncaught.
    plain.on("error", () => {});
    this.#phase = "handshake";
    this.#isReading = this.#isSparing = false;
    const { name, isVerified, caCertificates, judge, proof } = options;
    if (judge !== undefined && !canJudgePeers) throw this.fail(new ClientError("tls", "this runtime proves no keys"));
    this.#isLenient = !isVerified;
    const secure = tls.connect({
      socket: plain,
      ...(net.isIP(name) === 0 ? { servername: name } : { host: name }),
      rejectUnauthorized: isVerified,
      ...(caCertificates === undefined ? {} : { ca: [...caCertificates] }),
    });
    this.#socket = this.#tls = secure;
    this.#listen(secure, "secureConnect");
    await this.#untilOpen(limitMs);
    const problem = judge?.(peerChain(secure));
    if (problem !== undefined) throw this.fail(problem);
    this.#proof = proof;
    this.#phase = "fresh TLS";
  }

  /** From now the peer has this long. A later call replaces it. */
  startLimit(limitMs: number): void {
    const now = this.#clock.monotonic();
    this.#deadline = now + limitMs;
    if (this.#deadline < this.#wakeAt) this.#setAlarm(now, Math.min(limitMs, ALARM_MS));
  }

  /** The peer did what it was waited for. */
  endLimit(): void {
    this.#deadline = Infinity;
  }

  /** Ends the connection at once; whoever waits gets the error, later calls too. Returns the first error that there was. */
  fail(error: ClientError): ClientError {
    if (this.#failure !== undefined) return this.#failure;
    this.#failure = error;
    this.#alarm?.abort();
    this.#socket.destroy();
    this.#plain?.destroy();
    for (const waiter of [this.#reading, this.#draining, this.#opening]) waiter?.reject(error);
    this.#reading = this.#draining = this.#opening = undefined;
    return error;
  }

  #listen(socket: net.Socket, openEvent: "connect" | "secureConnect"): void {
    socket.on("drain", () => this.#settle("draining"));
    socket.on("error", (error: Error) => this.fail(this.#explain(error)));
    socket.on("end", () => this.fail(this.#explain(undefined)));
    socket.on("close", () => this.fail(this.#explain(undefined)));
    socket.on(openEvent, () => {
      if (openEvent === "connect") this.#checkSource();
      if (openEvent === "connect") this.#phase = "open";
      this.#settle("opening");
    });
  }

  /** Deno before 2.8 connects from where it likes. */
  #checkSource(): void {
    const { localAddress } = this.#socket;
    if (this.#source === undefined || localAddress === this.#source) return;
    const text = `this version of Deno connects from ${localAddress} instead of ${this.#source}`;
    this.fail(new ClientError("local", text));
  }

  /** Not before somebody asks: see {@linkcode readSparingly}. */
  #startReading(): void {
    if (!this.#isReading) this.#socket.on("data", (octets: Uint8Array) => this.#take(octets));
    this.#isReading = true;
    if (this.#socket.isPaused()) this.#socket.resume();
  }

  #take(octets: Uint8Array): void {
    if (octets.length === 0) return;
    if (this.#phase === "fresh TLS") this.#phase = "open";
    this.#chunks.push(octets);
    this.#bufferedOctets += octets.length;
    if (this.#isSparing || this.#bufferedOctets > BUFFER_OCTETS) this.#socket.pause();
    this.#settle("reading");
  }

  #settle(which: "reading" | "draining" | "opening"): void {
    const waiter = which === "reading" ? this.#reading : which === "draining" ? this.#draining : this.#opening;
    if (which === "reading") this.#reading = undefined;
    else if (which === "draining") this.#draining = undefined;
    else this.#opening = undefined;
    waiter?.resolve();
  }

  async #untilOpen(limitMs: number): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    this.startLimit(limitMs);
    await new Promise<void>((resolve, reject) => this.#opening = { resolve, reject });
    this.endLimit();
  }

  async #drained(limitMs: number): Promise<void> {
    this.startLimit(limitMs);
    await new Promise<void>((resolve, reject) => this.#draining = { resolve, reject });
    this.endLimit();
  }

  #setAlarm(now: number, ms: number): void {
    this.#alarm?.abort();
    const alarm = this.#alarm = new AbortController();
    this.#wakeAt = now + ms;
    this.#clock.sleep(ms, alarm.signal).then(() => this.#wake(), () => {});
  }

  #wake(): void {
    this.#wakeAt = Infinity;
    if (this.#deadline === Infinity || this.#failure !== undefined) return;
    const now = this.#clock.monotonic();
    if (this.#deadline > now) return this.#setAlarm(now, Math.min(this.#deadline - now, ALARM_MS));
    const faults = { connecting: "connect", handshake: "tls", "fresh TLS": "timeout", open: "timeout" } as const;
    this.fail(new ClientError(faults[this.#phase], "time limit exceeded"));
  }

  /** Before Deno 2.8 a handshake seems done before it is: its failure then shows up at the first read. */
  #explain(error: Error | undefined): ClientError {
    const code = error !== undefined && "code" in error ? String(error.code) : "";
    // Deno 2.9 says EINVAL where an address cannot be bound to.
    if (this.#source !== undefined && error !== undefined && /\bbind\b/.test(error.message)) {
      return new ClientError("local", `the source address ${this.#source} is not one of this machine`, {
        cause: error,
      });
    }
    const fault = this.#faultOf(error, code);
    // Deno names what it found wrong with the certificate, even where any certificate would do and the handshake failed.
    const text = error === undefined
      ? "connection closed by peer"
      : fault === "certificate" && this.#isLenient
      ? "the peer did not prove that it has the key of its certificate, or the key is too weak"
      : WORDS[code] ?? errorText(error);
    return new ClientError(fault, text, { cause: error });
  }

  #faultOf(error: Error | undefined, code: string): ClientFault {
    if (this.#phase === "connecting") return OURS.has(code) ? "local" : "connect";
    if (this.#phase === "open" || (this.#phase === "fresh TLS" && (error === undefined || code in WORDS))) {
      return "closed";
    }
    return error !== undefined && /certificate|altname|\bCERT_/i.test(`${error.message} ${code}`)
      ? "certificate"
      : "tls";
  }
}
