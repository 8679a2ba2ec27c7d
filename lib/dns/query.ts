/** One question to a server, and the test whether a message answers it. */

import { CLASS_IN, decodeMessage, type DnsMessage, TYPE_OPT } from "./message.ts";
import { encodeName } from "./name.ts";
import { typeCodes } from "./record_data.ts";
import type { RecordType } from "./resolver.ts";

/** The largest answer asked for over UDP: it passes every usual network without fragments (RFC 6891 §6.2.5). */
const UDP_OCTETS = 1232;

/** A question, ready to be sent. */
export interface Query {
  /** Message id. */
  readonly id: number;
  /** As `normaliseName` gives it. */
  readonly name: string;
  /** Record type asked for. */
  readonly type: RecordType;
  /** The message, without the length prefix of TCP. */
  readonly octets: Uint8Array<ArrayBuffer>;
}

/** What to ask. */
export interface QueryOptions {
  /** Unpredictable, 0 to 65535 (RFC 5452 §4.3). */
  readonly id: number;
  /** As `normaliseName` gives it. */
  readonly name: string;
  /** Record type to ask for. */
  readonly type: RecordType;
  /** Send an OPT record; not to a server that answered FORMERR to it (RFC 6891 §7). Default: true. */
  readonly hasEdns?: boolean;
}

/**
 * Encodes a query for recursive service that asks for the verdict of DNSSEC: RD and AD (RFC 6840 §5.7) and an OPT record
 * with DO (RFC 3225 §3) and a UDP size of 1232.
 *
 * @throws {DnsNameError} When the name cannot be encoded.
 */
export function makeQuery({ id, name, type, hasEdns = true }: QueryOptions): Query {
  const owner = encodeName(name);
  const octets = new Uint8Array(12 + owner.length + 4 + (hasEdns ? 11 : 0));
  const view = new DataView(octets.buffer);
  view.setUint16(0, id);
  view.setUint16(2, 0x0120);
  view.setUint16(4, 1);
  view.setUint16(10, hasEdns ? 1 : 0);
  octets.set(owner, 12);
  const end = 12 + owner.length;
  view.setUint16(end, typeCodes[type]);
  view.setUint16(end + 2, CLASS_IN);
  if (hasEdns) {
    // RFC 6891 §6.1.2: root owner, type, UDP size as class, flags as TTL, no options.
    view.setUint16(end + 5, TYPE_OPT);
    view.setUint16(end + 7, UDP_OCTETS);
    view.setUint16(end + 11, 0x8000);
  }
  return { id, name, type, octets };
}

/**
 * Decodes an answer to `query`.
 *
 * @returns Undefined when it answers something else: another id, another question, or no response at all
 * (RFC 5452 §9.1). The caller goes on waiting then.
 * @throws {DnsMessageError} When it has the right id and is malformed.
 */
export function readAnswerTo(query: Query, octets: Uint8Array): DnsMessage | undefined {
  if (octets.length < 2 || ((octets[0] ?? 0) << 8 | (octets[1] ?? 0)) !== query.id) return undefined;
  const message = decodeMessage(octets);
  const [question] = message.questions;
  const isAnswer = message.isResponse && message.questions.length === 1 && question !== undefined &&
    question.name === query.name && question.typeCode === typeCodes[query.type] && question.classCode === CLASS_IN;
  return isAnswer ? message : undefined;
}
