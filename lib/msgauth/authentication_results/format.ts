/** Writes Authentication-Results fields. Nothing that came from the wire can break their syntax. */

import type { AuthenticationResults, MethodResult } from "./results.ts";

/** How a field is written. */
export interface FormatOptions {
  /** Default: `Authentication-Results`. */
  readonly name?: string;
  /** Stands in front, for ARC-Authentication-Results: `i=2` (RFC 8617 §4.1.1). */
  readonly prefix?: string;
  /** The message needed SMTPUTF8: values may be UTF-8 (RFC 8616 §5). Otherwise what is not US-ASCII becomes "?". */
  readonly isInternationalized?: boolean;
}

/** RFC 5322 §2.1.1, without CRLF; a single value may be longer. */
const MAX_LINE = 77;
/** How wide a tab is shown. */
const TAB_WIDTH = 8;
/** Of one value, reason or comment: with every character escaped, or of four octets, it fits into a line of 998 octets. */
const MAX_VALUE = 240;
/** A value in US-ASCII may be a domain, which has up to 255. */
const MAX_ASCII_VALUE = 256;

/** RFC 2045 §5.1: what is neither space, control nor tspecial. */
const TOKEN = /^[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+$/;
/** Keyword of RFC 5321 §4.1.2. */
const KEYWORD = /^[0-9A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?$/;
/** `[[local-part] "@"] domain-name`, the local part a dot-atom. */
const AT_DOMAIN = /^(?:[!#$%&'*+/=?^_`{|}~0-9A-Za-z-]+(?:\.[!#$%&'*+/=?^_`{|}~0-9A-Za-z-]+)*)?@[0-9A-Za-z._-]+$/;
const CONTROL = /[\x00-\x1f\x7f-\x9f]+/g;
const NON_ASCII = /[^\x00-\x7f]/gu;

/**
 * Writes the field, folded, ended by CRLF.
 *
 * ```abnf
 * authres-header-field = "Authentication-Results:" authres-payload
 * authres-payload      = [CFWS] authserv-id [ CFWS authres-version ] ( no-result / 1*resinfo ) [CFWS] CRLF
 * no-result            = [CFWS] ";" [CFWS] "none"
 * resinfo              = [CFWS] ";" methodspec [ CFWS reasonspec ] [ CFWS 1*propspec ]
 * methodspec           = [CFWS] method [CFWS] "=" [CFWS] result
 * reasonspec           = "reason" [CFWS] "=" [CFWS] value
 * propspec             = ptype [CFWS] "." [CFWS] property [CFWS] "=" pvalue
 * pvalue               = [CFWS] ( ( value / [ [ local-part ] "@" ] domain-name ) [CFWS] )
 * ```
 *
 * @throws {RangeError} For a method, result or property that is no keyword: these come from programs, never from mail.
 * @see RFC 8601 §2.2
 */
export function formatResults(content: AuthenticationResults, options: FormatOptions = {}): string {
  const { name = "Authentication-Results", prefix, isInternationalized = false } = options;
  const clean = (text: string): string => cleaned(text, isInternationalized);
  const id = value(clean(content.authservId));
  const head = `${name}: ${prefix === undefined ? "" : `${prefix}; `}${id}`;
  if (content.results.length === 0) return `${head}; none\r\n`;
  return `${fold(head, content.results.map((result) => words(result, clean)))}\r\n`;
}

/** The words of one result; each stays on one line. */
function words(
  { method, result, comment, reason, properties }: MethodResult,
  clean: (text: string) => string,
): string[] {
  return [
    `${keyword(method)}=${keyword(result)}`,
    ...(comment === undefined ? [] : [commented(clean(comment))]),
    ...(reason === undefined ? [] : [`reason=${quoted(clean(reason))}`]),
    ...properties.map(({ type, name, value: text }) => `${keyword(type)}.${keyword(name)}=${value(clean(text))}`),
  ];
}

function keyword(text: string): string {
  if (!KEYWORD.test(text)) {
    throw new RangeError(`Cannot write "${text}" as a keyword: letters, digits and hyphens only`);
  }
  return text;
}

function cleaned(text: string, isInternationalized: boolean): string {
  const spaced = text.slice(0, 4 * MAX_ASCII_VALUE).replace(CONTROL, " ").toWellFormed();
  if (!isInternationalized) return spaced.replace(NON_ASCII, "?").slice(0, MAX_ASCII_VALUE);
  return [...spaced].slice(0, MAX_VALUE).join("");
}

/** As a token or an address where it is one, else as a quoted string. */
function value(text: string): string {
  return TOKEN.test(text) || AT_DOMAIN.test(text) ? text : quoted(text);
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

function commented(text: string): string {
  return `(${text.replace(/[()\\]/g, "\\$&")})`;
}

/** Every result begins a line; a line that gets too long is broken between its words. */
function fold(head: string, results: readonly (readonly string[])[]): string {
  return results.reduce((text, result) => {
    let column = MAX_LINE;
    return result.reduce((line, word) => {
      const isBroken = column + 1 + word.length >= MAX_LINE;
      column = (isBroken ? TAB_WIDTH : column + 1) + word.length;
      return `${line}${isBroken ? "\r\n\t" : " "}${word}`;
    }, `${text};`);
  }, head);
}
