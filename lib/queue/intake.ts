/** A message on its way in: it ends in the mailboxes that it is for, in the spool, or nowhere. */

import { memoryContent } from "../mail/content.ts";
import type { Envelope } from "../mail/envelope.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { DirectDelivery } from "./direct_delivery.ts";
import { IntakeStream } from "./intake_stream.ts";
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
  /** Nothing of it is kept: no mailbox takes it, or (`delayed`) the one that it was for does not just now. */
  | { readonly kind: "refused"; readonly outcome: Outcome };

/** What is known of a message while its content comes. */
export interface Draft {
  /** As it would be written now. */
  readonly envelope: Envelope;
  /** The whole header section. */
  readonly header: Uint8Array;
}

/** What an intake works with. */
export interface IntakeOptions {
  /** For what does not go directly. */
  readonly reception: Reception;
  /** Absent: all goes through the spool. */
  readonly direct?: DirectDelivery | undefined;
  /** Undefined while the header section is not complete, or too long to be kept. */
  readonly draft: () => Draft | undefined;
  /**
   * Longer content is written into its mailbox while it comes; shorter content is complete before anything is written.
   * Default: 64 KiB.
   */
  readonly streamFromOctets?: number;
}

const STREAM_FROM_OCTETS = 64 * 1024;

/** Takes one message. Exactly one of `commit` and `abort` ends it; `abort` after either does nothing. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #reception: Reception;
  #stream: IntakeStream | undefined;
  #mayStream: boolean;

  /** Takes nothing yet. */
  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#reception = options.reception;
    this.#mayStream = options.direct !== undefined;
  }

  /** Names the message. */
  get queueId(): string {
    return this.#reception.queueId;
  }

  /** Octets taken so far. */
  get octets(): number {
    return this.#stream?.octets ?? this.#reception.octets;
  }

  /**
   * Takes octets, as {@linkcode Reception.write}. Where it returns a promise, nobody may change them before that settles:
   * content that streams through is never copied, because copies of 50 MB would pile up until they are collected.
   */
  write(octets: Uint8Array): Promise<void> | undefined {
    if (this.#mayStream) this.#considerStream(octets.length);
    return this.#stream === undefined ? this.#reception.write(octets) : this.#stream.write(octets);
  }

  /**
   * Makes the message durable: when this resolves with `taken`, the reply may be 250.
   *
   * @throws {Deno.errors} Whatever the disk said; the message then does not exist, but in mailboxes that took it.
   */
  async commit(envelope: Envelope): Promise<Stored> {
    if (this.#stream !== undefined) {
      const stored = await this.#stream.finish();
      if (stored !== "spooled") return stored;
      return { kind: "taken", queued: await this.#reception.commit(envelope), announce: (): void => {} };
    }
    const { queueId, inMemory } = this.#reception;
    const result = inMemory === undefined
      ? undefined
      : await this.#options.direct?.deliver({ queueId, envelope, content: memoryContent(inMemory) });
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
  async abort(): Promise<void> {
    await this.#stream?.abort();
    await this.#reception.abort();
  }

  /** Begins a stream where the message has become long. @param octets That come now. */
  #considerStream(octets: number): void {
    const { reception, direct, draft, streamFromOctets = STREAM_FROM_OCTETS } = this.#options;
    if (reception.octets + octets <= streamFromOctets) return;
    this.#mayStream = false;
    const known = reception.inMemory === undefined ? undefined : draft();
    if (known !== undefined && direct !== undefined) this.#stream = new IntakeStream({ ...known, reception, direct });
  }
}
