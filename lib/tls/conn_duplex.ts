/**
 * A connection as a `node:stream` Duplex: what `node:tls` needs to run TLS over an accepted `Deno.Conn`.
 *
 * Reads with a buffer that starts small, because a thousand idle sessions each hold one, and grows under load.
 */

import { Duplex } from "node:stream";
import type { OctetConn } from "../smtp/octet_conn.ts";

/** An idle connection holds this many octets for its next read. */
const SMALLEST_READ_OCTETS = 512;
/** Four TLS records (RFC 8446 §5.1). */
const LARGEST_READ_OCTETS = 65_536;

/** The stream does not read on while its user holds this many octets that nobody took yet. */
const HELD_OCTETS = 65_536;

/** The stream. Destroying it closes the connection; errors of the connection destroy it. */
export class ConnDuplex extends Duplex {
  readonly #conn: OctetConn;
  #readOctets = SMALLEST_READ_OCTETS;
  #writing: Promise<void> = Promise.resolve();
  #isWaiting = false;
  /**
   * Tells how many octets from here were decrypted and not taken. The TLSSocket of Deno 2.9 takes whatever the stream has,
   * so the brake that keeps a fast sender from filling the memory is here.
   */
  heldOctets: () => number = () => 0;

  /** Takes over the connection. */
  constructor(conn: OctetConn) {
    super({ allowHalfOpen: true });
    this.#conn = conn;
  }

  /** Settles when everything written so far is with the kernel, or lost. Never rejects. */
  async written(): Promise<void> {
    do await this.#writing; while (this.writableLength > 0 && !this.destroyed);
  }

  /** To be called when octets were taken: goes on reading where that had stopped. */
  release(): void {
    if (!this.#isWaiting || this.heldOctets() >= HELD_OCTETS) return;
    this.#isWaiting = false;
    this._read();
  }

  /** Called by the stream when it wants octets; not again before the push. */
  override _read(): void {
    if (this.heldOctets() >= HELD_OCTETS) {
      this.#isWaiting = true;
      return;
    }
    const buffer = new Uint8Array(this.#readOctets);
    this.#conn.read(buffer).then((count) => {
      if (this.destroyed) return;
      this.#adaptTo(count ?? 0);
      this.push(count === null ? null : buffer.subarray(0, count));
    }, (error: Error) => {
      this.destroy(error);
    });
  }

  /** Called by the stream, one chunk at a time. */
  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#writing = this.#writeAll(chunk).then(() => done(), (error: Error) => done(error));
  }

  /** Called once by the stream at its end. */
  override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
    try {
      this.#conn.close();
    } catch {
      // Closed before: by the peer's reset, or by whoever accepted it.
    }
    done(null);
  }

  async #writeAll(chunk: Uint8Array): Promise<void> {
    let written = 0;
    while (written < chunk.length) written += await this.#conn.write(chunk.subarray(written));
  }

  /** A full buffer is made four times as large, a mostly empty one goes back towards the smallest. */
  #adaptTo(count: number): void {
    if (count === this.#readOctets) this.#readOctets = Math.min(LARGEST_READ_OCTETS, count * 4);
    else if (count < this.#readOctets / 8) this.#readOctets = Math.max(SMALLEST_READ_OCTETS, this.#readOctets / 4);
  }
}
