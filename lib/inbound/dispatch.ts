/** From a command line to its reply: parse it, see whether it is allowed now, carry it out. */

import { mayRelay } from "../policy/relay.ts";
import { type Command, parseCommand } from "../smtp/command.ts";
import { type Reply, reply, SmtpError } from "../smtp/reply.ts";
import { ConnectionEnded } from "./connection_ended.ts";
import { countCommand } from "./patience.ts";
import type { Session } from "./session.ts";
import type { Context, Replies, SessionIo, VerbRule } from "./verb.ts";
import { VERBS } from "./verbs.ts";

/**
 * Answers one command line.
 *
 * @throws {ConnectionEnded} When the connection ended while the command was carried out; nothing else.
 */
export function answerLine(context: Context, line: Uint8Array): Replies | Promise<Replies> {
  const { session } = context;
  // A client may have pipelined any number of chunks behind one that was refused (RFC 3030 §2): no new errors.
  const isDropping = session.transaction?.chunks?.isRefused === true;
  let command: Command | undefined;
  const counted = (replies: Replies): Replies => {
    const isNew = command?.verb !== "BDAT" || !isDropping;
    countCommand(session.spent, command, isNew ? firstCode(replies) : 0);
    return replies;
  };
  try {
    command = parseCommand(line);
    const result = carryOut(context, command);
    if (!(result instanceof Promise)) return counted(result);
    return result.catch((error) => errorReply(error, context)).then(counted);
  } catch (error) {
    return counted(errorReply(error, context));
  }
}

function firstCode(replies: Replies): number {
  return "code" in replies ? replies.code : replies[0]?.code ?? 0;
}

function carryOut(context: Context, command: Command): Replies | Promise<Replies> {
  const rule = VERBS[command.verb] as VerbRule;
  try {
    checkAllowed(rule, command, context.session, context.io);
  } catch (error) {
    if (rule.drop === undefined || !(error instanceof SmtpError)) throw error;
    return rule.drop(context, command, error.reply).then(() => error.reply);
  }
  return rule.handle(context, command);
}

function checkAllowed(rule: VerbRule, command: Command, session: Session, io: SessionIo): void {
  if (rule.isLastInGroup && io.hasMore()) {
    // RFC 2920 §3.1. What follows may be meant for another protocol layer, or smuggled: nothing of it is carried out.
    io.close();
    throw new SmtpError(554, "5.5.0", `Nothing may be sent after ${command.verb} before its reply; closing connection`);
  }
  if (rule.needs !== "nothing" && session.greeting === undefined) {
    const greeting = session.service === "lmtp" ? "LHLO" : "EHLO";
    throw new SmtpError(503, "5.5.1", `Send ${greeting} first`);
  }
  if (rule.needsLogin && session.service === "submission" && !isTrusted(session)) {
    const how = session.tls === undefined ? "Start TLS and log in first" : "Log in with AUTH first";
    throw new SmtpError(530, "5.7.0", how);
  }
  if ((rule.needs === "transaction" || rule.needs === "recipient") && session.transaction === undefined) {
    throw new SmtpError(503, "5.5.1", "Send MAIL first");
  }
  if (rule.needs === "recipient" && session.transaction?.accepted.length === 0) {
    // RFC 5321 §3.3: 503 or 554; RFC 2033 §4.2 and RFC 2920 §3.1 have the client pipeline DATA all the same.
    throw new SmtpError(503, "5.5.1", "No recipient was accepted; send RCPT first");
  }
}

/** Submission without a login is for the addresses of `relay_from` only. */
function isTrusted(session: Session): boolean {
  return mayRelay(session.clientAddress, session.login, session.settings.relayFrom);
}

/** The one place where anything thrown becomes a reply. */
function errorReply(error: unknown, { session, services }: Context): Reply {
  if (error instanceof SmtpError) return error.reply;
  if (error instanceof ConnectionEnded) throw error;
  services.logger.error("Internal error in the session with {client}: {error}; the client was told to try later", {
    client: session.client,
    error: error instanceof Error ? error.stack ?? error.message : String(error),
  });
  return reply(451, "4.3.0", "Local problem; try again later");
}
