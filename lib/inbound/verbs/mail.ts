/** MAIL (RFC 5321 §4.1.1.2). */

import type { MailOptions } from "../../mail/envelope.ts";
import type { EsmtpParameters, MailCommand } from "../../smtp/command.ts";
import { type Reply, reply, SmtpError } from "../../smtp/reply.ts";
import type { Context } from "../verb.ts";
import { checkReversePath } from "../submission.ts";
import { readMailParameters } from "../extensions.ts";
import type { Session, Transaction } from "../session.ts";

/** Starts a transaction, where there is room for a message. */
export function mail(context: Context, { reversePath, isUtf8, parameters }: MailCommand): Reply | Promise<Reply> {
  const { session, services } = context;
  if (session.transaction !== undefined) {
    throw new SmtpError(503, "5.5.1", "A transaction is open already; end it with DATA or RSET");
  }
  if (services.isDraining?.() === true) {
    throw new SmtpError(451, "4.3.2", "This server takes no new mail for now; try again later");
  }
  const { options, isLowered } = allowedPriority(session, readMailParameters(context, parameters));
  const path = reversePath?.text ?? "";
  if (isUtf8 && !options.smtpUtf8) {
    throw new SmtpError(553, "5.6.7", "A non-ASCII address needs the SMTPUTF8 parameter");
  }
  try {
    checkReversePath(session, reversePath);
  } catch (error) {
    if (error instanceof SmtpError) {
      services.logger.info("Refused sender <{reversePath}> from {client}, login {login}: {reply}", {
        reversePath: path,
        client: session.client,
        login: session.login ?? "none",
        reply: error.message,
      });
    }
    throw error;
  }
  const begin = (hasRoom: boolean): Reply => {
    // RFC 1870 §6.1
    if (!hasRoom) throw new SmtpError(452, "4.3.1", "Insufficient storage; try again later");
    session.transaction = {
      reversePath: path,
      options,
      ...announced(parameters),
      recipients: [],
      addresses: new Map(),
      accepted: [],
      chunks: undefined,
    };
    // RFC 6710 §4.1
    if (isLowered) return reply(250, "2.3.6", "0 is the priority of this message; a higher one needs a login");
    return reply(250, "2.1.0", "Sender OK");
  };
  const hasRoom = services.room?.hasRoomFor(Number(parameters.get("SIZE") ?? 0)) ?? true;
  return typeof hasRoom === "boolean" ? begin(hasRoom) : hasRoom.then(begin);
}

/** What SIZE says, which was found to be a number. */
function announced(parameters: EsmtpParameters): Pick<Transaction, "announcedOctets"> {
  const value = parameters.get("SIZE");
  return value === undefined ? {} : { announcedOctets: Number(value) };
}

/** A message goes before those of others only for users who logged in (RFC 6710 §4.1). */
function allowedPriority(
  session: Session,
  options: MailOptions,
): { readonly options: MailOptions; readonly isLowered: boolean } {
  const isLowered = (options.priority ?? 0) > 0 && session.login === undefined;
  return { options: isLowered ? { ...options, priority: 0 } : options, isLowered };
}
