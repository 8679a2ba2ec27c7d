/** What final delivery puts in front of a message, and recognises when it comes back. */

import type { Content } from "../mail/content.ts";
import type { Envelope } from "../mail/envelope.ts";
import { fieldValue, headerFields, isFieldNamed, readHeaderSection } from "../mail/header.ts";

/** How much of a header section is searched for our Delivered-To; a longer one is no honest mail. */
const MAX_HEADER_OCTETS = 256 * 1024;

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
  return encoder.encode(`Return-Path: <${reversePath}>\r\nDelivered-To: ${account}\r\n${trace}`);
}

/** True where the header section has a Delivered-To of the account: an alias or a forwarder leads back to it. */
export async function wasDeliveredTo(account: string, content: Content): Promise<boolean> {
  const { octets } = await readHeaderSection(content, MAX_HEADER_OCTETS);
  const wanted = account.toLowerCase();
  for (const field of headerFields(octets)) {
    if (!isFieldNamed(octets, field, "delivered-to")) continue;
    if (fieldValue(octets, field).replace(/^<(.*)>$/, "$1").toLowerCase() === wanted) return true;
  }
  return false;
}
