/** A message on its way in: it ends in the mailboxes that it is for, in the spool, or nowhere. */

import { memoryContent } from "../mail/content.ts";
import type { Envelope } from "../mail/envelope.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { DeliverDirectly } from "./direct_delivery.ts";
import type { QueuedMessage, Reception } from "./spool.ts";

/** What became of a complete message. */
export type Stored =
  /** It is durable. */
  | {
    readonly kind: "taken";
    /** For the queue, where something is left to do. */
    readonly queued?: QueuedMessage;
    /** Logs what was delivered already. */
    announce(): void;
  }
  /** No mailbox takes it: nothing of it is kept. */
  | { readonly kind: "refused"; readonly outcome: Outcome };

/** Takes one message. Exactly one of `commit` and `abort` ends it; `abort` after either does nothing. */
export class Intake {
  readonly #reception: Reception;
  readonly #deliverDirectly: DeliverDirectly | undefined;

  /** Takes the reception of the spool for what does not go directly. */
  constructor(reception: Reception, deliverDirectly?: DeliverDirectly) {
    this.#reception = reception;
    this.#deliverDirectly = deliverDirectly;
  }

  /** Names the message. */
  get queueId(): string {
    return this.#reception.queueId;
  }

  /** Octets taken so far. */
  get octets(): number {
    return this.#reception.octets;
  }

  /** Takes octets, as {@linkcode Reception.write}. */
  write(octets: Uint8Array): Promise<void> | undefined {
    return this.#reception.write(octets);
  }

  /**
   * Makes the message durable: when this resolves with `taken`, the reply may be 250.
   *
   * @throws {Deno.errors} Whatever the disk said; the message then does not exist, but in mailboxes that took it.
   */
  async commit(envelope: Envelope): Promise<Stored> {
    const { queueId, inMemory } = this.#reception;
    const result = inMemory === undefined
      ? undefined
      : await this.#deliverDirectly?.({ queueId, envelope, content: memoryContent(inMemory) });
    if (result?.kind === "delivered" || result?.kind === "refused") await this.abort();
    if (result?.kind === "delivered") return { kind: "taken", announce: result.announce };
    if (result?.kind === "refused") return result;
    const queued = await this.#reception.commit(result?.envelope ?? envelope).catch((error) => {
      // Its client sends it again: whoever finds a message twice finds here why.
      result?.announce();
      throw error;
    });
    return { kind: "taken", queued, announce: result?.announce ?? ((): void => {}) };
  }

  /** Forgets the message. Never throws. */
  abort(): Promise<void> {
    return this.#reception.abort();
  }
}
