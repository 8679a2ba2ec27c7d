/** The data of the record types that posthorn reads. */

import { formatIpAddress } from "./ip_address.ts";
import type { RecordData } from "./resolver.ts";
import { DnsMessageError, type WireReader } from "./wire_reader.ts";

/** What can be asked for, and what is needed to understand an answer. */
export interface WireRecordData extends RecordData {
  /** The name that this one is an alias of. */
  CNAME: string;
  /** How long a negative answer may be kept (RFC 2308 §4). */
  SOA: { readonly minimumSeconds: number };
}

/** A record type that is decoded; others are skipped. */
export type WireRecordType = keyof WireRecordData;

/** The numbers of the record types (RFC 1035 §3.2.2, RFC 3596 §2.1, RFC 2782, RFC 6698 §7.1). */
export const typeCodes: Readonly<Record<WireRecordType, number>> = {
  A: 1,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  TLSA: 52,
};

/** How the data of each type is read. `reader` sees exactly the octets that RDLENGTH counts. */
export const readData: { readonly [T in WireRecordType]: (reader: WireReader) => WireRecordData[T] } = {
  A: (reader) => formatIpAddress(reader.octets(4)),
  AAAA: (reader) => formatIpAddress(reader.octets(16)),
  CNAME: (reader) => reader.name(),
  PTR: (reader) => reader.name(),
  MX: (reader) => ({ preference: reader.uint16(), exchange: reader.name() }),
  TXT: readText,
  // RFC 6698 §2.1: certificate usage, selector, matching type, certificate association data.
  TLSA: (reader) => ({
    usage: reader.uint8(),
    selector: reader.uint8(),
    matchingType: reader.uint8(),
    data: reader.octets(reader.left),
  }),
  SRV: (reader) => ({
    priority: reader.uint16(),
    weight: reader.uint16(),
    port: reader.uint16(),
    target: reader.name(),
  }),
  SOA: (reader) => {
    reader.name();
    reader.name();
    reader.octets(16);
    return { minimumSeconds: reader.uint32() };
  },
};

/** One or more character-strings (RFC 1035 §3.3.14), joined without a separator as SPF and DKIM want it (RFC 7208 §3.3). */
function readText(reader: WireReader): string {
  if (reader.left === 0) throw new DnsMessageError("TXT record has no character-string");
  let text = "";
  while (reader.left > 0) {
    for (const octet of reader.octets(reader.uint8())) text += String.fromCharCode(octet);
  }
  return text;
}
