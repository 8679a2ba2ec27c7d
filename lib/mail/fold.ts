/** The one rule by which addresses of our own domains are compared. */

import { isNonAscii } from "./mailbox.ts";

/**
 * Folds a canonical address, so that two spellings of one mailbox of ours become equal text: lower case, and NFC for
 * the local part of RFC 6531. RFC 5321 §2.4 lets only the host of a mailbox do this, so it is never applied to others.
 *
 * @param address The `text` of a mailbox; its domain is lower case already.
 */
export function foldAddress(address: string): string {
  if (!isNonAscii(address)) return address.toLowerCase();
  // Some capital letters are two characters where the small one is one: composed again, folding twice changes nothing.
  return address.normalize("NFC").toLowerCase().normalize("NFC");
}
