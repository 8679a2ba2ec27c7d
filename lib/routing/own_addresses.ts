/** Which addresses an account may send with (RFC 6409 §6.1): those that are its own. */

import { foldAddress } from "../mail/fold.ts";
import { type Mailbox, parseMailbox } from "../mail/mailbox.ts";
import { accountOf, asOurs, type Directory } from "./directory.ts";
import { expandMailbox } from "./expansion.ts";

/**
 * Decides whether an address belongs to an account and to nobody else: its own addresses under every name of their domain,
 * with any detail, and aliases that lead to this account alone, wherever it forwards its mail. Not what only a catch-all or
 * the fallback of postmaster brings to it: an alias gives such an address away.
 *
 * The same holds for a user without an account, where somebody else knows the users. Of a domain that is not ours, such a
 * user has the one address: what a detail is, and who has the other addresses, is not for us to say.
 *
 * @param account The address of the account or user.
 * @returns False where there is no such account, and nobody else knows the users.
 */
export function mayUse(directory: Directory, account: string, mailbox: Mailbox): boolean {
  const user = foldAddress(account);
  const own = directory.mailboxes.get(user);
  const ours = asOurs(directory, mailbox);
  if (own === undefined && !directory.hasOtherUsers) return false;
  if (ours === undefined) return directory.hasOtherUsers && foldAddress(mailbox.text) === user;
  for (const { address } of ours.names) {
    const holder = directory.mailboxes.get(address);
    // An account that forwards its mail elsewhere keeps its name.
    if (address === user || (holder !== undefined && holder === own)) return true;
    if (holder !== undefined) return false;
    if (directory.aliases.has(address)) {
      const { targets } = expandMailbox(directory, ours, { followsForwards: false, hasFallback: false });
      return targets.length > 0 && targets.every((target) => isOf(directory, target.address, user));
    }
  }
  return false;
}

/** Whether mail for an address is that of a user: the account, with or without a detail, or the one address. */
function isOf(directory: Directory, target: string, user: string): boolean {
  if (foldAddress(target) === user) return true;
  const mailbox = parseMailbox(target);
  const ours = mailbox === undefined ? undefined : asOurs(directory, mailbox);
  const account = ours === undefined ? undefined : accountOf(directory, ours);
  return account !== undefined && account === directory.mailboxes.get(user);
}
