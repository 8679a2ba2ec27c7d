/** Which texts are domains that SPF can be checked for (RFC 7208 §4.3). */

import { isIPv4 } from "node:net";
import { domainToAscii } from "../../mail/domain_to_ascii.ts";
import { isNonAscii } from "../../mail/mailbox.ts";
import { queryName } from "./domain_spec.ts";
import { printable } from "./spf_error.ts";

/** A domain with U-labels is at most this long, in UTF-16 units; a longer one is not converted. */
const MAX_TEXT = 255;

/**
 * Brings a domain from HELO or MAIL into the form that is asked for: A-labels (RFC 8616 §4), lower case, no final dot.
 *
 * @returns Undefined for what is no full domain name: a single label, an address or address literal, an empty or too
 * long label, other characters than host names have (and the underscore, as in `mail/mailbox.ts`).
 */
export function checkedDomain(text: string): string | undefined {
  if (text.length > MAX_TEXT) return undefined;
  const ascii = isNonAscii(text) ? domainToAscii(text) : text.toLowerCase();
  const domain = ascii.endsWith(".") ? ascii.slice(0, -1) : ascii;
  if (!/^[a-z0-9_-]+(?:\.[a-z0-9_-]+)+$/.test(domain) || isIPv4(domain) || queryName(domain) === undefined) {
    return undefined;
  }
  return domain;
}

/** Any text in the place of a domain, for a finding: printable US-ASCII, lower case, short. */
export function shownDomain(text: string): string {
  return printable(text.toLowerCase(), MAX_TEXT);
}
