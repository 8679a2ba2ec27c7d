/** A connection without a network: the test decides which octets arrive together. */

import type { OctetConn } from "../../lib/smtp/octet_conn.ts";

const decoder = new TextDecoder();

const ADDRESS: Deno.NetAddr = { transport: "tcp", hostname: "192.0.2.1", port: 4711 };

/** A conn whose client sends what it is told, piece by piece, and keeps what it is answered. */
export class MemoryConn implements OctetConn {
  readonly remoteAddr = ADDRESS;
  readonly localAddr = ADDRESS;
  /** Everything the server has written, as text. */
  output = "";
  closes = 0;
  readonly #pieces: Uint8Array[] = [];
  #isEnded = false;
  #wakeServer = (): void => {};
  #wakeWriter = (): void => {};
  #wakeClient = (): void => {};
  #isServerWaiting = false;
  #isBroken = false;
  #isDeaf = false;

  /** Lets the pieces arrive one by one, and waits until the server wants more than there is, or has closed. */
  async send(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) if (piece.length > 0) this.#pieces.push(piece);
    this.#isServerWaiting = false;
    this.#wakeServer();
    while (!this.#isServerWaiting && this.closes === 0) {
      await new Promise<void>((resolve) => this.#wakeClient = resolve);
    }
  }

  /** The client hangs up. */
  end(): void {
    this.#isEnded = true;
    this.#wakeServer();
  }

  /** The connection breaks. */
  breakOff(): void {
    this.#isBroken = true;
    this.#wakeServer();
  }

  /** From now on the client reads nothing: what is written to it waits until the connection is closed. */
  turnDeaf(): void {
    this.#isDeaf = true;
  }

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.closes > 0) throw new Deno.errors.BadResource("Bad resource ID");
      if (this.#isBroken) throw new Deno.errors.ConnectionReset("Connection reset by peer");
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        const taken = piece.subarray(0, into.length);
        into.set(taken);
        if (taken.length < piece.length) this.#pieces.unshift(piece.subarray(taken.length));
        return taken.length;
      }
      if (this.#isEnded) return null;
      this.#isServerWaiting = true;
      this.#wakeClient();
      await new Promise<void>((resolve) => this.#wakeServer = resolve);
    }
  }

  async write(octets: Uint8Array): Promise<number> {
    while (this.#isDeaf && this.closes === 0) {
      this.#isServerWaiting = true;
      this.#wakeClient();
      await new Promise<void>((resolve) => this.#wakeWriter = resolve);
    }
    if (this.closes > 0) throw new Deno.errors.BadResource("Bad resource ID");
    this.output += decoder.decode(octets);
    return octets.length;
  }

  close(): void {
    if (++this.closes > 1) throw new Deno.errors.BadResource("Bad resource ID");
    this.#wakeServer();
    this.#wakeWriter();
    this.#wakeClient();
  }
}
