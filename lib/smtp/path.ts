/** Paths of MAIL and RCPT (RFC 5321 §4.1.2). */

import { isNonAscii, type Mailbox, parseMailbox } from "../mail/mailbox.ts";
import { SmtpError } from "./reply.ts";

/** What RCPT may name without a domain (RFC 5321 §4.1.1.3). */
export const BARE_POSTMASTER = "postmaster";

/** A path cut off the argument of MAIL or RCPT, and the text behind it. */
export interface PathAndRest<P> {
  /** What stood between the angle brackets. */
  readonly path: P;
  /** It was not US-ASCII: such a path needs SMTPUTF8, even where its domain can be written in A-labels (RFC 6531 §3.3). */
  readonly isUtf8: boolean;
  /** What follows the closing bracket: empty, or begins with a blank. */
  readonly rest: string;
}

/**
 * Parses a reverse-path; undefined stands for the null one, `<>`, of a message that must not be answered with another
 * (RFC 5321 §4.5.5).
 *
 * @param text What follows `FROM:`.
 * @throws {SmtpError} 501 5.1.7
 */
export function parseReversePath(text: string): PathAndRest<Mailbox | undefined> {
  const { path, isUtf8, rest } = cutPath(text, "5.1.7");
  return { path: path === "" ? undefined : parsePath(path, "5.1.7"), isUtf8, rest };
}

/**
 * Parses a forward-path.
 *
 * @param text What follows `TO:`.
 * @throws {SmtpError} 501 5.1.3
 */
export function parseForwardPath(text: string): PathAndRest<Mailbox | typeof BARE_POSTMASTER> {
  const { path, isUtf8, rest } = cutPath(text, "5.1.3");
  if (path === "") throw badPath("5.1.3", "A recipient needs an address");
  return { path: path.toLowerCase() === BARE_POSTMASTER ? BARE_POSTMASTER : parsePath(path, "5.1.3"), isUtf8, rest };
}

/**
 * ```abnf
 * Path           = "<" [ A-d-l ":" ] Mailbox ">"
 * A-d-l          = At-domain *( "," At-domain )
 * ```
 *
 * A source route is read and forgotten (RFC 5321 §3.3: SHOULD be ignored).
 */
function parsePath(path: string, enhanced: string): Mailbox {
  const mailbox = parseMailbox(path.startsWith("@") ? path.slice(path.indexOf(":") + 1) : path);
  if (mailbox === undefined) throw badPath(enhanced, "This is not a valid address");
  return mailbox;
}

/** One blank after the colon of `MAIL FROM:` is accepted, as every large server does: much equipment sends it. */
function cutPath(text: string, enhanced: string): PathAndRest<string> {
  const start = text.startsWith(" ") ? 1 : 0;
  const end = text.charCodeAt(start) === 0x3c ? closingBracket(text, start + 1) : -1;
  if (end < 0) throw badPath(enhanced, "An address must stand in angle brackets");
  const rest = text.slice(end + 1);
  if (rest !== "" && !rest.startsWith(" ")) throw badPath(enhanced, "A blank must follow the closing bracket");
  const path = text.slice(start + 1, end);
  return { path, isUtf8: isNonAscii(path), rest };
}

/** The index of the `>` that closes the path: one inside a quoted local part does not. */
function closingBracket(text: string, from: number): number {
  let isQuoted = false;
  for (let i = from; i < text.length; i++) {
    const character = text.charCodeAt(i);
    if (character === 0x22) isQuoted = !isQuoted;
    else if (character === 0x5c && isQuoted) i++;
    else if (character === 0x3e && !isQuoted) return i;
  }
  return -1;
}

function badPath(enhanced: string, text: string): SmtpError {
  return new SmtpError(501, enhanced, `${text}, e.g. <user@example.org>`);
}
