/** Which address a user has whom somebody else knows: a Dovecot that checks logins. */

import { foldAddress } from "../mail/fold.ts";
import { parseMailbox } from "../mail/mailbox.ts";
import { asOurs, type Directory } from "./directory.ts";

/**
 * Finds the address of a user. A name with "@" is the address, in one spelling: folded, and in the domain that has the
 * mailboxes where it is under another name of a domain of ours. A name without "@" is a mailbox of our one domain; with
 * several domains that have mailboxes nobody could say of which, and the user has no address.
 *
 * @param user As the other one names the user.
 * @returns Undefined where the user has no address.
 */
export function userAddress(directory: Directory, user: string): string | undefined {
  const mailbox = parseMailbox(user.includes("@") ? user : `${user}@${onlyDomain(directory) ?? ""}`);
  if (mailbox === undefined) return undefined;
  return asOurs(directory, mailbox)?.address ?? foldAddress(mailbox.text);
}

/** The one domain that has mailboxes and is not another name of one; undefined where there are several. */
function onlyDomain({ domains }: Directory): string | undefined {
  const [only, ...others] = [...domains.values()].filter(({ aliasOf }) => aliasOf === undefined);
  return others.length === 0 ? only?.name : undefined;
}
