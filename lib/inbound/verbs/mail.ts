/** MAIL (RFC 5321 §4.1.1.2) and its parameters SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), AUTH (RFC 4954 §5). */

import { isNonAscii } from "../../mail/mailbox.ts";
import type { EsmtpParameters, MailCommand } from "../../smtp/command.ts";
import { type Reply, reply, SmtpError } from "../../smtp/reply.ts";
import type { Context } from "../verb.ts";
import type { Session } from "../session.ts";
import { checkReversePath } from "../submission.ts";
import { tooBig } from "../incoming_message.ts";

/** Starts a transaction. */
export function mail({ session, services }: Context, { reversePath, parameters }: MailCommand): Reply {
  if (session.transaction !== undefined) {
    throw new SmtpError(503, "5.5.1", "A transaction is open already; end it with DATA or RSET");
  }
  const { body, smtpUtf8 } = readParameters(session, parameters);
  const path = reversePath?.text ?? "";
  if (!smtpUtf8 && isNonAscii(path)) {
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
  session.transaction = {
    reversePath: path,
    body,
    smtpUtf8,
    recipients: [],
    addresses: new Set(),
    accepted: [],
    chunks: undefined,
  };
  return reply(250, "2.1.0", "Sender OK");
}

interface MailParameters {
  readonly body: "7BIT" | "8BITMIME";
  readonly smtpUtf8: boolean;
}

function readParameters(session: Session, parameters: EsmtpParameters): MailParameters {
  let body: MailParameters["body"] = "7BIT";
  let smtpUtf8 = false;
  for (const [keyword, value] of parameters) {
    // HELO means no extensions (RFC 5321 §4.1.1.1), and no parameter is defined without one.
    const offered = session.greeting?.verb === "HELO" ? "" : keyword;
    switch (offered) {
      case "SIZE":
        checkSize(value, session.settings.limits.messageOctets);
        break;
      case "BODY": {
        const type = value?.toUpperCase();
        if (type !== "7BIT" && type !== "8BITMIME") throw new SmtpError(501, "5.5.4", "BODY is 7BIT or 8BITMIME");
        body = type;
        break;
      }
      case "SMTPUTF8":
        if (value !== undefined) throw new SmtpError(501, "5.5.4", "SMTPUTF8 takes no value");
        smtpUtf8 = true;
        break;
      case "AUTH":
        // RFC 4954 §5: a server that does not trust the client behaves as if the value were "<>"; we always do.
        if (session.login !== undefined && value !== undefined) break;
        throw unknownParameter(keyword);
      default:
        throw unknownParameter(keyword);
    }
  }
  return { body, smtpUtf8 };
}

/** RFC 1870 §6.1: a declared size over the limit is refused here, before the content travels. */
function checkSize(value: string | undefined, maxOctets: number): void {
  if (value === undefined || !/^\d{1,20}$/.test(value)) {
    throw new SmtpError(501, "5.5.4", "SIZE needs a number of octets");
  }
  if (Number(value) > maxOctets) throw tooBig(maxOctets);
}

/** RFC 5321 §4.1.1.11: a parameter that was not offered. */
export function unknownParameter(keyword: string): SmtpError {
  return new SmtpError(555, "5.5.4", `Parameter ${keyword} is not supported here`);
}
