/**
 * Sends a message of lines with BDAT (RFC 3030 §2), in chunks whose answers are looked at while the next one is on its way:
 * a peer that does not want the message can say so before all of it was sent.
 */

import type { Reply } from "../reply.ts";
import { ClientError } from "./client_error.ts";
import type { SmtpConnection } from "./connection.ts";
import { PIECE_OCTETS, PieceSender } from "./piece_sender.ts";

/** Octets of a chunk but the last. */
const CHUNK_OCTETS = 1024 * 1024;
/** Chunks on their way without an answer, where the peer has PIPELINING (RFC 3030 §4.2). */
const UNANSWERED_CHUNKS = 2;
/** The last octets go in a chunk of their own: only when they are there it is known whether CRLF is missing. */
const TAIL_OCTETS = 2;

const CR = 0x0d;
const LF = 0x0a;

/** One message on its way. */
export class ChunkSender {
  readonly #connection: SmtpConnection;
  readonly #pieces: PieceSender;
  readonly #window: number;
  #left: number;
  #chunkLeft = 0;
  #unanswered = 0;
  readonly #tail: number[] = [];

  /**
   * Sends nothing yet.
   *
   * @param octets Of the whole message; more than two.
   */
  constructor(connection: SmtpConnection, octets: number) {
    this.#connection = connection;
    this.#pieces = new PieceSender(connection);
    this.#window = connection.extensions.pipelining ? UNANSWERED_CHUNKS : 1;
    this.#left = octets;
  }

  /**
   * Sends the next octets.
   *
   * @param isShared They change when this is done, so what has not left by then must be copied.
   * @returns The reply that refuses the message: then nothing more is to be sent.
   */
  async send(octets: Uint8Array, isShared: boolean): Promise<Reply | undefined> {
    const body = Math.min(octets.length, this.#left - TAIL_OCTETS);
    for (let at = 0; at < body;) {
      const refusal = this.#chunkLeft === 0 ? await this.#begin() : undefined;
      if (refusal !== undefined) return refusal;
      const piece = octets.subarray(at, at + Math.min(this.#chunkLeft, PIECE_OCTETS, body - at));
      at += piece.length;
      this.#chunkLeft -= piece.length;
      this.#left -= piece.length;
      await (isShared ? this.#pieces.sendCopy(piece) : this.#connection.write(piece));
    }
    for (const octet of octets.subarray(Math.max(0, body))) this.#tail.push(octet);
    return undefined;
  }

  /**
   * Sends the last chunk, with CRLF where the message does not end with it.
   *
   * @param onLast Told before: from there only the peer knows whether it has the message.
   * @returns The reply that refuses the message. Else the answers to the last chunk are still to be read.
   */
  async finish(onLast: () => void): Promise<Reply | undefined> {
    const refusal = await this.#readAnswers(this.#window - 1);
    if (refusal !== undefined) return refusal;
    const isComplete = this.#tail.at(-2) === CR && this.#tail.at(-1) === LF;
    const last = isComplete ? this.#tail : [...this.#tail, CR, LF];
    const command = new TextEncoder().encode(`BDAT ${last.length} LAST\r\n`);
    const isSent = this.#connection.write(Uint8Array.of(...command, ...last));
    onLast();
    await isSent;
    return await this.#readAnswers(0, 1);
  }

  async #begin(): Promise<Reply | undefined> {
    const refusal = await this.#readAnswers(this.#window - 1);
    if (refusal !== undefined) return refusal;
    this.#chunkLeft = Math.min(CHUNK_OCTETS, this.#left - TAIL_OCTETS);
    this.#unanswered++;
    await this.#connection.write(`BDAT ${this.#chunkLeft}\r\n`);
    return undefined;
  }

  /** Reads answers until only `most` are missing; after a refusal all, and `extra` of chunks that are not counted. */
  async #readAnswers(most: number, extra = 0): Promise<Reply | undefined> {
    const { limits: { dotMs } } = this.#connection;
    for (; this.#unanswered > most; this.#unanswered--) {
      const reply = await this.#connection.readReply(dotMs);
      if (reply.code >= 200 && reply.code < 300) continue;
      await this.#skipAnswers(this.#unanswered - 1 + extra);
      return reply;
    }
    return undefined;
  }

  /** A peer that has refused the message may close instead of answering to the rest of it: it has said all that matters. */
  async #skipAnswers(count: number): Promise<void> {
    try {
      for (; count > 0; count--) await this.#connection.readReply(this.#connection.limits.dotMs);
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
    }
  }
}
