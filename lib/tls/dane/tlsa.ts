/** TLSA records: which of them SMTP can use, and whether one stands for a certificate (RFC 6698 §2.1, RFC 7672 §3.1). */

import { Buffer } from "node:buffer";
import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import type { RecordData } from "../../dns/resolver.ts";
import { publicKeyInfo } from "../certificate_parts.ts";
import { parseCertificate } from "../certificate_path.ts";

/** One record, as DNS gives it. */
export type TlsaRecord = RecordData["TLSA"];

/** Certificate usage DANE-TA: an authority above the server's certificate (RFC 7218 §2.1). */
export const DANE_TA = 2;
/** Certificate usage DANE-EE: the server's certificate itself. */
export const DANE_EE = 3;

const WHOLE_CERTIFICATE = 0;
const PUBLIC_KEY = 1;
const EXACT = 0;
/** Matching type → hash function and octets of its digest; the higher number is the stronger one. */
const DIGESTS: ReadonlyMap<number, { readonly name: string; readonly octets: number }> = new Map([
  [1, { name: "sha256", octets: 32 }],
  [2, { name: "sha512", octets: 64 }],
]);

/**
 * Picks the records that count: usages DANE-TA and DANE-EE, known selectors and matching types, data of the right form.
 * The PKIX usages 0 and 1 are unusable for SMTP (RFC 7672 §3.1.3). Where one usage and selector comes with several
 * digests, only the strongest counts (RFC 7671 §9).
 *
 * @returns None at all where every record is unusable: TLS is mandatory then, but nothing is proved (RFC 7672 §2.2).
 */
export function usableTlsa(records: readonly TlsaRecord[]): readonly TlsaRecord[] {
  const wellFormed = records.filter(isUsable);
  const kind = ({ usage, selector }: TlsaRecord): string => `${usage} ${selector}`;
  const strongest = new Map<string, number>();
  for (const record of wellFormed) {
    strongest.set(kind(record), Math.max(record.matchingType, strongest.get(kind(record)) ?? EXACT));
  }
  return wellFormed.filter((record) =>
    record.matchingType === EXACT || record.matchingType === strongest.get(kind(record))
  );
}

/** True where a record stands for this certificate, given as DER. */
export function matchesTlsa({ selector, matchingType, data }: TlsaRecord, certificate: Uint8Array): boolean {
  const selected = selector === WHOLE_CERTIFICATE ? certificate : keyInfoOf(certificate);
  if (selected === undefined) return false;
  const digest = DIGESTS.get(matchingType);
  return equal(digest === undefined ? selected : createHash(digest.name).update(selected).digest(), data);
}

/** The certificate of an authority that a record holds whole (`2 0 0`): the server need not send it (RFC 7671 §5.2.2). */
export function wholeCertificate({ selector, matchingType, data }: TlsaRecord): Uint8Array | undefined {
  return selector === WHOLE_CERTIFICATE && matchingType === EXACT ? data : undefined;
}

/** The bare key of an authority that a record holds (`2 1 0`): nobody needs to send its certificate. */
export function wholeKey({ selector, matchingType, data }: TlsaRecord): KeyObject | undefined {
  return selector === PUBLIC_KEY && matchingType === EXACT ? parseKey(data) : undefined;
}

/** The text of a record in a zone file: `3 1 1 8bf2…`, for log lines and reports (RFC 8460 §4.4). */
export function tlsaText({ usage, selector, matchingType, data }: TlsaRecord): string {
  return `${usage} ${selector} ${matchingType} ${data.toHex()}`;
}

function isUsable({ usage, selector, matchingType, data }: TlsaRecord): boolean {
  if (usage !== DANE_TA && usage !== DANE_EE) return false;
  if (selector !== WHOLE_CERTIFICATE && selector !== PUBLIC_KEY) return false;
  if (matchingType !== EXACT) return DIGESTS.get(matchingType)?.octets === data.length;
  return selector === PUBLIC_KEY ? parseKey(data) !== undefined : parseCertificate(data) !== undefined;
}

function parseKey(der: Uint8Array): KeyObject | undefined {
  try {
    return createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}

function keyInfoOf(certificate: Uint8Array): Uint8Array | undefined {
  try {
    return publicKeyInfo(certificate);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, i) => octet === b[i]);
}
