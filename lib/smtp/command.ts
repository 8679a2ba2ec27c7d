/**
 * SMTP and LMTP commands as types (RFC 5321 §4.1.1, RFC 2033 §4). The parser knows syntax only: whether a command is
 * allowed now is the session's business.
 */

import type { Mailbox } from "../mail/mailbox.ts";
import { type BARE_POSTMASTER, parseForwardPath, parseReversePath } from "./path.ts";
import { asciiUpperCase } from "./ascii.ts";
import { type ForwardedClient, parseXclient } from "./parameters/xclient.ts";
import { SmtpError } from "./reply.ts";

/** Parameters of MAIL and RCPT by upper-case keyword; the value is undefined where there is no `=` (RFC 5321 §4.1.2). */
export type EsmtpParameters = ReadonlyMap<string, string | undefined>;

/** EHLO, HELO or LHLO. */
export interface GreetingCommand {
  /** LHLO is the greeting of LMTP (RFC 2033 §4.1); HELO allows no extensions. */
  readonly verb: "EHLO" | "HELO" | "LHLO";
  /** What the client calls itself. */
  readonly name: string;
}

/** MAIL. */
export interface MailCommand {
  /** RFC 5321 §4.1.1.2. */
  readonly verb: "MAIL";
  /** Undefined: the null reverse-path. */
  readonly reversePath: Mailbox | undefined;
  /** The path as it was sent needs SMTPUTF8. */
  readonly isUtf8: boolean;
  /** As sent: whether a parameter was offered is not checked yet. */
  readonly parameters: EsmtpParameters;
}

/** RCPT. */
export interface RcptCommand {
  /** RFC 5321 §4.1.1.3. */
  readonly verb: "RCPT";
  /** A source route in front of the mailbox is gone (RFC 5321 §3.3). */
  readonly forwardPath: Mailbox | typeof BARE_POSTMASTER;
  /** The path as it was sent needs SMTPUTF8. */
  readonly isUtf8: boolean;
  /** As sent: whether a parameter was offered is not checked yet. */
  readonly parameters: EsmtpParameters;
}

/** AUTH. */
export interface AuthCommand {
  /** RFC 4954 §4. */
  readonly verb: "AUTH";
  /** Upper case. */
  readonly mechanism: string;
  /** Still base64; `=` stands for an empty one (RFC 4954 §4). */
  readonly initialResponse?: string;
}

/** BDAT. */
export interface BdatCommand {
  /** RFC 3030 §2. */
  readonly verb: "BDAT";
  /** Octets of the chunk behind the line; undefined where the argument is malformed, so that nobody knows. */
  readonly octets: number | undefined;
  /** The chunk is the last one of its message. */
  readonly isLast: boolean;
}

/** VRFY, EXPN or ETRN. */
export interface LookupCommand {
  /** RFC 5321 §4.1.1.6 and §4.1.1.7, RFC 1985 §4. */
  readonly verb: "VRFY" | "EXPN" | "ETRN";
  /** Not parsed: may be a user, a list, an address or a domain; never empty. */
  readonly argument: string;
}

/** XCLIENT. */
export interface XclientCommand {
  /** Of Postfix, for proxies. */
  readonly verb: "XCLIENT";
  /** What the proxy says. */
  readonly client: ForwardedClient;
}

/** A verb without an argument, or whose argument does not matter. */
export interface BareCommand {
  /** NOOP and HELP may have had an argument, which is dropped. */
  readonly verb: "DATA" | "RSET" | "NOOP" | "QUIT" | "HELP" | "STARTTLS";
}

/** A command line, parsed. */
export type Command =
  | GreetingCommand
  | MailCommand
  | RcptCommand
  | AuthCommand
  | BdatCommand
  | LookupCommand
  | XclientCommand
  | BareCommand;

/** A verb that the parser knows. */
export type Verb = Command["verb"];

/** The command type of a verb. */
export type CommandOf<V extends Verb, C extends Command = Command> = C extends unknown ? V extends C["verb"] ? C : never
  : never;

/**
 * RFC 5321 §4.1.1.1 wants a domain or address literal. Clients send many other things, and RFC 5321 §4.1.4 forbids to
 * refuse mail for a name that does not verify; so all of printable US-ASCII passes but what has a meaning in Received.
 */
const HELO_NAME = /^[^\x00-\x20()<>,;"\\\x7f-\u{10ffff}]{1,255}$/u;
/** esmtp-keyword. Replies name it, and a reply line has 512 octets (RFC 5321 §4.5.3.1.5): no real one is half as long. */
const KEYWORD = /^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/;
/** esmtp-value: any graphic character but `=`, and UTF-8 (RFC 6531 §3.3 item 6 needs it in ORCPT). */
const VALUE = /^[^\x00-\x20=\x7f]+$/;
/** chunk-size is 1*DIGIT, and its number has no bound (RFC 3030 §2). */
const CHUNK = /^(\d+)( LAST)?$/i;
const MECHANISM = /^[A-Za-z0-9_-]{1,20}$/;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Parses one command line.
 *
 * @param line Octets without CRLF; the reader has checked its length and that no CR or LF is inside.
 * @returns The command. Blanks at the end are ignored (RFC 5321 §4.1.1: tolerated by receivers).
 * @throws {SmtpError} 500 5.5.2 for an unknown verb or text that is no UTF-8, 501 for a wrong argument.
 */
export function parseCommand(line: Uint8Array): Command {
  const text = decode(line).trimEnd();
  const blank = text.indexOf(" ");
  const verb = asciiUpperCase(blank < 0 ? text : text.slice(0, blank));
  const argument = blank < 0 ? "" : text.slice(blank + 1);
  switch (verb) {
    case "MAIL":
      return parseMail(argument);
    case "RCPT":
      return parseRcpt(argument);
    case "EHLO":
    case "HELO":
    case "LHLO":
      if (!HELO_NAME.test(argument)) throw new SmtpError(501, "5.5.4", `${verb} needs your host name as its argument`);
      return { verb, name: argument };
    case "AUTH":
      return parseAuth(argument);
    case "BDAT":
      return parseBdat(argument);
    case "DATA":
    case "RSET":
    case "QUIT":
    case "STARTTLS":
      if (argument !== "") throw new SmtpError(501, "5.5.4", `${verb} takes no argument`);
      return { verb };
    case "NOOP":
    case "HELP":
      return { verb };
    case "XCLIENT":
      return { verb, client: parseXclient(argument) };
    case "ETRN":
    case "VRFY":
    case "EXPN":
      if (argument === "") throw new SmtpError(501, "5.5.4", `${verb} needs an argument`);
      return { verb, argument };
    default:
      throw new SmtpError(500, "5.5.2", "Command not recognized");
  }
}

function decode(line: Uint8Array): string {
  let isAscii = true;
  for (let i = 0; i < line.length; i++) {
    const octet = line[i] as number;
    if (octet >= 0x80) isAscii = false;
    else if (octet === 0) throw new SmtpError(500, "5.5.2", `A command must not contain NUL (octet ${i})`);
  }
  return isAscii ? String.fromCharCode.apply(null, line as unknown as number[]) : decodeUtf8(line);
}

function decodeUtf8(line: Uint8Array): string {
  try {
    return utf8.decode(line);
  } catch {
    throw new SmtpError(500, "5.5.2", "A command must be US-ASCII or UTF-8");
  }
}

/** `MAIL FROM:` reverse-path [parameters] (RFC 5321 §4.1.1.2). */
function parseMail(argument: string): Command {
  if (!/^from:/i.test(argument)) throw new SmtpError(501, "5.5.4", "Syntax: MAIL FROM:<address>");
  const { path, isUtf8, rest } = parseReversePath(argument.slice(5));
  return { verb: "MAIL", reversePath: path, isUtf8, parameters: parseParameters(rest) };
}

/** `RCPT TO:` forward-path [parameters] (RFC 5321 §4.1.1.3). */
function parseRcpt(argument: string): Command {
  if (!/^to:/i.test(argument)) throw new SmtpError(501, "5.5.4", "Syntax: RCPT TO:<address>");
  const { path, isUtf8, rest } = parseForwardPath(argument.slice(3));
  return { verb: "RCPT", forwardPath: path, isUtf8, parameters: parseParameters(rest) };
}

const NO_PARAMETERS: EsmtpParameters = new Map();

function parseParameters(rest: string): EsmtpParameters {
  if (rest === "") return NO_PARAMETERS;
  const parameters = new Map<string, string | undefined>();
  for (const parameter of rest.split(" ")) {
    if (parameter === "") continue;
    const equals = parameter.indexOf("=");
    const keyword = asciiUpperCase(equals < 0 ? parameter : parameter.slice(0, equals));
    const value = equals < 0 ? undefined : parameter.slice(equals + 1);
    if (!KEYWORD.test(keyword) || (value !== undefined && !VALUE.test(value))) {
      throw new SmtpError(501, "5.5.4", "Malformed parameter; the form is KEYWORD or KEYWORD=value");
    }
    if (parameters.has(keyword)) throw new SmtpError(501, "5.5.4", `Parameter ${keyword} stands twice`);
    parameters.set(keyword, value);
  }
  return parameters;
}

/** `AUTH` mechanism [initial-response] (RFC 4954 §4). */
function parseAuth(argument: string): Command {
  const [mechanism = "", initialResponse, ...more] = argument.split(" ");
  if (!MECHANISM.test(mechanism) || initialResponse === "" || more.length > 0) {
    throw new SmtpError(501, "5.5.4", "Syntax: AUTH mechanism [initial-response]");
  }
  const known = { verb: "AUTH", mechanism: mechanism.toUpperCase() } as const;
  return initialResponse === undefined ? known : { ...known, initialResponse };
}

/** `BDAT` chunk-size [`LAST`] (RFC 3030 §2). Sizes that cannot be counted exactly are malformed. */
function parseBdat(argument: string): Command {
  const [, digits, last] = CHUNK.exec(argument) ?? [];
  const octets = digits === undefined ? undefined : Number(digits);
  return { verb: "BDAT", octets: Number.isSafeInteger(octets) ? octets : undefined, isLast: last !== undefined };
}
