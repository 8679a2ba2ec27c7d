/**
 * The domains that a message says it is from. DMARC knows what to do with one; for all else RFC 9989 §5.3.1 leaves the
 * receiver alone, while senders of forged mail count on that. So every domain that somebody could read out of a From field
 * is found here, and must prove itself.
 */

import { parseAddressList } from "../../mail/address_list.ts";
import { fieldValue, headerFields, isFieldNamed } from "../../mail/header.ts";
import { normalizeDomain } from "../../mail/mailbox.ts";
import { decodeBase64 } from "../dkim/tag_list.ts";

/** Domains that are looked at, eight questions each; no honest message has as many. */
export const MAX_AUTHOR_DOMAINS = 4;

/** Characters of a From field that cannot be read in which domains are searched; a longer one names too many. */
const MAX_SEARCHED = 16 * 1024;
/** Comments within comments that are looked through. */
const MAX_COMMENT_DEPTH = 5;
/** encoded-word of RFC 2047 §2, perhaps with a language. */
const ENCODED_WORD = /=\?[^?\s]{1,40}\?([bq])\?([^?\s]*)\?=(?:[ \t]+(?==\?))?/gi;
/** Each "@" with what may be a domain behind it, up to a character that ends one for any reader. */
const AFTER_AT = /@[ \t\r\n]*([^\x00-\x20\x7f<>()[\]:;@\\,"'=?]+)/g;

/** Whom the From fields name. */
export interface Authors {
  /** Each domain once, A-labels in lower case, in the order found; at most `MAX_AUTHOR_DOMAINS`. */
  readonly domains: readonly string[];
  /** There were more, or a field was too long to be searched. */
  readonly isCut: boolean;
  /** From fields; RFC 5322 §3.6 asks for one. */
  readonly fieldCount: number;
}

/**
 * Reads the From fields of a header section.
 *
 * Address literals have no domain, and are passed over. In a field that is no address list, or names nobody but empty groups
 * (RFC 6854), whatever follows an "@" counts, in comments, quoted strings and encoded words too; and so does what others may
 * read there who take obsolete forms (RFC 5322 §4.4): blanks and comments within a domain.
 */
export function readAuthors(headerSection: Uint8Array): Authors {
  const domains = new Set<string>();
  let fieldCount = 0;
  let isCut = false;
  for (const field of headerFields(headerSection)) {
    if (!isFieldNamed(headerSection, field, "from")) continue;
    fieldCount++;
    if (domains.size > MAX_AUTHOR_DOMAINS) continue;
    const value = fieldValue(headerSection, field);
    const mailboxes = parseAddressList(value);
    const isClear = mailboxes !== undefined && mailboxes.length > 0;
    isCut ||= !isClear && value.length > MAX_SEARCHED;
    const found = isClear ? mailboxes.map(({ domain }) => domain) : searchDomains(value.slice(0, MAX_SEARCHED));
    for (const domain of found) {
      if (domain.startsWith("[")) continue;
      domains.add(domain);
      if (domains.size > MAX_AUTHOR_DOMAINS) break;
    }
  }
  const all = [...domains];
  isCut ||= all.length > MAX_AUTHOR_DOMAINS;
  return { domains: all.slice(0, MAX_AUTHOR_DOMAINS), isCut, fieldCount };
}

function* searchDomains(value: string): Generator<string> {
  const seen = new Set<string>();
  for (const reading of readings(value)) {
    for (const [, text = ""] of reading.matchAll(AFTER_AT)) {
      if (text.length > 2 * 255 || seen.has(text)) continue;
      seen.add(text);
      const domain = normalizeDomain(text.replace(/\.+$/, "").replace(/^\.+/, ""));
      if (domain !== undefined) yield domain;
    }
  }
}

/** As it stands there, without blanks and comments around dots, and with encoded words decoded. */
function readings(value: string): ReadonlySet<string> {
  const decoded = value.replace(ENCODED_WORD, (_, encoding: string, text: string) => decodeWord(encoding, text));
  return new Set([value, joined(value), joined(withoutComments(value)), decoded, joined(withoutComments(decoded))]);
}

function joined(text: string): string {
  return text.replace(/[ \t\r\n]+/g, " ").replace(/ ?([.@]) ?/g, "$1");
}

/** Pairs of parentheses, from the innermost on, with no regard to quotes: others have less as well. */
function withoutComments(text: string): string {
  let bare = text;
  for (let depth = 0; depth < MAX_COMMENT_DEPTH && bare.includes("("); depth++) bare = bare.replace(/\([^()]*\)/g, " ");
  return bare;
}

/** Domains are US-ASCII, or UTF-8, in all character sets that mail programs know. */
function decodeWord(encoding: string, text: string): string {
  const octets = encoding.toLowerCase() === "b"
    ? decodeBase64(text)
    : octetsOf(text.replace(/_/g, " ").replace(/=([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16))));
  return octets === undefined ? "" : new TextDecoder().decode(octets);
}

function octetsOf(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
