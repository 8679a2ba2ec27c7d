/** The two directions of one connection: replies that wait to be sent, octets that have arrived, and time limits on both. */

import type { OctetConn } from "../smtp/octet_conn.ts";
import { type BufferPool, OctetInput } from "../smtp/octet_input.ts";
import { formatReply, type Reply } from "../smtp/reply.ts";
import type { Clock } from "../system/clock.ts";
import type { EndOfTurn } from "../system/end_of_turn.ts";
import { ConnectionEnded } from "./connection_ended.ts";

/** How long a client may take to take a last reply in. */
const ENDING_MS = 10_000;
/** How long, and for how many octets, we listen to a client that goes on sending behind its last reply. */
const LINGER_MS = 5_000;
const LINGER_OCTETS = 1024 * 1024;
/** Replies are sent at the latest when so much text waits: a client may pipeline many commands and read nothing. */
const MAX_WAITING_CHARACTERS = 16 * 1024;

const encoder = new TextEncoder();

/** What a wire is made of. */
export interface WireOptions {
  /** Belongs to the wire from now on. */
  readonly conn: OctetConn;
  /** Buffers, shared by all connections. */
  readonly pool: BufferPool;
  /** Its monotonic time is used. */
  readonly clock: Clock;
  /** How long a client may take to read our replies, in milliseconds. */
  readonly writeMs: number;
  /** Replies go out together with those of other connections. Absent: at once. */
  readonly endOfTurn?: Pick<EndOfTurn, "next"> | undefined;
}

/** Reads and writes; knows nothing of SMTP but replies. */
export class Wire {
  /** What has arrived. */
  readonly input: OctetInput;
  readonly #clock: Clock;
  readonly #writeMs: number;
  readonly #endOfTurn: WireOptions["endOfTurn"];
  #conn: OctetConn;
  /** Replies that are due; they leave together before the next read (RFC 2920 §3.2). */
  #output = "";
  #isReading = false;
  #isEnding = false;
  #isClosed = false;
  /** Monotonic time; infinite while it is not the client whom we wait for. */
  #deadlineMs = Infinity;

  /** Reads nothing yet. */
  constructor({ conn, pool, clock, writeMs, endOfTurn }: WireOptions) {
    this.#conn = conn;
    this.#endOfTurn = endOfTurn;
    this.#clock = clock;
    this.#writeMs = writeMs;
    this.input = new OctetInput(conn, pool);
  }

  /** True while it waits for octets of the client. */
  get isReading(): boolean {
    return this.#isReading;
  }

  /** The connection below, for a TLS handshake. */
  get conn(): OctetConn {
    return this.#conn;
  }

  /** True when the client has been waited for too long. */
  isOverdue(nowMs: number): boolean {
    return nowMs >= this.#deadlineMs;
  }

  /** True once the end is under way: what is overdue then has had its last word. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Lets a reply wait for the next flush. */
  queue(message: Reply): void {
    this.#output += formatReply(message);
  }

  /** Sends what waits, if that is much. */
  async flushIfLong(): Promise<void> {
    if (this.#output.length > MAX_WAITING_CHARACTERS) await this.flush();
  }

  /** Sends all replies that wait. Throws `ConnectionEnded` when the client does not take them. */
  async flush(): Promise<void> {
    if (this.#output === "") return;
    const octets = encoder.encode(this.#output);
    this.#output = "";
    this.#deadlineMs = this.#clock.monotonic() + this.#writeMs;
    if (this.#endOfTurn !== undefined) await this.#endOfTurn.next();
    await this.#write(octets);
    this.#deadlineMs = Infinity;
  }

  /** Sends a reply while it waits for octets, whose time limit holds for both. Throws `ConnectionEnded`. */
  async sendNow(message: Reply): Promise<void> {
    await this.#write(encoder.encode(formatReply(message)));
  }

  async #write(octets: Uint8Array): Promise<void> {
    try {
      for (let sent = 0; sent < octets.length;) sent += await this.#conn.write(octets.subarray(sent));
    } catch (error) {
      throw new ConnectionEnded("the client takes no replies", { cause: error });
    }
  }

  /** Waits for octets until a monotonic time. Throws `ConnectionEnded` when none will come. */
  fill(deadlineMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.whenFilled(deadlineMs, (ended) => ended === undefined ? resolve() : reject(ended));
    });
  }

  /**
   * Like `fill`, for a connection that may be idle for long: all that it costs meanwhile is one read and `done`, where
   * each suspended function would keep some 600 octets.
   *
   * @param done Called once, later; with an error when no octets will come. Must not throw.
   */
  whenFilled(deadlineMs: number, done: (ended?: ConnectionEnded) => void): void {
    if (this.#isEnding) return queueMicrotask(() => done(new ConnectionEnded("closed by us")));
    this.#deadlineMs = deadlineMs;
    this.#isReading = true;
    this.input.read().then((count) => done(this.#filled(count)), (cause) => {
      this.#isReading = false;
      done(new ConnectionEnded(this.#isEnding ? "closed by us" : "the connection broke", { cause }));
    });
  }

  /** Changes the time limit of the wait for octets that is under way. */
  waitUntil(deadlineMs: number): void {
    this.#deadlineMs = deadlineMs;
  }

  #filled(count: number | null): ConnectionEnded | undefined {
    this.#isReading = false;
    const isOpen = this.input.take(count);
    if (this.#isEnding) return new ConnectionEnded("closed by us");
    this.#deadlineMs = Infinity;
    return isOpen ? undefined : new ConnectionEnded("closed by the client");
  }

  /** Goes on with another connection, with nothing kept from before (RFC 3207 §4.2). */
  replaceConn(conn: OctetConn): void {
    this.#conn = conn;
    this.input.replaceConn(conn);
    if (this.#isClosed) conn.close();
  }

  /**
   * Ends a connection that waits in a read: says why, if the client listens, and closes.
   *
   * @param lingers To be true where the client may be sending: then the read goes on, and `linger` has to follow it.
   */
  endWith(message: Reply, lingers: boolean): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#deadlineMs = this.#clock.monotonic() + ENDING_MS;
    this.sendNow(message).then(() => lingers ? this.#closeWrite() : this.close(), () => this.close());
  }

  /**
   * Drops what the client still sends, until it has closed or has had its time. A close with octets that nobody has read
   * makes the kernel reset the connection, and the client may lose our last reply, which says what it did wrong (RFC 1122
   * §4.2.2.13; RFC 9112 §9.6 tells the same of HTTP).
   */
  async linger(): Promise<void> {
    if (this.#isClosed) return;
    if (!this.#isEnding) await this.#closeWrite();
    try {
      for (let dropped = 0; dropped < LINGER_OCTETS;) {
        this.input.consume(this.input.length);
        if (!this.input.take(await this.input.read())) return;
        dropped += this.input.length;
      }
    } catch {
      // Reset by the client, or closed by us when its time was over.
    }
  }

  /** The client reads the end behind the last reply, where the connection has two halves. Never throws. */
  async #closeWrite(): Promise<void> {
    this.#isEnding = true;
    this.#deadlineMs = this.#clock.monotonic() + LINGER_MS;
    try {
      await this.#conn.closeWrite?.();
    } catch {
      // The client has closed.
    }
  }

  /** Closes the connection; a read or write that is under way ends. Never throws. */
  close(): void {
    this.#isEnding = true;
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      this.#conn.close();
    } catch {
      // A failed TLS handshake has closed it.
    }
  }
}
