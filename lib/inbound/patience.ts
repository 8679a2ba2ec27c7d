/**
 * How much a client may do without bringing a message. An accepted message gives it all of our patience back, so that a
 * long session of many messages is never cut; a session that leads to nothing ends, however it passes its time.
 */

import type { Command } from "../smtp/command.ts";
import { type Reply, reply } from "../smtp/reply.ts";

/** What a session has used up since its last accepted message. */
export interface Spent {
  /** Monotonic time of that message; of the accept of the connection before the first one. */
  readonly sinceMs: number;
  /** Octets of content that came: they earn time. */
  contentOctets: number;
  /** Commands refused for good; RCPT is counted apart. */
  errors: number;
  /** Recipients refused for good. */
  refusedRecipients: number;
  /** Recipients put off with a 4yz. */
  delayedRecipients: number;
  /** Commands that bring no message nearer, refused or not: all but RCPT, DATA and chunks that are worth a command. */
  idleCommands: number;
  /** AUTH commands that ended without a login, for a wrong password or because it could not be checked. */
  failedLogins: number;
}

/** More than a person or a sane client makes. */
const MAX_ERRORS = 20;
/** Who has more is guessing addresses. */
const MAX_REFUSED_RECIPIENTS = 100;
/** A client may pipeline all recipients of a large list, and send to those that were accepted. */
const MAX_DELAYED_RECIPIENTS = 10_000;
/** NOOP, RSET, VRFY, EHLO, ...: Postfix allows as many (smtpd_junk_command_limit). MAIL and RSET of callouts count too. */
const MAX_IDLE_COMMANDS = 100;
/** A person mistypes; a mail program has one password. */
const MAX_FAILED_LOGINS = 5;
/** A chunk of less is no way to send a message: it counts as an idle command. */
const MIN_CHUNK_OCTETS = 512;

/** Nothing is used up. @param nowMs Monotonic time. */
export function freshPatience(nowMs: number): Spent {
  return {
    sinceMs: nowMs,
    contentOctets: 0,
    errors: 0,
    refusedRecipients: 0,
    delayedRecipients: 0,
    idleCommands: 0,
    failedLogins: 0,
  };
}

/**
 * Counts a command that was answered.
 *
 * @param command Undefined where it could not be parsed.
 * @param code Of its first reply; 0 without one.
 */
export function countCommand(spent: Spent, command: Command | undefined, code: number): void {
  if (command?.verb === "RCPT") {
    if (code >= 500) spent.refusedRecipients++;
    else if (code >= 400) spent.delayedRecipients++;
    return;
  }
  if (code >= 500) spent.errors++;
  if (command?.verb === "AUTH" && (code === 535 || code === 454)) spent.failedLogins++;
  if (isIdle(command)) spent.idleCommands++;
}

function isIdle(command: Command | undefined): boolean {
  if (command?.verb === "BDAT") return !command.isLast && (command.octets ?? 0) < MIN_CHUNK_OCTETS;
  return command?.verb !== "DATA";
}

/** The last reply of a session that has used up our patience; undefined while there is some left. */
export function patienceEnd(spent: Spent): Reply | undefined {
  if (spent.failedLogins >= MAX_FAILED_LOGINS) return reply(421, "4.7.0", "Too many failed logins; closing connection");
  if (spent.errors > MAX_ERRORS || spent.refusedRecipients > MAX_REFUSED_RECIPIENTS) {
    return reply(421, "4.7.0", "Too many errors; closing connection");
  }
  if (spent.idleCommands > MAX_IDLE_COMMANDS || spent.delayedRecipients > MAX_DELAYED_RECIPIENTS) {
    return reply(421, "4.7.0", "Too many commands without a message; closing connection");
  }
  return undefined;
}
