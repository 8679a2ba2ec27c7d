/** The interface of everything that takes a message one hop further. */

import type { Content } from "../mail/content.ts";
import type { Envelope, EnvelopeRecipient } from "../mail/envelope.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { NextHop } from "./next_hop.ts";

/** One message and the recipients that share a next hop. */
export interface DeliveryRequest<H extends NextHop = NextHop> {
  readonly queueId: string;
  readonly envelope: Envelope;
  readonly content: Content;
  readonly hop: H;
  /** At least one; a subset of the envelope's recipients. */
  readonly recipients: readonly EnvelopeRecipient[];
  /** Aborted at shutdown: give up what is not final yet as `delayed`. */
  readonly signal: AbortSignal;
}

/** Takes messages one hop further. */
export interface DeliveryTarget<H extends NextHop = NextHop> {
  /**
   * Tries once.
   *
   * @returns One outcome for each recipient, in the same order. `delivered` and `relayed` only after the next hop took
   * responsibility. A problem of unknown nature is `delayed`, never `failed`.
   */
  deliver(request: DeliveryRequest<H>): Promise<readonly Outcome[]>;
}
