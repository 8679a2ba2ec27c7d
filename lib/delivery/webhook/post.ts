/** One HTTP request with a message in it, and the beginning of its answer. */

import { TimeLimitError } from "../../dns/time_limit.ts";
import type { Content } from "../../mail/content.ts";
import type { Fetch } from "../../sasl/oauth/fetch_json.ts";
import type { Clock } from "../../system/clock.ts";
import type { WebhookForm } from "./form.ts";
import { oneLine, type WebhookAnswer } from "./outcomes.ts";
import { WebhookSigner } from "./secret.ts";

/** What a request is made of. */
export interface WebhookPost {
  /** Where it goes. */
  readonly url: string;
  /** One or more, for the signature. */
  readonly secret: string;
  /** What stands around the content. */
  readonly form: WebhookForm;
  /** Read twice where it is long: the signature stands in front of it. */
  readonly content: Content;
}

/** What requests are made with. */
export interface WebhookTools {
  /** Checks the certificates of https servers, and keeps connections. */
  readonly fetch: Fetch;
  /** For the time limit, and the time that is signed. */
  readonly clock: Clock;
  /** How long nothing may move: until connected, until a piece is taken, until the answer and the end of its text. */
  readonly idleMs: number;
}

/** An answer, and whether the whole message had been handed over when it came. */
export interface WebhookPosted {
  /** The answer. */
  readonly answer: WebhookAnswer;
  /** False: whatever it says of the message, it cannot have it. */
  readonly isSent: boolean;
}

/** The content cannot be read on our side. */
export class ContentError extends Error {
  /** Tells this error from others. */
  override readonly name = "ContentError";
}

/** Bodies up to this size go as one piece with a Content-Length; longer ones in chunks: `fetch` gives streams no length. */
const WHOLE_OCTETS = 256 * 1024;
/** Of the answer, for log and report. */
const MAX_ANSWER_OCTETS = 4 * 1024;

/**
 * Sends a message. Redirections are not followed: the message is for one address.
 *
 * @throws {ContentError} Before the application has the whole message.
 * @throws {TimeLimitError} Where nothing moved for too long.
 * @throws As `fetch`, and the reason of `signal`.
 */
export async function postMessage(post: WebhookPost, tools: WebhookTools, signal: AbortSignal): Promise<WebhookPosted> {
  signal.throwIfAborted();
  const timestamp = Math.floor(tools.clock.now() / 1000);
  const { content, form: { head, tail } } = post;
  const isWhole = head.length + content.octets + tail.length <= WHOLE_OCTETS;
  const whole = isWhole ? await wholeBody(post, signal) : undefined;
  const signature = await sign(post, timestamp, whole, signal);
  await using idle = new IdleLimit(tools.clock, tools.idleMs, signal);
  const sending: Sending = { isSent: isWhole };
  try {
    const response = await tools.fetch(post.url, {
      method: "POST",
      headers: headersOf(post.form, timestamp, signature),
      body: whole ?? bodyStream(post, idle, sending),
      redirect: "manual",
      signal: idle.signal,
    });
    const { isSent } = sending;
    idle.note();
    return { answer: { status: response.status, text: await answerText(response) }, isSent };
  } catch (error) {
    // The runtime tells either in words of its own.
    throw sending.error ?? (idle.signal.aborted ? idle.signal.reason : error);
  }
}

interface Sending {
  /** The last piece was taken. */
  isSent: boolean;
  /** Why the rest cannot be sent. */
  error?: unknown;
}

/** @see https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
function headersOf({ id, contentType }: WebhookForm, timestamp: number, signature: string): Record<string, string> {
  return {
    "content-type": contentType,
    "user-agent": "posthorn",
    "idempotency-key": id,
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": signature,
  };
}

async function sign(
  post: WebhookPost,
  timestamp: number,
  whole: Uint8Array | undefined,
  signal: AbortSignal,
): Promise<string> {
  const signer = new WebhookSigner(post.secret, post.form.id, timestamp);
  if (whole !== undefined) signer.update(whole);
  else for await (const piece of bodyPieces(post, signal)) signer.update(piece);
  return signer.signature();
}

async function wholeBody(post: WebhookPost, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const { content, form: { head, tail } } = post;
  const body = new Uint8Array(head.length + content.octets + tail.length);
  let at = 0;
  for await (const piece of bodyPieces(post, signal)) {
    body.set(piece, at);
    at += piece.length;
  }
  return body;
}

/** The octets of the body in order. @throws {ContentError} Before the tail, where the content is not what it was. */
async function* bodyPieces({ content, form }: WebhookPost, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  yield form.head;
  let octets = 0;
  try {
    for await (const chunk of content.inMemory === undefined ? content.chunks() : [content.inMemory]) {
      signal.throwIfAborted();
      octets += chunk.length;
      if (octets > content.octets) break;
      yield chunk;
    }
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ContentError(error instanceof Error ? error.message : String(error), { cause: error });
  }
  signal.throwIfAborted();
  if (octets !== content.octets) throw new ContentError(`${octets} of ${content.octets} octets came`);
  yield form.tail;
}

/** The body as `fetch` pulls it; no piece is read before the one in front of it was taken. */
function bodyStream(
  post: WebhookPost,
  idle: IdleLimit,
  sending: Sending,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const pieces = bodyPieces(post, idle.signal);
  return new ReadableStream({
    async pull(controller): Promise<void> {
      idle.note();
      const { done, value } = await pieces.next().catch((error) => {
        throw sending.error = error;
      });
      if (done === true) {
        sending.isSent = true;
        controller.close();
      } else {
        // The piece is valid only until the next one is read, which may be before this one is written.
        controller.enqueue(new Uint8Array(value));
      }
    },
    async cancel(): Promise<void> {
      await pieces.return(undefined);
    },
  }, { highWaterMark: 0 });
}

/** The first 4 KiB of an answer that is no web page, as one line. A text that breaks off counts as far as it came. */
async function answerText({ body, headers, statusText }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let left = MAX_ANSWER_OCTETS;
  try {
    for await (const chunk of body ?? []) {
      text += decoder.decode(chunk.subarray(0, left), { stream: true });
      left -= chunk.length;
      if (left <= 0) break; // Leaving the loop cancels the rest.
    }
  } catch {
    // The status was said; what follows is for people only.
  }
  const isPage = /html/i.test(headers.get("content-type") ?? "");
  return (isPage ? "" : oneLine(text)) || oneLine(statusText);
}

/** Aborts its signal after some time in which nothing was noted. */
class IdleLimit implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #controller = new AbortController();
  readonly #end = new AbortController();
  readonly #watching: Promise<void>;
  #lastMs: number;

  constructor(clock: Clock, limitMs: number, signal: AbortSignal) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#lastMs = clock.monotonic();
    if (signal.aborted) this.#controller.abort(signal.reason);
    signal.addEventListener("abort", () => this.#controller.abort(signal.reason), {
      once: true,
      signal: this.#end.signal,
    });
    this.#watching = this.#watch();
  }

  /** Aborted by the limit, by the signal that was given, or when this is disposed of. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something moved. */
  note(): void {
    this.#lastMs = this.#clock.monotonic();
  }

  async #watch(): Promise<void> {
    try {
      for (;;) {
        const leftMs = this.#lastMs + this.#limitMs - this.#clock.monotonic();
        if (leftMs <= 0) return this.#controller.abort(new TimeLimitError(`No answer within ${this.#limitMs} ms`));
        await this.#clock.sleep(leftMs, this.#end.signal);
      }
    } catch {
      // Disposed of.
    }
  }

  /** What is still under way is given up: an answer that came early leaves a body behind. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort();
    await this.#watching;
    this.#controller.abort();
  }
}
