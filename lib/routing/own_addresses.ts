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
 * @param account Its address.
 * @returns False where there is no such account.
 */
export function mayUse(directory: Directory, account: string, mailbox: Mailbox): boolean {
  const login = directory.accounts.get(foldAddress(account));
  const ours = asOurs(directory, mailbox);
  if (login === undefined || ours === undefined) return false;
  for (const candidate of [ours.address, ...ours.bases]) {
    const owner = directory.accounts.get(candidate);
    // An account that forwards its mail elsewhere keeps its name.
    if (owner !== undefined) return owner === login;
    if (directory.aliases.has(candidate)) {
      const targets = targetsOf(directory, ours);
      return targets.length === 1 && targets[0] === login.address;
    }
  }
  return false;
}
