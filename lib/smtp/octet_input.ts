/**
 * The receiving half of an SMTP connection: octets that have arrived, and lines cut from them. It knows CRLF, length
 * limits and nothing else of SMTP.
 */

import type { OctetConn } from "./octet_conn.ts";

/** Room for an idle connection: enough for any pipelined group of ordinary commands. */
const SMALL_BUFFER_OCTETS = 1024;
/** Room while content or a long line comes in. */
const LARGE_BUFFER_OCTETS = 64 * 1024;
/** Large buffers kept for the next one who needs one, shared by all connections of a pool. */
const MAX_POOLED_BUFFERS = 32;

const CR = 0x0d;
const LF = 0x0a;

/** Large buffers that are not in use now. One pool serves a whole server. */
export class BufferPool {
  readonly #free: Uint8Array<ArrayBuffer>[] = [];

  /** Takes a buffer of 64 KiB, a used one where there is one. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#free.pop() ?? new Uint8Array(LARGE_BUFFER_OCTETS);
  }

  /** Gives a buffer back; nobody may hold a view of it any more. */
  give(buffer: Uint8Array<ArrayBuffer>): void {
    if (this.#free.length < MAX_POOLED_BUFFERS) this.#free.push(buffer);
  }
}

/** What `nextLine` found wrong; the offset counts from the start of the line. */
export type LineProblem =
  | { readonly kind: "bareCr" | "bareLf"; readonly offset: number }
  | { readonly kind: "tooLong" };

/** Octets from a connection, in a buffer that is small while the connection is idle. */
export class OctetInput {
  #conn: OctetConn;
  readonly #pool: BufferPool;
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(SMALL_BUFFER_OCTETS);
  #start = 0;
  #end = 0;
  /** `skipLine` has dropped a CR just before. */
  #isAfterCr = false;

  /** Reads from `conn`; takes large buffers from `pool`. */
  constructor(conn: OctetConn, pool: BufferPool) {
    this.#conn = conn;
    this.#pool = pool;
  }

  /** Octets that have arrived and are not consumed. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** A view of what has arrived; valid until the next `fill`. */
  peek(): Uint8Array {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  /** Drops the first `octets` octets. */
  consume(octets: number): void {
    this.#start += octets;
    if (this.#start === this.#end) this.#start = this.#end = 0;
  }

  /** Drops everything and goes on with another connection: after STARTTLS (RFC 3207 §4.2). */
  replaceConn(conn: OctetConn): void {
    this.#conn = conn;
    this.#start = this.#end = 0;
  }

  /** Makes room for content: 64 KiB until `shrink`. */
  grow(): void {
    if (this.#buffer.length < LARGE_BUFFER_OCTETS) this.#moveTo(this.#pool.take());
  }

  /** Gives the large buffer back once what is left fits into a small one. */
  shrink(): void {
    if (this.#buffer.length === SMALL_BUFFER_OCTETS || this.length > SMALL_BUFFER_OCTETS) return;
    const large = this.#buffer;
    this.#moveTo(new Uint8Array(SMALL_BUFFER_OCTETS));
    this.#pool.give(large);
  }

  /** Gives everything back at the end of the connection. */
  release(): void {
    this.#start = this.#end = 0;
    this.shrink();
  }

  /**
   * Waits for more octets.
   *
   * @returns False at the end of the stream.
   */
  async fill(): Promise<boolean> {
    if (this.#end === this.#buffer.length) this.#makeRoom();
    const count = await this.#conn.read(this.#buffer.subarray(this.#end));
    if (count === null) return false;
    this.#end += count;
    return true;
  }

  /**
   * Cuts the next line off.
   *
   * @param maxOctets Longest line, CRLF included (RFC 5321 §4.5.3.1.4); at most 64 KiB.
   * @returns The line without CRLF, a view valid until the next `fill`; undefined while it is not complete; or what is
   * wrong with it. RFC 5321 §2.3.8: a line ends with CRLF, and a CR or LF alone must not be taken for one.
   */
  nextLine(maxOctets: number): Uint8Array | LineProblem | undefined {
    const buffer = this.#buffer;
    for (let i = this.#start; i < this.#end; i++) {
      const octet = buffer[i];
      if (octet === LF) return { kind: "bareLf", offset: i - this.#start };
      if (octet !== CR) continue;
      if (i + 1 === this.#end) break;
      if (buffer[i + 1] !== LF) return { kind: "bareCr", offset: i - this.#start };
      const line = buffer.subarray(this.#start, i);
      if (line.length + 2 > maxOctets) return { kind: "tooLong" };
      this.consume(line.length + 2);
      return line;
    }
    return this.length >= maxOctets ? { kind: "tooLong" } : undefined;
  }

  /** Drops octets up to the end of an overlong line; true once its CRLF was seen. */
  skipLine(): boolean {
    const octets = this.peek();
    for (let lf = octets.indexOf(LF); lf >= 0; lf = octets.indexOf(LF, lf + 1)) {
      if (lf === 0 ? !this.#isAfterCr : octets[lf - 1] !== CR) continue;
      this.consume(lf + 1);
      this.#isAfterCr = false;
      return true;
    }
    if (octets.length > 0) this.#isAfterCr = octets[octets.length - 1] === CR;
    this.consume(octets.length);
    return false;
  }

  #makeRoom(): void {
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    } else {
      this.grow();
    }
  }

  #moveTo(buffer: Uint8Array<ArrayBuffer>): void {
    buffer.set(this.peek());
    this.#end -= this.#start;
    this.#start = 0;
    this.#buffer = buffer;
  }
}
