/**
 * Sends content from a few buffers, each of which is used again once it has left. A fresh one for each piece would do, but
 * those of a message of 50 MB pile up until they are collected.
 */

import type { SmtpConnection } from "./connection.ts";

/** Of a piece, so that each write has a time limit of its own. */
export const PIECE_OCTETS: number = 64 * 1024;
/** A piece of text grows by a dot here and there. */
const SPARE_OCTETS = 4 * 1024;

/** The buffers of one message on its way. */
export class PieceSender {
  readonly #connection: Pick<SmtpConnection, "write">;
  readonly #free: ArrayBuffer[] = [];

  /** Sends nothing yet. */
  constructor(connection: Pick<SmtpConnection, "write">) {
    this.#connection = connection;
  }

  /** Room for so many octets, with whatever was in it before. It goes to `send`, and must not be used after that. */
  take(octets: number): Uint8Array<ArrayBuffer> {
    const used = this.#free.pop();
    const isEnough = used !== undefined && used.byteLength >= octets;
    return new Uint8Array(isEnough ? used : new ArrayBuffer(Math.max(octets, PIECE_OCTETS + SPARE_OCTETS)), 0, octets);
  }

  /** Sends what `take` gave room for, as {@linkcode SmtpConnection.write} does. */
  send(octets: Uint8Array<ArrayBuffer>): Promise<void> | undefined {
    return this.#connection.write(octets, () => this.#free.push(octets.buffer));
  }

  /** Sends a copy, so that the octets may change at once. */
  sendCopy(octets: Uint8Array): Promise<void> | undefined {
    const copy = this.take(octets.length);
    copy.set(octets);
    return this.send(copy);
  }
}
