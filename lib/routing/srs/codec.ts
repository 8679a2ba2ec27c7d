/**
 * The form of addresses in the Sender Rewriting Scheme, as Mail::SRS, libsrs2 and PostSRSd write it. Who may make one, and
 * until when it counts, is in srs.ts.
 *
 * ```abnf
 * srs0       = "SRS0" sep hash "=" timestamp "=" domain "=" local-part   ; at the domain that forwards
 * srs1       = "SRS1" sep hash "=" domain "=" srs0-rest                  ; from the second forwarder on
 * srs0-rest  = sep *CHAR                                                 ; of the first forwarder, without its "SRS0"
 * sep        = "=" / "+" / "-"                                           ; we write "="
 * timestamp  = 2base32                                                   ; days since 1970, modulo 1024
 * ```
 */

import { formatLocalPart, type Mailbox, normalizeDomain, parseMailbox } from "../../mail/mailbox.ts";

/** What an address says, believed by nobody yet. */
export type SrsAddress =
  | {
    readonly kind: "srs0";
    readonly hash: string;
    /** What the hash is of. */
    readonly signed: readonly string[];
    /** Days since 1970, modulo 1024. */
    readonly day: number;
    /** Whom it stands for. */
    readonly original: Mailbox;
  }
  | {
    readonly kind: "srs1";
    readonly hash: string;
    readonly signed: readonly string[];
    /** The address at the first forwarder. */
    readonly original: Mailbox;
  };

/** Signs fields: base64 of the whole digest, to be cut. */
export type Sign = (fields: readonly string[]) => string;

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/** Days after which a timestamp comes again. */
export const TIMESTAMP_CYCLE = 1024;

// Without the flag "u" no letter outside US-ASCII folds to one inside.
const SRS0 = /^SRS0[-+=]([a-z0-9+/]+)=([a-z2-7]{2})=([^=]+)=(.*)$/is;
const SRS1 = /^SRS1[-+=]([a-z0-9+/]+)=([^=]+)=([-+=].*)$/is;
const ANY_SRS0 = /^SRS0([-+=].*)$/is;

/**
 * Writes the reverse-path of a forwarded message.
 *
 * @param sender The reverse-path as it came; the SRS address of another forwarder becomes SRS1, which never grows further.
 * @param domain Ours: the part behind the "@".
 * @param day Days since 1970.
 * @param hashLength Characters of the signature to use.
 * @returns Undefined where the address would be too long for SMTP (RFC 5321 §4.5.3.1.3).
 */
export function writeSrs(
  { localPart, domain: host }: Mailbox,
  { domain, day, sign, hashLength }: {
    readonly domain: string;
    readonly day: number;
    readonly sign: Sign;
    readonly hashLength: number;
  },
): string | undefined {
  const hashOf = (...fields: string[]): string => sign(fields).slice(0, hashLength);
  const srs1 = (first: string, rest: string): string => `SRS1=${hashOf(first, rest)}=${first}=${rest}`;
  const [, , firstHost, firstRest] = SRS1.exec(localPart) ?? [];
  const [, rest] = ANY_SRS0.exec(localPart) ?? [];
  let text: string;
  if (firstHost !== undefined && firstRest !== undefined && normalizeDomain(firstHost) !== undefined) {
    text = srs1(firstHost, firstRest);
  } else if (rest !== undefined) {
    text = srs1(host, rest);
  } else {
    const timestamp = formatDay(day);
    text = `SRS0=${hashOf(timestamp, host, localPart)}=${timestamp}=${host}=${localPart}`;
  }
  return parseMailbox(`${formatLocalPart(text)}@${domain}`)?.text;
}

/** Reads the local part of an address of ours; undefined where it has not the form, or stands for no mailbox. */
export function readSrs(localPart: string): SrsAddress | undefined {
  const [, hash0, timestamp, host, user] = SRS0.exec(localPart) ?? [];
  if (hash0 !== undefined && timestamp !== undefined && host !== undefined && user !== undefined) {
    const original = parseMailbox(`${formatLocalPart(user)}@${host}`);
    const signed = [timestamp, host, user];
    return original && { kind: "srs0", hash: hash0, signed, day: parseDay(timestamp), original };
  }
  const [, hash1, first, rest] = SRS1.exec(localPart) ?? [];
  if (hash1 === undefined || first === undefined || rest === undefined) return undefined;
  const original = parseMailbox(`${formatLocalPart(`SRS0${rest}`)}@${first}`);
  return original && { kind: "srs1", hash: hash1, signed: [first, rest], original };
}

function formatDay(day: number): string {
  return BASE32.charAt((day >> 5) & 31) + BASE32.charAt(day & 31);
}

/** @param timestamp Two characters of base32, in any case. */
function parseDay(timestamp: string): number {
  const [high = "", low = ""] = timestamp.toUpperCase();
  return BASE32.indexOf(high) * 32 + BASE32.indexOf(low);
}
