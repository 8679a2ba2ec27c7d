/** What an enhanced status code means to somebody who only wrote a message (RFC 3463, RFC 7505, RFC 7372). */

import type { ReplyClass } from "../mail/outcome.ts";

/** An explanation in plain words. */
export interface Meaning {
  /** What is the matter. */
  readonly meaning: string;
  /** What the sender of the message can do about it, once it has failed. */
  readonly advice: string;
  /** What the administrator of this server can do about it. */
  readonly forAdmin?: string;
}

/** An explanation of a code, which says more than that of the class named. */
interface CodeMeaning extends Meaning {
  readonly fits?: ReplyClass;
}

/** Advice about an address. */
export const CHECK_ADDRESS = "Check the address for typing errors, or ask the recipient for the current one.";
/** Advice where only the other side can help. */
export const CONTACT =
  "Tell the recipient in another way, for example by telephone, and show the reply above to their mail administrator.";
/** Advice where time helps. */
export const SEND_LATER = "Send the message again later. If it fails again, tell the recipient in another way.";
/** Advice about size. */
export const SHRINK = "Send less: shrink the attachments, or put the files somewhere else and send a link.";
/** Advice where our side can help. */
export const ASK_OWN_ADMIN = "Show this report to your own mail administrator.";

/** By subject and detail of the code: `1.1` for 5.1.1 and 4.1.1. */
const BY_CODE: Readonly<Record<string, CodeMeaning>> = {
  "1.1": {
    fits: "unknownUser",
    meaning: "There is no mailbox of this name at the destination.",
    advice: CHECK_ADDRESS,
  },
  "1.2": { meaning: "The domain of the address does not exist or takes no mail.", advice: CHECK_ADDRESS },
  "1.3": { meaning: "The address is not written correctly.", advice: CHECK_ADDRESS },
  "1.6": {
    fits: "unknownUser",
    meaning: "The recipient has moved, and the new address is not known.",
    advice: CHECK_ADDRESS,
  },
  "1.7": { meaning: "Your own address was refused as not written correctly.", advice: ASK_OWN_ADMIN },
  "1.8": { fits: "authentication", meaning: "The domain of your own address was refused.", advice: ASK_OWN_ADMIN },
  "1.10": { meaning: "The domain of the address states that it takes no mail.", advice: CHECK_ADDRESS },
  "2.1": { fits: "inactiveUser", meaning: "The mailbox exists but is switched off.", advice: CONTACT },
  "2.2": { fits: "mailboxFull", meaning: "The mailbox is full.", advice: SEND_LATER },
  "2.3": { fits: "size", meaning: "The message is larger than this mailbox takes.", advice: SHRINK },
  "3.1": { fits: "system", meaning: "The disk of the destination is full.", advice: SEND_LATER },
  "3.2": { fits: "system", meaning: "The destination takes no messages at the moment.", advice: SEND_LATER },
  "3.4": { fits: "size", meaning: "The message is larger than the destination takes.", advice: SHRINK },
  "4.1": { meaning: "The mail server of the destination did not answer.", advice: SEND_LATER },
  "4.2": { meaning: "The connection to the mail server of the destination broke off.", advice: SEND_LATER },
  "4.3": {
    meaning: "The directory (DNS) that names the mail server of the destination gave no answer.",
    advice: SEND_LATER,
  },
  "4.4": { meaning: "No mail server was found for the destination.", advice: CHECK_ADDRESS },
  "4.6": { meaning: "The message went round in a circle between mail servers.", advice: CONTACT },
  "4.7": { meaning: "The message could not be delivered within the time allowed.", advice: SEND_LATER },
  "5.3": {
    fits: "rate",
    meaning: "The message has more recipients than the destination takes at a time.",
    advice: "Send it to fewer recipients at a time.",
  },
  "6.7": {
    meaning: "The destination cannot take addresses with letters outside A to Z.",
    advice: "Ask the recipient for another address.",
  },
  "7.1": { meaning: "The destination does not allow this message or its sender.", advice: CONTACT },
  "7.8": {
    fits: "relaying",
    meaning: "The next mail server did not accept our name and password.",
    advice: ASK_OWN_ADMIN,
  },
  "7.10": {
    fits: "policy",
    meaning: "The destination could not be reached over an encrypted connection, which is required.",
    advice: ASK_OWN_ADMIN,
  },
  "7.20": {
    fits: "authentication",
    meaning: "The destination found no valid DKIM signature of your domain.",
    advice: ASK_OWN_ADMIN,
  },
  "7.23": {
    fits: "authentication",
    meaning: "The destination found that our server may not send for your domain (SPF).",
    advice: ASK_OWN_ADMIN,
  },
  "7.25": {
    fits: "authentication",
    meaning: "The destination does not accept the DNS name of our server.",
    advice: ASK_OWN_ADMIN,
  },
  "7.26": {
    fits: "authentication",
    meaning: "The destination could not confirm that the message comes from your domain (SPF, DKIM, DMARC).",
    advice: ASK_OWN_ADMIN,
  },
};

/** By subject alone, for details not named above (RFC 3463 §3). */
const BY_SUBJECT: Readonly<Record<string, Meaning>> = {
  "1": { meaning: "There is a problem with the address.", advice: CHECK_ADDRESS },
  "2": { meaning: "There is a problem with the mailbox of the recipient.", advice: CONTACT },
  "3": { meaning: "There is a problem with the mail system of the destination.", advice: SEND_LATER },
  "4": { meaning: "There is a problem with the network or the way to the destination.", advice: SEND_LATER },
  "5": { meaning: "The mail servers did not understand each other.", advice: CONTACT },
  "6": {
    meaning: "The destination cannot take the content of the message.",
    advice: "Send the message in another form, for example as plain text without attachments.",
  },
  "7": { meaning: "The destination refused the message for reasons of security or policy.", advice: CONTACT },
};

const UNKNOWN: Meaning = {
  meaning: "The destination did not take the message and gave no closer reason.",
  advice: CONTACT,
};

/** Explains an enhanced status code such as `5.1.1`; of an unknown one, its subject; else in general. */
export function explainStatus(status: string): Meaning {
  const [, subject = "", detail = ""] = status.split(".");
  return BY_CODE[`${subject}.${detail}`] ?? BY_SUBJECT[subject] ?? UNKNOWN;
}

/** True where the explanation of the code says all that the class says, and more. */
export function fitsClass(status: string, replyClass: ReplyClass): boolean {
  const [, subject = "", detail = ""] = status.split(".");
  return BY_CODE[`${subject}.${detail}`]?.fits === replyClass;
}
