/** Dovecot's end of an authentication socket, without a network: the test says what it says. */

import type { DovecotSocket } from "../../lib/sasl/dovecot/connection.ts";

/** What a Dovecot of version 2.3 says first; the mechanisms are `NAME` or `NAME flag flag`. */
export function dovecotHandshake(...mechanisms: readonly string[]): string {
  const lines = mechanisms.map((mechanism) => `MECH\t${mechanism.replaceAll(" ", "\t")}\n`);
  return `VERSION\t1\t2\n${lines.join("")}SPID\t4711\nCUID\t1\nCOOKIE\t0123456789abcdef0123456789abcdef\nDONE\n`;
}

/** A socket whose other end is in the hands of a test. */
export class FakeDovecot implements DovecotSocket {
  /** What it was sent, line by line. */
  readonly lines: string[] = [];
  isClosed = false;
  /** It takes nothing any more. */
  isStuck = false;
  readonly #pieces: Uint8Array[] = [];
  #rest = "";
  #isEnded = false;
  #wake = (): void => {};

  /** Says something, in one piece. */
  say(text: string | Uint8Array): void {
    this.#pieces.push(typeof text === "string" ? new TextEncoder().encode(text) : text);
    this.#wake();
  }

  /** Closes the connection. */
  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.isClosed) throw new Deno.errors.BadResource("Bad resource ID");
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        const taken = piece.subarray(0, into.length);
        into.set(taken);
        if (taken.length < piece.length) this.#pieces.unshift(piece.subarray(taken.length));
        return taken.length;
      }
      if (this.#isEnded) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  write(octets: Uint8Array): Promise<number> {
    if (this.isStuck) return new Promise(() => {});
    // A write takes a part only.
    const taken = octets.subarray(0, Math.min(octets.length, 7));
    const lines = (this.#rest + new TextDecoder().decode(taken)).split("\n");
    this.#rest = lines.pop() ?? "";
    this.lines.push(...lines);
    return Promise.resolve(taken.length);
  }

  close(): void {
    this.isClosed = true;
    this.#wake();
  }
}

/** Lets everything run that waits for nothing but promises. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
