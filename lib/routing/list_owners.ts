/** Looks whether the owners of lists can be written to: reports that nobody gets are of no use. */

import { parseMailbox } from "../mail/mailbox.ts";
import type { Directory } from "./directory.ts";
import { resolveRecipient } from "./recipient.ts";

/** A list whose owner is no mailbox of ours, though of a domain of ours. */
export interface OrphanedList {
  /** Its address. */
  readonly list: string;
  /** As configured. */
  readonly owner: string;
}

/** The lists whose owners do not exist; elsewhere, only delivery can tell. */
export function orphanedLists(directory: Directory): readonly OrphanedList[] {
  return [...directory.aliases].flatMap(([list, { owner }]) => {
    const mailbox = owner === undefined ? undefined : parseMailbox(owner);
    if (owner === undefined || mailbox === undefined) return [];
    const { kind } = resolveRecipient(directory, mailbox);
    return kind === "unknown" || kind === "refused" ? [{ list, owner }] : [];
  });
}
