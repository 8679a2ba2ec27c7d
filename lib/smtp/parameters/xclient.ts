/** The attributes of XCLIENT (Postfix, XCLIENT_README): what a proxy in front says of the client behind it. */

import { isIP } from "node:net";
import { parseMailbox } from "../../mail/mailbox.ts";
import { SmtpError } from "../reply.ts";
import { decodeXtext } from "../xtext.ts";

/** What a proxy said; an attribute that it did not name is absent, one that it does not know is undefined. */
export interface ForwardedClient {
  /** ADDR: without port; IPv6 in its text form. */
  readonly address?: string | undefined;
  /** PORT. */
  readonly port?: number | undefined;
  /** HELO: what the client called itself. */
  readonly helo?: string | undefined;
  /** LOGIN: the account, as the address of a mailbox. */
  readonly login?: string | undefined;
  /** DESTADDR: where the client connected to. */
  readonly destination?: string | undefined;
}

/** The attributes in the order of the EHLO line. NAME, PROTO and DESTPORT are taken and not used. */
export const XCLIENT_ATTRIBUTES: readonly string[] = [
  "NAME",
  "ADDR",
  "PORT",
  "PROTO",
  "HELO",
  "LOGIN",
  "DESTADDR",
  "DESTPORT",
];

/** Of a command line; the names are shorter. */
const HELO = /^[!-~]{1,255}$/;

/**
 * Reads the argument of XCLIENT.
 *
 * @throws {SmtpError} 501 5.5.4
 */
export function parseXclient(argument: string): ForwardedClient {
  const words = argument.split(" ").filter((word) => word !== "");
  if (words.length === 0) throw syntaxError();
  let client: ForwardedClient = {};
  for (const word of words) {
    const [, rawName = "", rawValue = ""] = /^([A-Za-z]+)=(.+)$/.exec(word) ?? [];
    const name = rawName.toUpperCase();
    if (!XCLIENT_ATTRIBUTES.includes(name)) throw syntaxError();
    const isUnknown = /^\[(?:TEMP)?UNAVAI?L(?:ABLE)?\]$/i.test(rawValue);
    client = { ...client, ...readAttribute(name, isUnknown ? undefined : decodeXtext(rawValue) ?? "") };
  }
  return client;
}

function readAttribute(name: string, value: string | undefined): ForwardedClient {
  switch (name) {
    case "ADDR":
      return { address: value === undefined ? undefined : parseAddress(name, value) };
    case "DESTADDR":
      return { destination: value === undefined ? undefined : parseAddress(name, value) };
    case "PORT":
      if (value !== undefined && !/^\d{1,5}$/.test(value)) throw new SmtpError(501, "5.5.4", "PORT is no port number");
      return { port: value === undefined ? undefined : Number(value) };
    case "HELO":
      if (value !== undefined && !HELO.test(value)) throw new SmtpError(501, "5.5.4", "HELO is no host name");
      return { helo: value };
    case "LOGIN": {
      const login = value === undefined ? undefined : parseMailbox(value)?.text;
      if (value !== undefined && login === undefined) {
        throw new SmtpError(501, "5.5.4", "LOGIN is no address of a mailbox");
      }
      return { login };
    }
    default:
      return {};
  }
}

/** `192.0.2.1` or `IPV6:2001:db8::1`. */
function parseAddress(name: string, value: string): string {
  const isMarked = /^ipv6:/i.test(value);
  const address = isMarked ? value.slice(5) : value;
  if (isIP(address) !== (isMarked ? 6 : 4)) {
    throw new SmtpError(501, "5.5.4", `${name} is no IP address, e.g. 192.0.2.1 or IPV6:2001:db8::1`);
  }
  return address.toLowerCase();
}

function syntaxError(): SmtpError {
  return new SmtpError(501, "5.5.4", `Syntax: XCLIENT attribute=value ..., of ${XCLIENT_ATTRIBUTES.join(" ")}`);
}
