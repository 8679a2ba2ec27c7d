/**
 * Decodes DNS messages (RFC 1035 §4) strictly and in linear time: section counts, lengths and names must agree with the
 * octets. Records of other types or classes are skipped.
 */

import { readData, typeCodes, type WireRecordData, type WireRecordType } from "./record_data.ts";
import { WireReader } from "./wire_reader.ts";

/** A record of class IN and of a type that posthorn reads. */
export type WireRecord = {
  readonly [T in WireRecordType]: {
    /** Owner, lower case, without final dot. */
    readonly owner: string;
    readonly type: T;
    readonly ttlSeconds: number;
    readonly data: WireRecordData[T];
  };
}[WireRecordType];

/** What a message asks. */
export interface Question {
  /** Lower case, without final dot. */
  readonly name: string;
  /** QTYPE */
  readonly typeCode: number;
  /** QCLASS */
  readonly classCode: number;
}

/** A decoded message. */
export interface DnsMessage {
  /** Chosen by who asked. */
  readonly id: number;
  /** QR: an answer, not a query. */
  readonly isResponse: boolean;
  /** AA */
  readonly isAuthoritative: boolean;
  /** TC: ask again over TCP. The sections are then left empty here, whatever part of them came. */
  readonly isTruncated: boolean;
  /** RA: the server asks other servers for us. */
  readonly isRecursionAvailable: boolean;
  /** AD: the server validated all of it with DNSSEC (RFC 4035 §3.2.3). */
  readonly isAuthenticated: boolean;
  /** With the upper bits of an OPT record (RFC 6891 §6.1.3). */
  readonly responseCode: number;
  /** What it answers, normally one. */
  readonly questions: readonly Question[];
  /** Records that answer, aliases included. */
  readonly answers: readonly WireRecord[];
  /** Records about the zone: the SOA record of a negative answer. */
  readonly authority: readonly WireRecord[];
}

/** Class IN (RFC 1035 §3.2.4). */
export const CLASS_IN = 1;
/** The pseudo record of EDNS0 (RFC 6891 §6.1.1). */
export const TYPE_OPT = 41;

const typesByCode: ReadonlyMap<number, WireRecordType> = new Map(
  (Object.keys(typeCodes) as WireRecordType[]).map((type) => [typeCodes[type], type]),
);

const responseCodeNames = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

/** The name of a response code for people: `SERVFAIL`, or `RCODE 23`. */
export function responseCodeText(code: number): string {
  return responseCodeNames[code] ?? `RCODE ${code}`;
}

/**
 * Decodes a whole message.
 *
 * @param octets Without the length prefix of TCP.
 * @throws {DnsMessageError} When it breaks RFC 1035 anywhere; nothing else is ever thrown.
 */
export function decodeMessage(octets: Uint8Array): DnsMessage {
  const reader = new WireReader(octets);
  const id = reader.uint16();
  const flags = reader.uint16();
  const counts = [reader.uint16(), reader.uint16(), reader.uint16(), reader.uint16()] as const;
  const questions = readQuestions(reader, counts[0]);
  const isTruncated = (flags & 0x0200) !== 0;
  const header = {
    id,
    isResponse: (flags & 0x8000) !== 0,
    isAuthoritative: (flags & 0x0400) !== 0,
    isTruncated,
    isRecursionAvailable: (flags & 0x0080) !== 0,
    isAuthenticated: (flags & 0x0020) !== 0,
    questions,
  };
  // RFC 2181 §9: what came of a truncated answer is not used; servers cut it where they like.
  if (isTruncated) return { ...header, responseCode: flags & 0x0f, answers: [], authority: [] };
  const answers = readRecords(reader, counts[1]);
  const authority = readRecords(reader, counts[2]);
  const additional = readRecords(reader, counts[3]);
  reader.expectEnd("Message");
  const responseCode = (flags & 0x0f) + additional.extendedCode * 0x10;
  return { ...header, responseCode, answers: answers.records, authority: authority.records };
}

function readQuestions(reader: WireReader, count: number): Question[] {
  const questions: Question[] = [];
  for (let i = 0; i < count; i++) {
    questions.push({ name: reader.name(), typeCode: reader.uint16(), classCode: reader.uint16() });
  }
  return questions;
}

/** The records of a section, and the upper eight bits of the response code when it holds an OPT record. */
function readRecords(reader: WireReader, count: number): { records: WireRecord[]; extendedCode: number } {
  const records: WireRecord[] = [];
  let extendedCode = 0;
  for (let i = 0; i < count; i++) {
    const owner = reader.name();
    const typeCode = reader.uint16();
    const classCode = reader.uint16();
    const rawTtl = reader.uint32();
    const data = reader.part(reader.uint16());
    if (typeCode === TYPE_OPT) extendedCode = rawTtl >>> 24;
    const type = typesByCode.get(typeCode);
    if (type === undefined || classCode !== CLASS_IN) continue;
    // RFC 2181 §8: a TTL with the top bit set counts as zero.
    records.push(readRecord(type, owner, rawTtl >= 0x8000_0000 ? 0 : rawTtl, data));
  }
  return { records, extendedCode };
}

function readRecord<T extends WireRecordType>(
  type: T,
  owner: string,
  ttlSeconds: number,
  reader: WireReader,
): WireRecord {
  const data = readData[type](reader);
  reader.expectEnd(`${type} record`);
  // The compiler does not see that `type` and `data` belong together.
  return { owner, type, ttlSeconds, data } as WireRecord;
}
