/** Delivered-To: the mark by which a message that comes back to an address is known. */

import type { Content } from "../mail/content.ts";
import { fieldValue, headerFields, isFieldNamed, readHeaderSection } from "../mail/header.ts";

/** How much of a header section is searched; a longer one is no honest mail. */
const MAX_HEADER_OCTETS = 256 * 1024;

/** The field that goes in front of a message which this address of ours takes or sends on. */
export function deliveredTo(address: string): string {
  return `Delivered-To: ${address}\r\n`;
}

/** True where the header section has a Delivered-To of the address: an alias or a forwarder leads back to it. */
export async function wasDeliveredTo(address: string, content: Content): Promise<boolean> {
  const { octets } = await readHeaderSection(content, MAX_HEADER_OCTETS);
  const wanted = address.toLowerCase();
  for (const field of headerFields(octets)) {
    if (!isFieldNamed(octets, field, "delivered-to")) continue;
    if (fieldValue(octets, field).replace(/^<(.*)>$/, "$1").toLowerCase() === wanted) return true;
  }
  return false;
}
