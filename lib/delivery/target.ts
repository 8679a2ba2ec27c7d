/** The interface of everything that takes a message one hop further. */

import type { Content } from "../mail/content.ts";
import type { Envelope, EnvelopeRecipient } from "../mail/envelope.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { NextHop } from "./next_hop.ts";

/** One message and the recipients that share a next hop. */
export interface DeliveryRequest<H extends NextHop = NextHop> {
  /** The same at each attempt; names the message in log lines. */
  readonly queueId: string;
  /** With all recipients of the message, those of other next hops included. */
  readonly envelope: Envelope;
  /** What was received, without the trace fields: the target puts `envelope.trace` in front. */
  readonly content: Content;
  /** The next hop that routing chose for all of `recipients`. */
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

/** A message that is being taken while it comes. Exactly one of `finish` and `abort` ends it. */
export interface OpenDelivery {
  /** Takes the next octets of the content, each call after the last has resolved. @throws What the disk said. */
  write(piece: Uint8Array): Promise<void>;
  /** The content is complete. @returns The outcome, the same for each recipient; never rejected. */
  finish(): Promise<Outcome>;
  /** Forgets the message. Never throws. */
  abort(): Promise<void>;
}
