/** What final delivery puts in front of a message. */

import type { Envelope } from "../mail/envelope.ts";
import { deliveredTo } from "./delivered_to.ts";

const encoder = new TextEncoder();

/**
 * Returns the fields of final delivery and the trace fields of reception, newest first, lines ending with CRLF.
 *
 * @param account Canonical address of the account that the message is delivered to.
 * @see RFC 5321 §4.4
 */
export function deliveryFields(
  account: string,
  { reversePath, trace }: Pick<Envelope, "reversePath" | "trace">,
): Uint8Array {
  return encoder.encode(`Return-Path: <${reversePath}>\r\n${deliveredTo(account)}${trace}`);
}
