/** A spool in memory that keeps envelopes and journals as the one on disk does, and a million of them. */

import type { Content } from "../../lib/mail/content.ts";
import { memoryContent } from "../../lib/mail/content.ts";
import type { Envelope } from "../../lib/mail/envelope.ts";
import { applyEvent, initialStates } from "../../lib/queue/journal.ts";
import { QueueIds, type QueueIdsOptions } from "../../lib/queue/queue_id.ts";
import type { QueuedMessage, Reception, Spool, SpoolEvent } from "../../lib/queue/spool.ts";

/** Messages are copied in and out: what the queue does to one that it has changes nothing here. */
export class JournalSpool implements Spool {
  readonly #ids: QueueIds;
  readonly #messages: Map<string, QueuedMessage> = new Map();
  /** The most messages that there were at a time. */
  most = 0;
  /** Events recorded, by kind. */
  readonly events: Map<string, number> = new Map();
  /** Messages read back. */
  loads = 0;

  constructor(options: QueueIdsOptions) {
    this.#ids = new QueueIds(options);
  }

  /** Messages that are not done. */
  get size(): number {
    return this.#messages.size;
  }

  receive(): Reception {
    const queueId = this.#ids.next();
    const pieces: Uint8Array[] = [];
    return {
      queueId,
      octets: 0,
      write: (octets) => void pieces.push(octets.slice()),
      commit: (envelope) => Promise.resolve(this.accept(envelope, memoryContent(new Uint8Array(2048)), queueId)),
      abort: () => Promise.resolve(),
    };
  }

  /** Takes a message, as `receive` and `commit` do. */
  accept(envelope: Envelope, content: Content, queueId: string = this.#ids.next()): QueuedMessage {
    const message = { queueId, envelope, content, recipients: initialStates(envelope), isHeld: false };
    this.#messages.set(queueId, message);
    this.most = Math.max(this.most, this.#messages.size);
    return copyOf(message);
  }

  load(queueId: string): Promise<QueuedMessage | undefined> {
    const message = this.#messages.get(queueId);
    this.loads++;
    return Promise.resolve(message && copyOf(message));
  }

  append(queueId: string, events: readonly SpoolEvent[]): Promise<void> {
    const message = this.#messages.get(queueId);
    if (message === undefined) return Promise.reject(new Deno.errors.NotFound(queueId));
    for (const event of events) {
      this.events.set(event.event, (this.events.get(event.event) ?? 0) + 1);
      applyEvent(message, event);
    }
    return Promise.resolve();
  }

  remove(queueId: string): Promise<void> {
    this.#messages.delete(queueId);
    return Promise.resolve();
  }

  async *recover(): AsyncGenerator<QueuedMessage> {
    for (const queueId of [...this.#messages.keys()]) {
      const message = await Promise.resolve(this.#messages.get(queueId));
      if (message !== undefined) yield copyOf(message);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

function copyOf(message: QueuedMessage): QueuedMessage {
  return { ...message, recipients: message.recipients.map((state) => ({ ...state })) };
}
