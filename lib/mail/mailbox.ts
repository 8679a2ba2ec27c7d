/** Mailbox addresses (RFC 5321 §4.1.2, RFC 6531 §3.3): the one parser that every part of posthorn uses. */

import { isIPv4, isIPv6 } from "node:net";
import { domainToAscii } from "./domain_to_ascii.ts";

/** The parts of an address and its one spelling. */
export interface Mailbox {
  /** Unquoted and unescaped; its case is kept. */
  readonly localPart: string;
  /** A-labels in lower case, or an address literal in brackets. */
  readonly domain: string;
  /** `local@domain`, the local part quoted only where it must be. */
  readonly text: string;
}

/** RFC 5321 §4.5.3.1.1, in octets: what every server takes, and the most that a mailbox of ours has. */
const USUAL_LOCAL_PART_OCTETS = 64;
/**
 * RFC 5321 §4.5.3.1.3 without the brackets, in octets, for an address whose local part is longer than usual: senders that
 * write another address into their own have those, forwarders above all, and a server should take them (§4.5.3.1).
 */
const MAX_LONG_ADDRESS_OCTETS = 254;
/** RFC 5321 §4.5.3.1.2, in octets of A-labels. */
const MAX_DOMAIN_OCTETS = 255;

// atext of RFC 5322 §3.2.3 with the UTF8-non-ascii of RFC 6531 §3.3; C1 controls and lone surrogates are no characters.
const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\u{a0}-\\u{d7ff}\\u{e000}-\\u{10ffff}-]+";
const DOT_STRING = new RegExp(`^${ATOM}(?:\\.${ATOM})*$`, "u");
const QUOTED_STRING = /^"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u{a0}-\u{d7ff}\u{e000}-\u{10ffff}]|\\[\x20-\x7e])*"$/u;
// Let-dig and hyphens of RFC 5321 §4.1.2, and the underscore, which real host names of senders carry (Postfix takes it).
const LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?";
const DOMAIN = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const ASCII = /^[\x00-\x7f]*$/;

/**
 * Parses `local@domain`, without angle brackets.
 *
 * @param text Decoded UTF-8. A quoted local part, an address literal and U-labels are accepted; source routes, comments
 * and blanks are not.
 * @returns Undefined where the text is no mailbox, or is too long: a domain of more than 255 octets, or with a local part
 * of more than 64 octets a whole of more than 254.
 */
export function parseMailbox(text: string): Mailbox | undefined {
  // The last "@" ends the local part: a domain has none, a quoted local part may.
  const at = text.lastIndexOf("@");
  if (at < 1) return undefined;
  const localPart = parseLocalPart(text.slice(0, at));
  if (localPart === undefined) return undefined;
  const rawDomain = text.slice(at + 1);
  const domain = rawDomain.startsWith("[") ? normalizeAddressLiteral(rawDomain) : normalizeDomain(rawDomain);
  if (domain === undefined) return undefined;
  const canonical = `${formatLocalPart(localPart)}@${domain}`;
  if (!hasUsualLength(localPart) && octetLength(canonical) > MAX_LONG_ADDRESS_OCTETS) return undefined;
  return { localPart, domain, text: canonical };
}

/** Whether every server takes a local part of this length (RFC 5321 §4.5.3.1.1). @param localPart Unquoted. */
export function hasUsualLength(localPart: string): boolean {
  return octetLength(localPart) <= USUAL_LOCAL_PART_OCTETS;
}

/** Parses a local part, quoted or not; undefined where it is none. Its length is for the caller to judge. */
export function parseLocalPart(text: string): string | undefined {
  let localPart = text;
  if (text.startsWith('"')) {
    if (!QUOTED_STRING.test(text)) return undefined;
    localPart = text.slice(1, -1).replace(/\\(.)/gu, "$1");
  } else if (!DOT_STRING.test(text)) {
    return undefined;
  }
  return localPart;
}

/** Writes a local part as a Dot-string, or quoted where it cannot be one (RFC 5321 §4.1.2). */
export function formatLocalPart(localPart: string): string {
  return DOT_STRING.test(localPart) ? localPart : `"${localPart.replace(/["\\]/g, "\\$&")}"`;
}

/**
 * Brings a domain into its one spelling: A-labels, lower case, no final dot.
 *
 * @returns Undefined where it is no domain name (RFC 1034 §3.5 with underscores).
 */
export function normalizeDomain(text: string): string | undefined {
  if (text === "" || text.length > MAX_DOMAIN_OCTETS) return undefined;
  const domain = ASCII.test(text) ? text.toLowerCase() : domainToAscii(text);
  if (domain.length > MAX_DOMAIN_OCTETS || !DOMAIN.test(domain)) return undefined;
  return domain;
}

/** The domain of a canonical address, as `parseMailbox` wrote it. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf("@") + 1);
}

/** True for text outside US-ASCII: such an address needs SMTPUTF8 (RFC 6531). */
export function isNonAscii(text: string): boolean {
  return !ASCII.test(text);
}

/** `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3) in one spelling; undefined for anything else. */
function normalizeAddressLiteral(text: string): string | undefined {
  if (!text.endsWith("]") || text.length > 64) return undefined;
  const address = text.slice(1, -1);
  if (isIPv4(address)) return `[${address}]`;
  if (/^ipv6:/i.test(address) && isIPv6(address.slice(5)) && !address.includes("%")) {
    return `[IPv6:${address.slice(5).toLowerCase()}]`;
  }
  return undefined;
}

function octetLength(text: string): number {
  return ASCII.test(text) ? text.length : new TextEncoder().encode(text).length;
}
