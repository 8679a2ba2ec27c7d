/** The values of the DSN extension's parameters (RFC 3461 §4, RFC 6533 §3). */

import type { Notify } from "../../mail/envelope.ts";
import { isNonAscii } from "../../mail/mailbox.ts";
import { asciiUpperCase } from "../ascii.ts";
import { SmtpError } from "../reply.ts";
import { decodeXtext } from "../xtext.ts";

/** RFC 3461 §4.4, of the value as sent. */
const MAX_ENVID = 100;
/** RFC 3461 §4.2, of the value as sent. */
const MAX_ORCPT = 500;

type Event = Exclude<Notify, "never">[number];

const EVENTS: ReadonlyMap<string, Event> = new Map([
  ["SUCCESS", "success"],
  ["FAILURE", "failure"],
  ["DELAY", "delay"],
]);

/** Reads RET (RFC 3461 §4.3). @throws {SmtpError} 501 5.5.4 */
export function parseRet(value: string | undefined): "FULL" | "HDRS" {
  const ret = asciiUpperCase(value ?? "");
  if (ret !== "FULL" && ret !== "HDRS") throw new SmtpError(501, "5.5.4", "RET is FULL or HDRS");
  return ret;
}

/** Reads ENVID (RFC 3461 §4.4): printable US-ASCII, because it goes into a field of a DSN. @throws {SmtpError} 501 5.5.4 */
export function parseEnvid(value: string | undefined): string {
  const envid = value === undefined || value.length > MAX_ENVID ? undefined : decodeXtext(value);
  if (envid === undefined || !/^[\x20-\x7e]+$/.test(envid)) {
    throw new SmtpError(501, "5.5.4", `ENVID is printable text in xtext, of at most ${MAX_ENVID} characters`);
  }
  return envid;
}

/** Reads NOTIFY (RFC 3461 §4.1); an event that stands twice counts once. @throws {SmtpError} 501 5.5.4 */
export function parseNotify(value: string | undefined): Notify {
  const words = asciiUpperCase(value ?? "").split(",");
  if (words.length === 1 && words[0] === "NEVER") return "never";
  const events = words.map((word) => EVENTS.get(word));
  if (events.length === 0 || !events.every((event) => event !== undefined)) {
    throw new SmtpError(501, "5.5.4", "NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY");
  }
  return [...new Set(events)];
}

/**
 * Reads ORCPT: the type of the address, and the address in xtext (RFC 3461 §4.2). The type `utf-8` has the escapes of
 * utf-8-addr-xtext (RFC 6533 §3) and, in an SMTPUTF8 transaction, UTF-8.
 *
 * @returns Decoded, e.g. `rfc822;user@example.org`, without control characters.
 * @throws {SmtpError} 501 5.5.4
 */
export function parseOrcpt(value: string | undefined, smtpUtf8: boolean): string {
  const [, type = "", encoded = ""] = /^([A-Za-z0-9][A-Za-z0-9-]*);(.+)$/.exec(value ?? "") ?? [];
  const isUtf8 = type.toLowerCase() === "utf-8";
  const address = (value ?? "").length > MAX_ORCPT || (!smtpUtf8 && isNonAscii(encoded))
    ? undefined
    : decodeXtext(isUtf8 ? decodeUtf8Xtext(encoded) : encoded);
  if (address === undefined || address === "" || /\p{Cc}/u.test(address) || (!isUtf8 && isNonAscii(address))) {
    throw new SmtpError(501, "5.5.4", `ORCPT is type;address in xtext, of at most ${MAX_ORCPT} characters`);
  }
  return `${type};${address}`;
}

/** `\x{20AC}` (RFC 6533 §3); what is no character stays as it is. */
function decodeUtf8Xtext(text: string): string {
  return text.replace(/\\x\{([0-9A-F]{2,6})\}/g, (escape: string, hex: string) => {
    const code = parseInt(hex, 16);
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return escape;
    // A "+" that was escaped is not the begin of an xtext escape.
    return code === 0x2b ? "+2B" : String.fromCodePoint(code);
  });
}
