/**
 * Filing: into which folders of a mailbox a message goes. This is the one place where mail is sorted: a filter of
 * the user (Sieve, RFC 5228) or a verdict of a policy (quarantine is `.Junk`, made where missing) is another `Filing`.
 */

import type { Content } from "../../mail/content.ts";
import type { Envelope, EnvelopeRecipient } from "../../mail/envelope.ts";
import type { Files } from "../../system/files.ts";
import { INBOX_FOLDER } from "./folder_name.ts";
import { findFolder, type FolderList, listFolders } from "./subfolders.ts";

/** One copy of a message in a mailbox. */
export interface Placement {
  /** Name of the folder on the disk, by folder_name.ts, e.g. `.Archive.2026`; empty: the inbox. */
  readonly folder: string;
  /** The folder is made, and subscribed to, where it is missing. False: mail goes to the inbox then. */
  readonly isMade: boolean;
  /** Letters of the Maildir specification, e.g. `FS` for flagged and seen; with any, the message counts as looked at. */
  readonly flags: string;
}

/** What filing may look at: one attempt to deliver one message, the same object for all of its recipients. */
export interface FilingMessage {
  /** Whose mailbox it is. */
  readonly account: string;
  /** Path of the mailbox; need not exist yet. */
  readonly mailbox: string;
  /** With all recipients of the message. */
  readonly envelope: Envelope;
  /** As received. */
  readonly content: Content;
}

/**
 * Says where a message goes for one recipient that led to the mailbox. Recipients with an equal placement share one
 * copy.
 *
 * @returns At least one placement. Where one of several fails, the recipient is tried again with all of them.
 * @throws {Error} What the disk said: the recipient is delayed.
 */
export type Filing = (message: FilingMessage, recipient: EnvelopeRecipient) => Promise<readonly Placement[]>;

/** Where mail goes that nothing else is known about. */
export const INBOX: Placement = { folder: INBOX_FOLDER, isMade: false, flags: "" };

/** Everything goes to the inbox. */
export const inboxFiling: Filing = (): Promise<readonly Placement[]> => Promise.resolve([INBOX]);

/** What filing by subaddress needs. */
export interface SubaddressOptions {
  /** The disk. */
  readonly files: Files;
  /** What a forward-path of the queue says behind the name of its mailbox, as it came; undefined: nothing. */
  readonly detailOf: (address: string) => string | undefined;
}

/**
 * Files `user+folder` into that folder, where it exists: senders write the address, so they make no folder. Without it,
 * or where the detail cannot be the name of a folder, mail goes to the inbox.
 */
export function subaddressFiling({ files, detailOf }: SubaddressOptions): Filing {
  // One message may have a thousand recipients: what they are looked for in is read once.
  const lists = new WeakMap<FilingMessage, Promise<FolderList>>();
  return async (message, { address }) => {
    const detail = detailOf(address);
    if (detail === undefined) return [INBOX];
    const { mailbox } = message;
    const folder = await findFolder(files, mailbox, detail, () => {
      const list = lists.get(message) ?? listFolders(files, mailbox);
      lists.set(message, list);
      return list;
    });
    return [folder === undefined ? INBOX : { ...INBOX, folder }];
  };
}
