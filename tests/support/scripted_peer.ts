/**
 * A real SMTP or LMTP server on loopback that does what a test tells it: by options, or by the local part of a recipient.
 *
 * Local parts: `reply-NNN` gets that code at RCPT; `dot-NNN` at the final dot (LMTP: only that recipient); `drop-rcpt`,
 * `drop-data` and `drop-dot` lose the connection at RCPT, after 354, and after the final dot without a reply; `garbage`,
 * `overlong` and `silent` answer RCPT with octets that are no reply, with a reply without end, and no more at all. Many
 * more faults, by local part and for whole peers, are in `bad_peer.ts`.
 */

import { PeerConversation } from "./scripted_peer_conversation.ts";

/** The points where the peer answers. */
export type PeerPoint =
  | "greeting"
  | "ehlo"
  | "helo"
  | "starttls"
  | "auth"
  | "mail"
  | "rcpt"
  | "data"
  | "dot"
  | "rset"
  | "quit"
  | "xclient"
  /** Each chunk of BDAT, when its octets are in; the answer to the last one is that to `dot`. */
  | "chunk";

/** Octets that need not be a reply. */
export interface PeerOctets {
  /** Latin-1, sent as they are: nothing is put behind. */
  readonly octets: string;
  /** Again and again, until the client closes. */
  readonly isEndless?: boolean;
  /** One octet at a time, and this many milliseconds before the next. */
  readonly everyMs?: number;
  /** What comes after them; `deaf` reads nothing any more; default: the conversation goes on. */
  readonly then?: "drop" | "silent" | "deaf";
}

/** A whole reply without the last CRLF; `drop` closes the connection, `silent` answers nothing any more. */
export type PeerSaid = string | PeerOctets;

/** What is said at a point; undefined: the usual. */
export type PeerAnswer = PeerSaid | ((line: string, conversation: PeerConversation) => PeerSaid | undefined);

/**
 * What comes after 220 to STARTTLS instead of a handshake: other octets, replies in the clear behind the 220, nothing, an
 * alert of TLS, or the end of the connection.
 */
export type TlsFault = "garbage" | "injection" | "silence" | "alert" | "closed";

/** What the peer offers and does. */
export interface PeerOptions {
  /** Default 127.0.0.1; other addresses of 127/8 allow several peers on one port. */
  readonly host?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** A Unix socket instead of a port. */
  readonly socketPath?: string;
  readonly protocol?: "smtp" | "lmtp";
  /** EHLO keywords; {@linkcode DEFAULT_EXTENSIONS} when absent. STARTTLS and AUTH are added by the options below. */
  readonly extensions?: readonly string[];
  /** Default: none. The certificate is that of tests/fixtures/tls, valid for `mx.test` (and more: see there). */
  readonly tls?: "starttls" | "implicit";
  /** Default: that of tests/fixtures/tls. */
  readonly certificate?: { readonly chain: string; readonly key: string };
  readonly tlsFault?: TlsFault;
  /** Closes the connection without a word after so many transactions. */
  readonly maxTransactions?: number;
  /** How long a conversation that has come to rest by a fault keeps its connection; default: until the client closes. */
  readonly restMs?: number;
  /** How often the fault that a local part chooses happens to it; default: always. */
  readonly faultTimes?: number;
  /** Told of each connection. */
  readonly onConnection?: () => void;
  /** Told of each transaction that reached its final dot. */
  readonly onMessage?: (message: ReceivedMessage) => void;
  /** Offers AUTH PLAIN LOGIN and accepts this pair. */
  readonly login?: { readonly username: string; readonly password: string; readonly mechanisms?: string };
  readonly replies?: Partial<Record<PeerPoint, PeerAnswer>>;
}

/** One transaction that reached its final dot, whatever was answered then. */
export interface ReceivedMessage {
  /** Argument of MAIL, e.g. `FROM:<a@b.test> SIZE=5`. */
  readonly mail: string;
  /** Arguments of the accepted RCPT commands, e.g. `TO:<c@d.test>`. */
  readonly recipients: readonly string[];
  /** Dot-unstuffed, with the last CRLF. */
  readonly content: Uint8Array;
  readonly isTls: boolean;
  /** 1 for the first connection. */
  readonly connection: number;
  readonly login?: string;
  /** True where the answer to the final dot was 250 for at least one recipient. */
  readonly isAccepted: boolean;
}

/** What a peer offers when the test does not say. */
export const DEFAULT_EXTENSIONS: readonly string[] = [
  "PIPELINING",
  "SIZE 10485760",
  "8BITMIME",
  "SMTPUTF8",
  "ENHANCEDSTATUSCODES",
  "DSN",
];

const TLS_FOLDER = new URL("../fixtures/tls/", import.meta.url);

/** A PEM file of tests/fixtures/tls. */
export type TestPem = "ca.pem" | "certificate.pem" | "key.pem" | "expired_ca.pem" | "expired.pem" | "expired.key.pem";

/** Reads it. */
export function readTestPem(name: TestPem): string {
  return Deno.readTextFileSync(new URL(name, TLS_FOLDER));
}

/** A running peer. */
export class ScriptedPeer implements AsyncDisposable {
  readonly options: PeerOptions;
  /** Transactions in the order of their final dots. */
  readonly messages: ReceivedMessage[] = [];
  /** Every command line of every connection, in order. */
  readonly commands: string[] = [];
  /** What each read of a socket gave before DATA content: shows what was sent in one write. */
  readonly reads: string[] = [];
  /** Connections so far. */
  connections = 0;
  /** Conversations so far that came to rest by a fault. */
  stalls = 0;
  readonly #faultsLeft: Map<string, number> = new Map();
  readonly #end = Promise.withResolvers<void>();
  readonly #listener: Deno.Listener;
  readonly #tlsListener: Deno.TlsListener;
  readonly #open = new Set<Disposable>();
  readonly #running = new Set<Promise<void>>();
  readonly #talks = new Set<Promise<void>>();
  readonly #waiting: { readonly count: number; readonly resolve: () => void }[] = [];
  readonly #waitingForStalls: { readonly count: number; readonly resolve: () => void }[] = [];

  /** Use {@linkcode startPeer}. */
  constructor(options: PeerOptions) {
    this.options = options;
    const { certificate } = options;
    const pair = certificate === undefined
      ? { cert: readTestPem("certificate.pem"), key: readTestPem("key.pem") }
      : { cert: certificate.chain, key: certificate.key };
    const at = { hostname: options.host ?? "127.0.0.1", port: options.port ?? 0 };
    // STARTTLS goes through a second listener: Deno cannot upgrade the server side of a connection.
    this.#tlsListener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...pair });
    if (options.socketPath !== undefined) {
      this.#listener = Deno.listen({ transport: "unix", path: options.socketPath }) as unknown as Deno.Listener;
    } else {
      this.#listener = options.tls === "implicit" ? Deno.listenTls({ ...at, ...pair }) : Deno.listen(at);
    }
    this.#running.add(this.#accept());
  }

  /** The port it listens on. */
  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  /** The address it listens on. */
  get host(): string {
    return this.options.host ?? "127.0.0.1";
  }

  /** Resolves when the peer is disposed of. */
  get ended(): Promise<void> {
    return this.#end.promise;
  }

  /** Content of the messages as text. */
  get contents(): string[] {
    return this.messages.map((message) => new TextDecoder().decode(message.content));
  }

  /** Resolves when at least `count` messages came in. */
  received(count: number): Promise<void> {
    if (this.messages.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count, resolve }));
  }

  /** Waits up to a second for the connections so far to end; says whether they did. */
  async haveEnded(): Promise<boolean> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<boolean>((resolve) => timer = setTimeout(() => resolve(false), 1000));
    const ended = Promise.all(this.#talks).then(() => true);
    const isInTime = await Promise.race([ended, late]);
    clearTimeout(timer);
    return isInTime;
  }

  /** Resolves when at least `count` conversations have come to rest by a fault: now only a time limit helps the client. */
  stalled(count: number): Promise<void> {
    if (this.stalls >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waitingForStalls.push({ count, resolve }));
  }

  /** Whether the fault of a local part happens once more; where it does not, it is over for good. */
  spendFault(localPart: string): boolean {
    const left = this.#faultsLeft.get(localPart) ?? this.options.faultTimes ?? Infinity;
    this.#faultsLeft.set(localPart, left - 1);
    return left > 0;
  }

  /** Called by a conversation that comes to rest by a fault. */
  noteStall(): void {
    this.stalls++;
    for (const { count, resolve } of this.#waitingForStalls) if (this.stalls >= count) resolve();
  }

  /** Called by a conversation at the final dot. */
  record(message: ReceivedMessage): void {
    this.messages.push(message);
    this.options.onMessage?.(message);
    for (const { count, resolve } of this.#waiting) if (this.messages.length >= count) resolve();
  }

  /** Hands a plain connection to the TLS listener and returns the server side of the TLS session. */
  async upgrade(connection: Deno.Conn): Promise<Deno.Conn> {
    const { port } = this.#tlsListener.addr as Deno.NetAddr;
    const [secure, inner] = await Promise.all([
      this.#tlsListener.accept(),
      Deno.connect({ hostname: "127.0.0.1", port }),
    ]);
    inner.setNoDelay();
    const ignore = (): void => {};
    this.#running.add(connection.readable.pipeTo(inner.writable).catch(ignore));
    this.#running.add(inner.readable.pipeTo(connection.writable).catch(ignore));
    this.keep(secure);
    this.keep(inner);
    return secure;
  }

  /** Closes the connection when the peer is disposed of. */
  keep(connection: Disposable): void {
    this.#open.add(connection);
  }

  /** Closes every connection now; the listener stays. */
  dropConnections(): void {
    for (const connection of this.#open) close(connection);
    this.#open.clear();
  }

  async #accept(): Promise<void> {
    for (;;) {
      let connection: Deno.Conn;
      try {
        connection = await this.#listener.accept();
      } catch {
        return;
      }
      this.connections++;
      this.keep(connection);
      this.options.onConnection?.();
      const talk = new PeerConversation(this, connection, this.connections).run();
      this.#talks.add(talk);
      this.#running.add(talk);
    }
  }

  /** Closes listener and connections, and waits for the conversations to end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    this.#tlsListener.close();
    this.#end.resolve();
    this.dropConnections();
    while (this.#running.size > 0) {
      const running = [...this.#running];
      this.#running.clear();
      await Promise.all(running);
      this.dropConnections();
    }
  }
}

function close(connection: Disposable): void {
  try {
    connection[Symbol.dispose]();
  } catch {
    // It was closed before, or its streams hold it: both end with the peer.
  }
}

/** Starts a peer; it listens when this returns. */
export function startPeer(options: PeerOptions = {}): ScriptedPeer {
  return new ScriptedPeer(options);
}
