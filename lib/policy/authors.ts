/** Whom a message says that it is from (RFC 5322 §3.6.2), and whether the sender may say so. */

import { parseAddressList } from "../mail/address_list.ts";
import { fieldValue, headerFields, isFieldNamed } from "../mail/header.ts";
import type { Mailbox } from "../mail/mailbox.ts";

/** A field that names somebody else, or that cannot be read; with the name of the field. */
export type AuthorProblem =
  | { readonly kind: "foreign"; readonly field: "From" | "Sender"; readonly mailbox: Mailbox }
  | { readonly kind: "unreadable"; readonly field: "From" | "Sender" };

/**
 * Finds an author that is not the sender's own. Every mailbox of every From and Sender field must be: programs differ in
 * which of several they show. So a Sender field (RFC 5322 §3.6.2) gives no right to write in the name of others.
 *
 * A message without these fields names nobody, and passes. A field that cannot be read does not, as others may find an
 * address in it; nor does one with empty groups only (RFC 5322 §3.4), whose names stand in for an address.
 *
 * @param header The whole header section.
 */
export function findForeignAuthor(
  header: Uint8Array,
  isOwn: (mailbox: Mailbox) => boolean,
): AuthorProblem | undefined {
  for (const found of headerFields(header)) {
    const field = isFieldNamed(header, found, "from")
      ? "From"
      : isFieldNamed(header, found, "sender")
      ? "Sender"
      : undefined;
    if (field === undefined) continue;
    const mailboxes = parseAddressList(fieldValue(header, found));
    if (mailboxes === undefined || mailboxes.length === 0) return { kind: "unreadable", field };
    const mailbox = mailboxes.find((mailbox) => !isOwn(mailbox));
    if (mailbox !== undefined) return { kind: "foreign", field, mailbox };
  }
  return undefined;
}
