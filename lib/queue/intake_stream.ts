/** A long message that is written into its mailbox while it comes; or into the spool, where the mailbox cannot be begun. */

import { memoryContent } from "../mail/content.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { DirectDelivery, DirectStream } from "./direct_delivery.ts";
import type { Draft, Stored } from "./intake.ts";
import type { Reception } from "./spool.ts";

/** What a stream begins with. */
export interface IntakeStreamOptions extends Draft {
  /** Has in memory what came so far; it takes the rest where the mailbox does not. */
  readonly reception: Reception;
  /** Opens the mailbox. */
  readonly direct: DirectDelivery;
}

/** Writes piece after piece. */
export class IntakeStream {
  readonly #reception: Reception;
  #octets: number;
  /** Where the message goes; known once it is settled. */
  #target: DirectStream | Outcome | "spool" = "spool";
  /** The opening, and all writes so far. Rejected once the disk failed. */
  #written: Promise<void>;

  /** Begins at once. */
  constructor(options: IntakeStreamOptions) {
    this.#reception = options.reception;
    this.#octets = options.reception.octets;
    this.#written = this.#open(options);
    this.#written.catch(() => {});
  }

  /** Octets taken so far. */
  get octets(): number {
    return this.#octets;
  }

  /** Takes the next octets, which nobody may change before the promise settles. @returns Resolved when they are written. */
  write(octets: Uint8Array): Promise<void> {
    this.#octets += octets.length;
    this.#written = this.#written.then(() => this.#put(octets));
    this.#written.catch(() => {});
    return this.#written;
  }

  /**
   * Ends the message.
   *
   * @returns `spooled` where all of it is in the reception, which is to be committed.
   * @throws What the disk said.
   */
  async finish(): Promise<Stored | "spooled"> {
    await this.#written;
    const target = this.#target;
    if (target === "spool") return "spooled";
    if ("action" in target) return { kind: "refused", outcome: target };
    const outcome = await target.finish();
    if (outcome.action !== "delivered") return { kind: "refused", outcome };
    return { kind: "taken", announce: () => target.announce(outcome) };
  }

  /** Forgets what was written into the mailbox. Never throws. */
  async abort(): Promise<void> {
    await this.#written.catch(() => {});
    const target = this.#target;
    if (target !== "spool" && !("action" in target)) await target.abort();
  }

  async #open({ reception, direct, envelope, header }: IntakeStreamOptions): Promise<void> {
    const { queueId, inMemory } = reception;
    const target = await direct.open({ queueId, envelope, content: memoryContent(header) });
    if (target === undefined) return;
    this.#target = target;
    if (!("action" in target) && inMemory !== undefined) await target.write(inMemory);
    // Its memory is free for others.
    await this.#reception.abort();
  }

  async #put(octets: Uint8Array): Promise<void> {
    const target = this.#target;
    if (target === "spool") await this.#reception.write(octets);
    else if (!("action" in target)) await target.write(octets);
  }
}
