/** The client side of one SMTP or LMTP connection, up to the transactions: see `transaction.ts`. */

import type { Clock } from "../../system/clock.ts";
import type { Reply } from "../reply.ts";
import { ClientError } from "./client_error.ts";
import { NO_EXTENSIONS, parseExtensions, type PeerExtensions } from "./extensions.ts";
import { ReplyParser, replyText } from "./reply_parser.ts";
import type { TimeLimits } from "./time_limits.ts";
import { Wire, type WireAddress, type WireTls } from "./wire.ts";

/** What a connection needs. */
export interface ConnectionOptions {
  /** Where the peer is. */
  readonly address: WireAddress;
  /** What the peer speaks. */
  readonly protocol: "smtp" | "lmtp";
  /** Our name for EHLO, HELO or LHLO. */
  readonly hostname: string;
  /** How long it waits. */
  readonly limits: TimeLimits;
  /** For the time limits. */
  readonly clock: Clock;
  /** Connected to the address already, or about to be; absent: a new one. */
  readonly wire?: Wire;
}

const ENCODER = new TextEncoder();

/** One connection. Every method that waits throws a {@linkcode ClientError} where the connection is of no use any more. */
export class SmtpConnection {
  /** What the peer speaks. */
  readonly protocol: "smtp" | "lmtp";
  /** How long it waits. */
  readonly limits: TimeLimits;
  /** What the last EHLO or LHLO offered. */
  extensions: PeerExtensions = NO_EXTENSIONS;
  /** Transactions that were begun. */
  transactions = 0;
  /** A transaction is open at the peer that came to nothing: RSET goes before the next. */
  needsReset = false;
  /** The final dot was sent: from here only the peer knows whether it has the message. */
  isAwaitingVerdict = false;
  /** The peer has said something that is a reply. */
  hasGreeted = false;
  /** The latest 421, after which the peer closes (RFC 5321 §3.8). */
  farewell: Reply | undefined;
  /** What is waited for until transactions begin, as the end of a sentence. */
  doing = "waiting for the greeting";
  readonly #wire: Wire;
  readonly #hostname: string;
  #parser = new ReplyParser();
  #isStopping = false;

  /** Begins to connect; go on with {@linkcode open}. */
  constructor(options: ConnectionOptions) {
    this.protocol = options.protocol;
    this.limits = options.limits;
    this.#hostname = options.hostname;
    this.#wire = options.wire ?? new Wire(options.address, options.clock);
  }

  /** TLS protocol and cipher; undefined in the clear. */
  get tlsInfo(): string | undefined {
    return this.#wire.tlsInfo;
  }

  /** True where another transaction may be tried: open, not told to go, and nothing unexpected has arrived. */
  get isReusable(): boolean {
    return this.#wire.isOpen && this.farewell === undefined && !this.hasSpoken;
  }

  /** True where octets arrived that nobody has asked for yet. */
  get hasSpoken(): boolean {
    return this.#wire.hasUnread || this.#parser.hasUnused;
  }

  /** False where the peer takes no more transactions over this connection (MAILMAX, RFC 9422 §4.1). */
  get mayTransact(): boolean {
    return this.transactions < (this.extensions.limits.mailMax ?? Infinity);
  }

  /** Connects and reads the greeting; `implicitTls` makes TLS first (RFC 8314 §3). */
  async open(implicitTls?: WireTls): Promise<Reply> {
    await this.#wire.opened(this.limits.connectMs);
    if (implicitTls !== undefined) await this.#wire.startTls(implicitTls, this.limits.tlsMs);
    return await this.readReply(this.limits.greetingMs);
  }

  /**
   * Says EHLO, or HELO where the peer does not know EHLO; LHLO for LMTP, which has nothing to fall back on.
   *
   * @param name Said instead of our name.
   * @returns The last answer; `extensions` are set where it is 250.
   * @see RFC 5321 §3.2, §4.1.1.1; RFC 2033 §4.1
   */
  async hello(name: string = this.#hostname): Promise<Reply> {
    this.extensions = NO_EXTENSIONS;
    const verb = this.protocol === "lmtp" ? "LHLO" : "EHLO";
    this.doing = `waiting for the reply to ${verb}`;
    const reply = await this.command(`${verb} ${name}`);
    if (reply.code === 250) this.extensions = parseExtensions(reply);
    const isUnknown = reply.code >= 500 && this.protocol === "smtp" && this.isReusable;
    return isUnknown ? await this.command(`HELO ${name}`) : reply;
  }

  /**
   * Says STARTTLS, makes TLS, forgets what was learnt in the clear, and says EHLO again.
   *
   * @returns The answer to STARTTLS where it is a refusal (nothing has changed then), else the answer to the new EHLO.
   * @throws {ClientError} `tls` or `certificate`, also where the peer sent more than the one answer in the clear, or none.
   * @see RFC 3207 §4.2, §6
   */
  async startTls(options: WireTls): Promise<{ readonly isTls: boolean; readonly reply: Reply }> {
    this.#wire.readSparingly();
    const reply = await this.#askForTls();
    if (reply.code !== 220) return { isTls: false, reply };
    if (this.#parser.hasUnused) {
      throw this.#wire.fail(new ClientError("tls", "Peer sent octets in the clear after its go-ahead for TLS"));
    }
    this.#parser = new ReplyParser();
    this.extensions = NO_EXTENSIONS;
    await this.#wire.startTls(options, this.limits.tlsMs);
    return { isTls: true, reply: await this.hello() };
  }

  /** Whatever goes wrong here is a fault of TLS: a peer that cannot even answer STARTTLS may take mail without. */
  async #askForTls(): Promise<Reply> {
    this.doing = "waiting for the reply to STARTTLS";
    try {
      const reply = await this.command("STARTTLS");
      if (reply.code === 220 || reply.code >= 400) return reply;
      throw new ClientError("protocol", `Peer answered with ${replyText(reply)}`);
    } catch (error) {
      if (!(error instanceof ClientError) || error.fault === "aborted") throw error;
      this.fail(error);
      throw new ClientError("tls", `no go-ahead after STARTTLS: ${error.message}`, { cause: error });
    }
  }

  /** Sends one command line, without its CRLF, and reads the answer. */
  async command(line: string, limitMs: number = this.limits.commandMs): Promise<Reply> {
    this.expectSilence();
    await this.write(line + "\r\n");
    return await this.readReply(limitMs);
  }

  /**
   * Sends text or octets, which must not change until they have left; undefined: more may be sent at once.
   *
   * @param hasLeft Called when they have; never where the connection fails before.
   */
  write(octets: string | Uint8Array, hasLeft?: () => void): Promise<void> | undefined {
    return this.#wire.write(
      typeof octets === "string" ? ENCODER.encode(octets) : octets,
      this.#within(this.limits.blockMs),
      hasLeft,
    );
  }

  /** Reads the next reply; the limit is for the whole of it. */
  async readReply(limitMs: number): Promise<Reply> {
    try {
      let reply = this.#parser.next();
      if (reply === undefined) {
        this.#wire.startLimit(this.#within(limitMs));
        while (reply === undefined) {
          this.#parser.push(await this.#wire.read());
          reply = this.#parser.next();
        }
        this.#wire.endLimit();
      }
      this.hasGreeted = true;
      if (reply.code === 421) this.farewell = reply;
      return reply;
    } catch (error) {
      throw error instanceof ClientError ? this.#wire.fail(error) : error;
    }
  }

  /**
   * To be called before something is sent that has an answer: with a reply too many, each would be taken for the next one.
   *
   * @throws {ClientError} Where the peer has spoken before it was asked; `farewell` is set where it said 421, which may come
   * at any time (RFC 5321 §3.8).
   */
  expectSilence(): void {
    if (!this.hasSpoken) return;
    const reply = this.bufferedReply();
    if (reply?.code === 421) throw this.#wire.fail(new ClientError("closed", "Peer closes the connection"));
    const what = reply === undefined ? "" : `: ${replyText(reply)}`;
    throw this.#wire.fail(new ClientError("protocol", `Peer spoke before it was asked${what}`));
  }

  /** A reply that came before it was asked for, e.g. why the peer closed in the middle of the content. */
  bufferedReply(): Reply | undefined {
    try {
      for (;;) {
        const reply = this.#parser.next();
        if (reply?.code === 421) this.farewell = reply;
        const octets = reply === undefined ? this.#wire.readBuffered() : undefined;
        if (octets === undefined) return reply;
        this.#parser.push(octets);
      }
    } catch {
      return undefined;
    }
  }

  /** Gives up at a shutdown: at once, but after the final dot only when the peer keeps its verdict back too long. */
  stop(): void {
    this.#isStopping = true;
    if (this.isAwaitingVerdict) this.#wire.startLimit(this.limits.stopMs);
    else this.fail(new ClientError("aborted", "Delivery was stopped"));
  }

  /** Ends the connection at once. */
  fail(error: ClientError): void {
    this.#wire.fail(error);
  }

  /** Says QUIT, does not wait long for the answer, and closes. Never rejects. */
  async quit(): Promise<void> {
    try {
      if (this.isReusable) await this.command("QUIT", this.limits.quitMs);
    } catch {
      // The peer was faster, or slow: nothing depends on its answer.
    }
    this.fail(new ClientError("closed", "Connection is closed"));
  }

  #within(limitMs: number): number {
    return this.#isStopping ? Math.min(limitMs, this.limits.stopMs) : limitMs;
  }
}
