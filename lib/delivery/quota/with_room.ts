/** Puts a message into a mailbox within its quota. */

import type { Outcome } from "../../mail/outcome.ts";
import { deliveryFields } from "../delivery_fields.ts";
import type { DeliveryRequest } from "../target.ts";
import type { Leeway } from "./leeway.ts";
import type { MailboxQuotas } from "./mailbox_quotas.ts";
import type { QuotaWarning } from "./warning.ts";

/** A message on its way into a mailbox. */
export interface IncomingMail extends Pick<DeliveryRequest, "envelope" | "content"> {
  /** Canonical address of the account. */
  readonly account: string;
  /** How far it may go over the quota. */
  readonly leeway: Leeway;
}

/** What became of it. */
export type RoomResult =
  /** It was not put there. */
  | { readonly refusal: Outcome; readonly warning?: never }
  /** It is there. The warning, if any, is to be put into the same mailbox, with the leeway `any`. */
  | { readonly refusal?: never; readonly warning: QuotaWarning | undefined };

/**
 * Takes room for a message, stores it, and counts it; gives the room back where it could not be stored.
 *
 * @param quotas Absent: there is always room.
 * @param store Puts it there, and gives the octets of its file.
 * @throws What `store` throws, and what the disk said about the mailbox.
 */
export async function withRoom(
  quotas: MailboxQuotas | undefined,
  { account, envelope, content, leeway }: IncomingMail,
  store: () => Promise<number>,
): Promise<RoomResult> {
  if (quotas?.applyTo(account) !== true) return { warning: void await store() };
  const room = await quotas.reserve(account, deliveryFields(account, envelope).length + content.octets, leeway);
  if (room === undefined) return { warning: void await store() };
  if ("action" in room) return { refusal: room };
  let octets: number;
  try {
    octets = await store();
  } catch (error) {
    room.release();
    throw error;
  }
  return { warning: await room.commit(octets) };
}
