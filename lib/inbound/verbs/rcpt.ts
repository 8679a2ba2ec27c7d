/** RCPT (RFC 5321 §4.1.1.3): who is let in, and who is not. */

import { isNonAscii } from "../../mail/mailbox.ts";
import { mayRelay } from "../../policy/relay.ts";
import type { RcptCommand } from "../../smtp/command.ts";
import { type Reply, reply, SmtpError } from "../../smtp/reply.ts";
import { BARE_POSTMASTER } from "../../smtp/path.ts";
import type { Session, Transaction } from "../session.ts";
import { checkFullDomain, checkRate } from "../submission.ts";
import type { Context } from "../verb.ts";
import { unknownParameter } from "./mail.ts";

/** Adds a recipient to the transaction. */
export function rcpt({ session, services }: Context, command: RcptCommand): Reply {
  const transaction = session.transaction as Transaction;
  if (transaction.chunks !== undefined) {
    throw new SmtpError(503, "5.5.1", "RCPT is not allowed after BDAT; send RSET first");
  }
  for (const keyword of command.parameters.keys()) throw unknownParameter(keyword);
  const forwardPath = command.forwardPath === BARE_POSTMASTER ? BARE_POSTMASTER : command.forwardPath.text;
  if (!transaction.smtpUtf8 && isNonAscii(forwardPath)) {
    throw new SmtpError(553, "5.6.7", "A non-ASCII address needs the SMTPUTF8 parameter");
  }
  if (transaction.accepted.length >= session.settings.limits.recipients) {
    throw new SmtpError(452, "4.5.3", "Too many recipients; send to the others in another transaction");
  }
  checkRate(session, services);
  try {
    return accept(session, transaction, forwardPath, command.forwardPath);
  } catch (error) {
    if (error instanceof SmtpError) {
      services.logger.info("Refused recipient <{recipient}> from {client}: {reply}", {
        recipient: forwardPath,
        reversePath: transaction.reversePath,
        client: session.client,
        reply: error.message,
      });
    }
    throw error;
  }
}

function accept(
  session: Session,
  transaction: Transaction,
  forwardPath: string,
  path: RcptCommand["forwardPath"],
): Reply {
  const { router, relayFrom } = session.settings;
  const resolved = router.resolveRecipient(path);
  switch (resolved.kind) {
    case "unknown":
      throw new SmtpError(550, "5.1.1", "No such mailbox here");
    case "remote":
      if (!mayRelay(session.clientAddress, session.login, relayFrom)) {
        throw new SmtpError(550, "5.7.1", "This server does not relay for you");
      }
      if (path !== BARE_POSTMASTER) checkFullDomain(session, path, "5.1.3");
      add(transaction, forwardPath, forwardPath);
      break;
    case "local":
      for (const target of resolved.targets) add(transaction, target, forwardPath);
      break;
  }
  transaction.accepted.push(forwardPath);
  return reply(250, "2.1.5", "Recipient OK");
}

/** Each address gets the message once, however often it was named (RFC 5321 §4.1.1.3 leaves that to us). */
function add(transaction: Transaction, address: string, original: string): void {
  if (transaction.addresses.has(address)) return;
  transaction.addresses.add(address);
  transaction.recipients.push(address === original ? { address } : { address, original });
}
