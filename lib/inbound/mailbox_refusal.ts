/** What mailboxes of ours refuse, in the words of SMTP. */

import type { Outcome } from "../mail/outcome.ts";
import { SmtpError } from "../smtp/reply.ts";

/** The reply for an outcome of a mailbox that is not `delivered`: its quota (RFC 5321 §4.2.3: 452 and 552), or a loop. */
export function mailboxRefusal({ action, status, text }: Outcome): SmtpError {
  switch (status) {
    case "4.2.2":
      return new SmtpError(452, "4.2.2", "Mailbox is full; try again later");
    case "4.3.1":
      return new SmtpError(452, "4.3.1", "Insufficient storage; try again later");
    case "5.2.2":
      return new SmtpError(552, "5.2.2", "Mailbox is full");
    case "5.2.3":
      return new SmtpError(552, "5.2.3", "Message is larger than the mailbox may hold");
    case "5.4.6":
      return new SmtpError(554, "5.4.6", "The message was delivered to this mailbox before: it is in a loop");
    default:
      // The detail is in the log.
      if (action === "delayed") return new SmtpError(451, "4.3.0", "Local problem; try again later");
      return new SmtpError(554, status, text);
  }
}
