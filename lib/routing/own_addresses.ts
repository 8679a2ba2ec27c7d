/** Which addresses an account may send with (RFC 6409 §6.1): those that are its own. */

import { foldAddress } from "../mail/fold.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import { asOurs, type Directory } from "./directory.ts";
import { targetsOf } from "./recipient.ts";

/**
 * Decides whether an address belongs to an account and to nobody else: its own address under every name of its domain,
 * with any detail, and aliases that lead to this account alone. Not what only a catch-all or the fallback of postmaster
 * brings to it: an alias gives such an address away.
 *
 * The same holds for a user without an account, where somebody else knows the users. Of a domain that is not ours, such a
 * user has the one address: what a detail is, and who has the other addresses, is not for us to say.
 *
 * @param account The address of the account or user.
 * @returns False where there is no such account, and nobody else knows the users.
 */
export function mayUse(directory: Directory, account: string, mailbox: Mailbox): boolean {
  const address = foldAddress(account);
  const ours = asOurs(directory, mailbox);
  if (!directory.accounts.has(address) && !directory.hasOtherUsers) return false;
  if (ours === undefined) return directory.hasOtherUsers && foldAddress(mailbox.text) === address;
  for (const candidate of [ours.address, ...ours.bases]) {
    // An account that forwards its mail elsewhere keeps its name.
    if (candidate === address) return true;
    if (directory.accounts.has(candidate)) return false;
    if (directory.aliases.has(candidate)) {
      const [target, ...others] = targetsOf(directory, ours);
      return target !== undefined && others.length === 0 && foldAddress(target.address) === address;
    }
  }
  return false;
}
