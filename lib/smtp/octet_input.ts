/**
 * The receiving half of an SMTP connection: octets that have arrived, and lines cut from them. It knows CRLF, length
 * limits and nothing else of SMTP.
 */

import type { OctetConn } from "./octet_conn.ts";

/** Room of a connection that waits for a command: most of them fit, and there may be ten thousand such connections. */
const IDLE_OCTETS = 256;
/** Room of a connection that waits for content: most messages are no longer, and who sends slowly needs no more. */
const CONTENT_OCTETS = 4096;
/** Room while content comes in fast. */
const LARGE_OCTETS = 64 * 1024;
/** From one size of buffers to the next. */
const GROWTH = 4;
/** Buffers of one size that are kept for the next ones who need them. */
const MAX_POOLED_OCTETS = 2 * 1024 * 1024;

const CR = 0x0d;
const LF = 0x0a;

const NOTHING = new Uint8Array(0);

/** Buffers that are not in use now. One pool serves a whole server. */
export class BufferPool {
  readonly #free = new Map<number, Uint8Array<ArrayBuffer>[]>();

  /** Takes a buffer of so many octets, a used one where there is one. */
  take(octets: number): Uint8Array<ArrayBuffer> {
    return this.#free.get(octets)?.pop() ?? new Uint8Array(octets);
  }

  /** Gives a buffer back; nobody may hold a view of it any more. */
  give(buffer: Uint8Array<ArrayBuffer>): void {
    const { length } = buffer;
    let free = this.#free.get(length);
    if (free === undefined) this.#free.set(length, free = []);
    if (free.length * length < MAX_POOLED_OCTETS) free.push(buffer);
  }
}

/** What `nextLine` found wrong; the offset counts from the start of the line. */
export type LineProblem =
  | { readonly kind: "bareCr" | "bareLf"; readonly offset: number }
  | { readonly kind: "tooLong" };

/**
 * Octets from a connection, in a buffer that follows what comes in: small while nothing does, larger after each read that
 * filled it, small again for who sends slowly.
 */
export class OctetInput {
  #conn: OctetConn;
  readonly #pool: BufferPool;
  #buffer: Uint8Array<ArrayBuffer>;
  #start = 0;
  #end = 0;
  #leastOctets = IDLE_OCTETS;
  /** The last read brought all that there was room for. */
  #wasFull = false;
  /** `skipLine` has dropped a CR just before. */
  #isAfterCr = false;

  /** Reads from `conn`; takes buffers from `pool`. */
  constructor(conn: OctetConn, pool: BufferPool) {
    this.#conn = conn;
    this.#pool = pool;
    this.#buffer = pool.take(IDLE_OCTETS);
  }

  /** Octets that it holds on to, whether anything has arrived or not. */
  get heldOctets(): number {
    return this.#buffer.length;
  }

  /** Octets that have arrived and are not consumed. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** A view of what has arrived; valid until the next `read`. */
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
    this.#wasFull = false;
  }

  /** Says whether content comes next or a command, so that the next read has the right room. */
  expect(what: "command" | "content"): void {
    this.#leastOctets = what === "content" ? CONTENT_OCTETS : IDLE_OCTETS;
  }

  /** Gives the buffer back at the end of the connection; nothing may be called after it. */
  release(): void {
    this.#pool.give(this.#buffer);
    this.#buffer = NOTHING;
    this.#start = this.#end = 0;
  }

  /** Starts to wait for more octets; what the promise gives is for `take`, before anything else is called. */
  read(): Promise<number | null> {
    this.#makeRoom(this.#nextSize());
    return this.#conn.read(this.#end === 0 ? this.#buffer : this.#buffer.subarray(this.#end));
  }

  /**
   * Counts in what was read.
   *
   * @returns False at the end of the stream.
   */
  take(count: number | null): boolean {
    if (count === null) return false;
    this.#end += count;
    this.#wasFull = this.#end === this.#buffer.length;
    return true;
  }

  /**
   * Cuts the next line off.
   *
   * @param maxOctets Longest line, CRLF included (RFC 5321 §4.5.3.1.4); at most 64 KiB.
   * @returns The line without CRLF, a view valid until the next `read`; undefined while it is not complete; or what is
   * wrong with it. RFC 5321 §2.3.8: a line ends with CRLF, and a CR or LF alone must not be taken for one.
   */
  nextLine(maxOctets: number): Uint8Array | LineProblem | undefined {
    const buffer = this.#buffer;
    // What lies behind the limit may have arrived or not: it must not count, so that the same octets mean the same.
    const end = Math.min(this.#end, this.#start + maxOctets);
    for (let i = this.#start; i < end; i++) {
      const octet = buffer[i];
      if (octet === LF) return { kind: "bareLf", offset: i - this.#start };
      if (octet !== CR) continue;
      if (i + 1 === end) break;
      if (buffer[i + 1] !== LF) return { kind: "bareCr", offset: i - this.#start };
      const line = buffer.subarray(this.#start, i);
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

  /** What is kept has to fit in, with room to spare; content that comes fast gets the largest buffer at once. */
  #nextSize(): number {
    let size = this.#leastOctets;
    if (this.#wasFull) size = size === CONTENT_OCTETS ? LARGE_OCTETS : this.#buffer.length * GROWTH;
    while (size <= this.length) size *= GROWTH;
    return Math.min(size, LARGE_OCTETS);
  }

  /** Moves what is kept to the front of a buffer of that size. */
  #makeRoom(size: number): void {
    const kept = this.peek();
    if (size === this.#buffer.length) {
      if (this.#start > 0) this.#buffer.copyWithin(0, this.#start, this.#end);
    } else {
      const before = this.#buffer;
      this.#buffer = this.#pool.take(size);
      this.#buffer.set(kept);
      this.#pool.give(before);
    }
    this.#start = 0;
    this.#end = kept.length;
  }
}
