/** Encodes DNS answers. The program itself never answers, so this lives with the tests. */

import { parseIpAddress } from "../../lib/dns/ip_address.ts";
import { encodeName } from "../../lib/dns/name.ts";
import { typeCodes, type WireRecordType } from "../../lib/dns/record_data.ts";

/** A record whose data is encoded already. */
export interface EncodedRecord {
  readonly owner: string;
  readonly typeCode: number;
  readonly ttlSeconds: number;
  readonly data: Uint8Array;
}

/** An answer to encode. */
export interface Response {
  readonly id: number;
  /** Header flags without response code. */
  readonly flags: number;
  readonly responseCode: number;
  readonly question?: { readonly name: string; readonly typeCode: number };
  readonly answers?: readonly EncodedRecord[];
  readonly authority?: readonly EncodedRecord[];
  readonly hasEdns?: boolean;
}

/** Header flags (RFC 1035 §4.1.1, RFC 4035 §3.2). */
export const flag = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recursion: 0x0180,
  authentic: 0x0020,
};

const uint16 = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff];
const uint32 = (value: number): number[] => [...uint16(value >>> 16), ...uint16(value & 0xffff)];

/** A name on the wire; `""` and `"."` are the root. */
export function nameOctets(name: string): Uint8Array {
  return name === "" || name === "." ? Uint8Array.of(0) : encodeName(name);
}

/** Encodes a response. Owner names equal to the question are compressed to a pointer, as servers do. */
export function encodeResponse(response: Response): Uint8Array<ArrayBuffer> {
  const { id, flags, responseCode, question, answers = [], authority = [], hasEdns = false } = response;
  const octets: number[] = [
    ...uint16(id),
    ...uint16(flags | responseCode),
    ...uint16(question === undefined ? 0 : 1),
    ...uint16(answers.length),
    ...uint16(authority.length),
    ...uint16(hasEdns ? 1 : 0),
  ];
  if (question !== undefined) octets.push(...nameOctets(question.name), ...uint16(question.typeCode), ...uint16(1));
  for (const { owner, typeCode, ttlSeconds, data } of [...answers, ...authority]) {
    const isQuestion = owner.toLowerCase() === question?.name.toLowerCase();
    octets.push(...(isQuestion ? [0xc0, 12] : nameOctets(owner)));
    octets.push(...uint16(typeCode), ...uint16(1), ...uint32(ttlSeconds), ...uint16(data.length), ...data);
  }
  if (hasEdns) octets.push(0, ...uint16(41), ...uint16(1232), ...uint32(0x8000), ...uint16(0));
  return Uint8Array.from(octets);
}

/** A record of a type that posthorn reads. */
export function encodeRecord(
  owner: string,
  type: WireRecordType,
  data: Uint8Array | readonly number[],
  ttlSeconds = 300,
): EncodedRecord {
  return { owner, typeCode: typeCodes[type], ttlSeconds, data: Uint8Array.from(data) };
}

/** Data of A and AAAA. */
export function addressData(address: string): Uint8Array {
  const octets = parseIpAddress(address);
  if (octets === undefined) throw new RangeError(`Cannot serve "${address}": not an IP address`);
  return octets;
}

/** Data of MX. */
export function mxData(preference: number, exchange: string): number[] {
  return [...uint16(preference), ...nameOctets(exchange)];
}

/** Data of SRV. */
export function srvData(priority: number, weight: number, port: number, target: string): number[] {
  return [...uint16(priority), ...uint16(weight), ...uint16(port), ...nameOctets(target)];
}

/** Data of TXT: character-strings of at most 255 octets; a longer text is cut into several. */
export function textData(text: string | readonly string[]): number[] {
  const pieces = typeof text === "string" ? text.match(/[^]{1,255}/g) ?? [""] : text;
  return pieces.flatMap((piece) => [piece.length, ...Array.from(piece, (character) => character.charCodeAt(0) & 0xff)]);
}

/** Data of SOA; only the last number matters to posthorn. */
export function soaData(minimumSeconds: number): number[] {
  const times = [1, 7200, 900, 86_400, minimumSeconds];
  return [...nameOctets("ns.test"), ...nameOctets("hostmaster.test"), ...times.flatMap(uint32)];
}
