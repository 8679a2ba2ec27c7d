/**
 * What is special about mail that our users submit (RFC 6409): they write in their own name only, domains are whole, and
 * Date and Message-ID are there. Nothing else of a message is checked; bare LFs are mended where the configuration says so.
 */

import { countFields, formatDate } from "../mail/header.ts";
import { isNonAscii, type Mailbox } from "../mail/mailbox.ts";
import { findForeignAuthor } from "../policy/authors.ts";
import type { BareLf } from "../smtp/content_reader.ts";
import { SmtpError } from "../smtp/reply.ts";
import type { HeaderWindow } from "./header_window.ts";
import type { Services } from "./services.ts";
import type { Session } from "./session.ts";

/**
 * Checks the reverse-path of a submitted message. The null one is everybody's: an MDN has it.
 *
 * @throws {SmtpError} 550 5.7.1 (RFC 6409 §6.1), 554 5.1.7
 */
export function checkReversePath(session: Session, reversePath: Mailbox | undefined): void {
  if (reversePath === undefined) return;
  checkFullDomain(session, reversePath, "5.1.7");
  const isOwn = ownershipOf(session);
  if (isOwn === undefined || isOwn(reversePath)) return;
  throw new SmtpError(550, "5.7.1", `${nameOf(reversePath)} is not one of your addresses`);
}

/**
 * RFC 6409 §4.2: all domains of the envelope of a submitted message are fully qualified. One of ours is as it is.
 *
 * @param enhanced Of the reply: 5.1.7 for a sender, 5.1.3 for a recipient.
 * @throws {SmtpError} 554
 */
export function checkFullDomain(session: Session, mailbox: Mailbox, enhanced: "5.1.7" | "5.1.3"): void {
  const { domain } = mailbox;
  if (session.service !== "submission" || domain.includes(".") || domain.startsWith("[")) return;
  if (session.settings.router.resolveRecipient(mailbox).kind !== "remote") return;
  throw new SmtpError(554, enhanced, `"${domain}" is not a full domain name, e.g. example.org`);
}

/**
 * Counts a recipient for the account of the login. Every RCPT counts, so that a stolen password helps nobody to find out
 * who is here either.
 *
 * @throws {SmtpError} 450 4.7.1 over the rate: a mail program tries later, or tells its user.
 */
export function checkRate({ service, settings, login, client }: Session, { rates, logger }: Services): void {
  const { rate } = settings.submission;
  if (service !== "submission" || login === undefined || rate === undefined) return;
  const verdict = rates.take(login, rate);
  if (verdict === "within") return;
  const limit = `${rate.count} in ${rate.perMs / 1000} s`;
  if (verdict === "over") {
    logger.warning(
      "Account {login} is over its rate of recipients ({limit}), client {client}; more are refused for now",
      {
        login,
        limit,
        client,
      },
    );
  }
  throw new SmtpError(450, "4.7.1", `Too many recipients from this account, the limit is ${limit}; try again later`);
}

/**
 * Checks whom a submitted message says that it is from, when all of it has been read.
 *
 * @throws {SmtpError} 550 5.7.1, or 554 5.6.0 for a field that cannot be read (RFC 6409 §6.3)
 */
export function checkAuthors(session: Session, header: HeaderWindow): void {
  const isOwn = ownershipOf(session);
  if (isOwn === undefined) return;
  if (header.isCut) {
    const text = `The header section is longer than ${header.octets().length} octets: its From field cannot be checked`;
    throw new SmtpError(554, "5.6.0", text);
  }
  const problem = findForeignAuthor(header.octets(), isOwn);
  if (problem === undefined) return;
  if (problem.kind === "unreadable") {
    throw new SmtpError(554, "5.6.0", `The ${problem.field} field has no readable address, e.g. <user@example.org>`);
  }
  throw new SmtpError(
    550,
    "5.7.1",
    `${nameOf(problem.mailbox)} in the ${problem.field} field is not one of your addresses`,
  );
}

/**
 * What happens to a bare LF in content. Only a submission can be mended: there nobody sends content who has not logged in
 * or is not in `relay_from`.
 */
export function bareLfRule({ service, settings }: Session): BareLf {
  return service === "submission" ? settings.submission.bareLf : "refuse";
}

/**
 * The fields that a submitted message lacks (RFC 5322 §3.6.1, §3.6.4), each ended by CRLF: Date (RFC 6409 §8.2) and
 * Message-ID (§8.3). A field that is there is never replaced, whatever it says.
 *
 * @param facts The queue id is unique on this host (its name stands behind the @), and finds the message in our log.
 */
export function missingFields(
  { service, settings }: Session,
  header: HeaderWindow,
  { queueId, nowMs }: { readonly queueId: string; readonly nowMs: number },
): string {
  // Of a header section that was not seen to its end nothing can be said to be missing.
  if (service !== "submission" || header.isCut) return "";
  const octets = header.octets();
  const date = countFields(octets, "date") > 0 ? "" : `Date: ${formatDate(nowMs)}\r\n`;
  const messageId = `Message-ID: <${nowMs.toString(36)}.${queueId}@${settings.hostname}>\r\n`;
  return date + (countFields(octets, "message-id") > 0 ? "" : messageId);
}

/** Tells the addresses of the login from others; undefined where any may be used, or nobody logged in (`relay_from`). */
function ownershipOf({ service, settings, login }: Session): ((mailbox: Mailbox) => boolean) | undefined {
  if (service !== "submission" || login === undefined || settings.submission.senders === "any") return undefined;
  return (mailbox) => settings.router.mayUse(login, mailbox);
}

/** Text of a reply is US-ASCII. */
function nameOf({ text }: Mailbox): string {
  return isNonAscii(text) ? "This non-ASCII address" : text;
}
