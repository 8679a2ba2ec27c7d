/**
 * DMARC records as domains publish them. What receivers can live with is taken; what could be read in two ways counts for
 * the milder one, because a policy that its owner did not write loses mail.
 */

import type { DmarcRecord, DmarcReportUri, DmarcRequest } from "../findings.ts";

/** A record as it was found: some may not be used to judge mail, and yet say where an organisation begins. */
export interface PublishedDmarc {
  /** Absent: it has no policy that can be read, and asks for no reports, so that it does nothing (RFC 9989 §4.10.1). */
  readonly record?: DmarcRecord;
  /** As in `DmarcRecord`. */
  readonly psd: DmarcRecord["psd"];
}

/** Octets of a record that are read; real ones have a tenth of that. */
const MAX_RECORD_OCTETS = 8 * 1024;
/** Places that are kept of one list; receivers need to serve two (RFC 7489 §6.2). */
const MAX_URIS = 10;

const VERSION = /^[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)/;
const NAME = /^[a-z]+$/;
/** dmarc-value: printable, without the semicolon. */
const VALUE = /^[\x20-\x7e]+$/;
/** A scheme and URI characters (RFC 3986 §2); "!" and "," must be percent-encoded in a record. */
const URI = /^[a-z][a-z0-9+.-]*:[\w.~:/?#[\]@$&'()*+;=%-]+$/i;
const SIZE_UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/**
 * Reads a TXT record below `_dmarc`.
 *
 * ```abnf
 * dmarc-record  = dmarc-version *(dmarc-sep dmarc-tag) [dmarc-sep]
 * dmarc-version = "v" equals %s"DMARC1"
 * dmarc-sep     = *WSP ";" *WSP
 * dmarc-tag     = 1*ALPHA equals 1*dmarc-value
 * equals        = *WSP "=" *WSP
 * dmarc-value   = %x20-3A / %x3C-7E
 * ```
 *
 * Of a tag that comes twice the first one counts. Tags and values that cannot be read are passed over, as are unknown ones.
 *
 * @param text The strings of the record joined, octets as Latin-1.
 * @returns Undefined where it is no DMARC record, of this version at least.
 * @see RFC 9989 §4.7, §4.8; RFC 7489 §6.3, §6.4
 */
export function parseDmarcRecord(text: string): PublishedDmarc | undefined {
  if (text.length > MAX_RECORD_OCTETS || !VERSION.test(text)) return undefined;
  const tags = readTags(text);
  const psd = oneOf(tags.get("psd"), ["y", "n"]) ?? "u";
  const aggregateUris = parseReportUris(tags.get("rua") ?? "");
  const policies = readPolicies(tags) ?? (aggregateUris.length > 0 ? { policy: "none" as const } : undefined);
  if (policies === undefined) return { psd };
  const testing = oneOf(tags.get("t"), ["y", "n"]);
  const record: DmarcRecord = {
    ...policies,
    isDkimStrict: oneOf(tags.get("adkim"), ["s"]) !== undefined,
    isSpfStrict: oneOf(tags.get("aspf"), ["s"]) !== undefined,
    psd,
    ...(testing === undefined ? {} : { isTesting: testing === "y" }),
    percent: parsePercent(tags.get("pct")),
    aggregateUris,
    failureUris: parseReportUris(tags.get("ruf") ?? ""),
    failureOptions: parseFailureOptions(tags.get("fo")),
  };
  return { psd, record };
}

/** The tags behind the version, names in lower case. */
function readTags(text: string): ReadonlyMap<string, string> {
  const tags = new Map<string, string>();
  for (const part of text.split(";").slice(1)) {
    const equals = part.indexOf("=");
    const name = part.slice(0, Math.max(0, equals)).trim().toLowerCase();
    const value = part.slice(equals + 1).trim();
    if (NAME.test(name) && VALUE.test(value) && !tags.has(name)) tags.set(name, value);
  }
  return tags;
}

type Policies = Pick<DmarcRecord, "policy" | "subdomainPolicy" | "absentDomainPolicy">;

/** Undefined where `p` is missing, or one of the three cannot be read: then none of them counts. */
function readPolicies(tags: ReadonlyMap<string, string>): Policies | undefined {
  const read = (name: string): DmarcRequest | undefined => oneOf(tags.get(name), ["none", "quarantine", "reject"]);
  const policy = read("p");
  const subdomainPolicy = read("sp");
  const absentDomainPolicy = read("np");
  if (policy === undefined) return undefined;
  if (tags.has("sp") && subdomainPolicy === undefined) return undefined;
  if (tags.has("np") && absentDomainPolicy === undefined) return undefined;
  return {
    policy,
    ...(subdomainPolicy === undefined ? {} : { subdomainPolicy }),
    ...(absentDomainPolicy === undefined ? {} : { absentDomainPolicy }),
  };
}

/** Literals of an ABNF are the same in any case (RFC 5234 §2.3). */
function oneOf<const W extends string>(value: string | undefined, words: readonly W[]): W | undefined {
  const lower = value?.toLowerCase();
  return words.find((word) => word === lower);
}

/** RFC 7489 §6.3; what cannot be read is the default. */
function parsePercent(value = ""): number {
  return /^\d{1,3}$/.test(value) && Number(value) <= 100 ? Number(value) : 100;
}

/** dmarc-fo = "0" / "1" / "d" / "s", several of them with colons between */
function parseFailureOptions(value = "0"): string {
  const options = value.toLowerCase().replace(/[ \t]/g, "");
  return /^[01ds](?::[01ds]){0,3}$/.test(options) ? options : "0";
}

/**
 * Reads the list of `rua` or `ruf`; entries that are no URI are passed over.
 *
 * ```abnf
 * dmarc-urilist = dmarc-uri *(*WSP "," *WSP dmarc-uri)
 * dmarc-uri     = URI [ "!" 1*DIGIT [ "k" / "m" / "g" / "t" ] ]   ; the size is of RFC 7489 §6.4 alone
 * ```
 */
function parseReportUris(value: string): readonly DmarcReportUri[] {
  const uris: DmarcReportUri[] = [];
  for (const entry of value.split(",")) {
    const [, uri = "", digits, unit = ""] = /^([^!]*)(?:!(\d{1,12})([kmgt]?))?$/i.exec(entry.trim()) ?? [];
    if (!URI.test(uri)) continue;
    const size = digits === undefined ? undefined : Number(digits) * (SIZE_UNITS[unit.toLowerCase()] ?? 1);
    uris.push(size === undefined ? { uri } : { uri, maxOctets: size });
    if (uris.length === MAX_URIS) break;
  }
  return uris;
}
