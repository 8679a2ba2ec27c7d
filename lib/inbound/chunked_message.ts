/** The state of a message between its BDAT commands (RFC 3030 §2): open, or refused for good. */

import { BinaryChecker } from "../smtp/binary_checker.ts";
import { ChunkChecker } from "../smtp/chunk_checker.ts";
import { type Reply, reply } from "../smtp/reply.ts";
import { bothOf } from "./content_intake.ts";
import { IncomingMessage } from "./incoming_message.ts";
import { bareLfRule } from "./submission.ts";
import type { ContentSink, Context } from "./verb.ts";

/** Takes chunk after chunk. Once one is refused all others are: a message must not lose a part of itself. */
export class ChunkedMessage implements ContentSink {
  readonly #checker: ChunkChecker | BinaryChecker;
  readonly #message: IncomingMessage | undefined;
  #refusal: Reply | undefined;

  /** Begins a message for the session's transaction; or, with a refusal, one that is dropped as it comes. */
  constructor(context: Context, refusal?: Reply) {
    const isBinary = context.session.transaction?.options.body === "BINARYMIME";
    this.#checker = isBinary ? new BinaryChecker() : new ChunkChecker(bareLfRule(context.session));
    this.#refusal = refusal;
    this.#message = refusal === undefined ? new IncomingMessage(context) : undefined;
  }

  /** No further chunk will be accepted. */
  get isRefused(): boolean {
    return this.#refusal !== undefined;
  }

  write(piece: Uint8Array): Promise<void> | undefined {
    if (this.#refusal !== undefined) return undefined;
    let waiting: Promise<void> | undefined;
    this.#checker.push(piece, (content) => waiting = bothOf(waiting, this.#message?.write(content)));
    return waiting;
  }

  /** The reply to a chunk that was read; the last one makes the message durable. */
  async endChunk(octets: number, isLast: boolean): Promise<Reply> {
    const message = this.#message;
    if (this.#refusal !== undefined || message === undefined) return this.#refusal as Reply;
    try {
      if (isLast) this.#checker.end();
      message.check(this.#checker.problem);
      return isLast ? await message.accept() : reply(250, "2.0.0", `${octets} octets received`);
    } catch (error) {
      this.#refusal = await message.refuse(error);
      return this.#refusal;
    }
  }

  /** Drops what has come; chunks that follow get this reply. */
  async refuse(refusal: Reply): Promise<void> {
    this.#refusal ??= refusal;
    await this.abort();
  }

  /** Forgets the message. Never throws. */
  async abort(): Promise<void> {
    await this.#message?.abort();
  }
}
