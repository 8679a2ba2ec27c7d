/** What the class of a reply means to somebody who only wrote a message, and to who looks after the mail server. */

import type { ReplyClass } from "../mail/outcome.ts";
import { ASK_OWN_ADMIN, CHECK_ADDRESS, CONTACT, type Meaning, SEND_LATER, SHRINK } from "./meaning.ts";

/** By class. */
export const BY_CLASS: Readonly<Record<ReplyClass, Meaning>> = {
  unknownUser: { meaning: "There is no mailbox of this name at the destination.", advice: CHECK_ADDRESS },
  inactiveUser: { meaning: "The mailbox exists but is switched off.", advice: CONTACT },
  mailboxFull: { meaning: "The mailbox is full.", advice: SEND_LATER },
  greylisting: {
    meaning: "The destination puts off mail of senders that it does not know yet, to keep out spam.",
    advice: SEND_LATER,
    forAdmin:
      "Greylisting takes mail that comes again from the same address after some minutes. Where it never does, " +
      "mail from here may go out by changing addresses.",
  },
  rate: {
    meaning: "The destination takes no more mail from us, or for this recipient, at the time.",
    advice: SEND_LATER,
    forAdmin: "Send to it more slowly, and look for an account here that sends more than it should.",
  },
  reputation: {
    meaning: "The destination distrusts our mail server or your domain, because of mail that came from there before.",
    advice: ASK_OWN_ADMIN,
    forAdmin:
      "Look for spam that was sent from here: stolen passwords, forwarded spam, forms on web sites. Trust comes " +
      "back with some weeks of wanted mail.",
  },
  block: {
    meaning: "The address of our mail server, or your domain, is on a block list. It is hardly about this message.",
    advice: ASK_OWN_ADMIN,
    forAdmin: "Find and end what brought it on the list, then ask for its removal.",
  },
  authentication: {
    meaning: "The destination could not make sure that the message comes from your domain, or who our server is.",
    advice: ASK_OWN_ADMIN,
    forAdmin:
      "Check SPF, DKIM and DMARC of the sender's domain, and that the DNS name of our address (PTR) leads back " +
      "to it.",
  },
  policy: { meaning: "A rule of the destination forbids this message or its sender.", advice: CONTACT },
  content: {
    meaning: "The destination takes what is in the message for spam or dangerous, or cannot read it.",
    advice: "Send it in another form: as plain text, without attachments, with fewer links.",
  },
  size: { meaning: "The message is larger than the destination takes.", advice: SHRINK },
  relaying: {
    meaning: "The server that the message was handed to does not take mail for this recipient from us.",
    advice: "Check the address. If it is right, show this report to your own mail administrator.",
    forAdmin: "The MX records of the recipient's domain may name a wrong server, or the next server wants a login.",
  },
  system: { meaning: "The mail system of the destination has trouble of its own.", advice: SEND_LATER },
};
