/**
 * The domains that a message says it is from. DMARC knows what to do with one; for all else RFC 9989 §5.3.1 leaves the
 * receiver alone, while senders of forged mail count on that. So every domain that somebody could read out of a From field
 * is found here, and must prove itself.
 */

import { parseAddressList } from "../../mail/address_list.ts";
import { fieldValue, headerFields, isFieldNamed } from "../../mail/header.ts";
import { normalizeDomain } from "../../mail/mailbox.ts";

/** Domains that are looked at; no honest message has as many. */
export const MAX_AUTHOR_DOMAINS = 10;

/** Characters of a From field that cannot be read in which domains are searched. */
const MAX_SEARCHED = 256 * 1024;
/** Each "@" with what may be a domain behind it, up to a character that ends one for any reader. */
const AFTER_AT = /@[ \t\r\n]*([^\x00-\x20\x7f<>()[\]:;@\\,"'=?]+)/g;

/** Whom the From fields name. */
export interface Authors {
  /** Each domain once, A-labels in lower case, in the order found; at most `MAX_AUTHOR_DOMAINS`. */
  readonly domains: readonly string[];
  /** There were more. */
  readonly isCut: boolean;
  /** From fields; RFC 5322 §3.6 asks for one. */
  readonly fieldCount: number;
}

/**
 * Reads the From fields of a header section.
 *
 * Address literals have no domain, and are passed over, as are groups without members (RFC 6854). In a field that is no
 * address list, whatever follows an "@" counts, in comments and quoted strings too.
 */
export function readAuthors(headerSection: Uint8Array): Authors {
  const domains = new Set<string>();
  let fieldCount = 0;
  for (const field of headerFields(headerSection)) {
    if (!isFieldNamed(headerSection, field, "from")) continue;
    fieldCount++;
    if (domains.size > MAX_AUTHOR_DOMAINS) continue;
    const value = fieldValue(headerSection, field);
    const mailboxes = parseAddressList(value);
    const found = mailboxes?.map(({ domain }) => domain) ?? searchDomains(value);
    for (const domain of found) {
      if (domain.startsWith("[")) continue;
      domains.add(domain);
      if (domains.size > MAX_AUTHOR_DOMAINS) break;
    }
  }
  const all = [...domains];
  return { domains: all.slice(0, MAX_AUTHOR_DOMAINS), isCut: all.length > MAX_AUTHOR_DOMAINS, fieldCount };
}

function* searchDomains(value: string): Generator<string> {
  const seen = new Set<string>();
  for (const [, text = ""] of value.slice(0, MAX_SEARCHED).matchAll(AFTER_AT)) {
    if (text.length > 2 * 255 || seen.has(text)) continue;
    seen.add(text);
    const domain = normalizeDomain(text.replace(/\.+$/, "").replace(/^\.+/, ""));
    if (domain !== undefined) yield domain;
  }
}
