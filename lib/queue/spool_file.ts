/**
 * The format of a spool file, as octets. It is written once and then only appended to:
 *
 * ```
 * posthorn-spool 1 000000001234\n   format version, octets of content; always 30 octets long
 * <content>
 * {"id": …, "envelope": …}\n       spaces may stand before the line feed
 * {"event": …}\n …
 * ```
 *
 * The id is the queue id, which is the name of the file, too: files are written over for other messages (`spare_files.ts`).
 *
 * Opening, syncing and renaming files is `file_spool.ts`.
 */

import type { Envelope } from "../mail/envelope.ts";
import type { SpoolEvent } from "./spool.ts";
import { envelopeFrom, eventFrom, SpoolFileError } from "./spool_json.ts";

/** Length of the first line. */
export const HEAD_OCTETS = 30;

/** The end of a spool file: everything after the content. */
export interface SpoolTail {
  /** As the message was accepted. */
  readonly envelope: Envelope;
  /** What happened since, in order. */
  readonly events: readonly SpoolEvent[];
  /** Lines among the events that are no JSON: what a failed write left behind before a later one succeeded. */
  readonly unreadableLines: number;
}

const MAX_CONTENT_OCTETS = 999_999_999_999;
const HEAD = /^posthorn-spool (\d+) (\d{12})\n$/;
const LINE_FEED = 0x0a;
const SPACE = 0x20;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
/** Any octets are text to it. */
const latin1 = new TextDecoder("latin1");

/**
 * Makes the first line for a content of this length.
 *
 * @throws {RangeError} More octets than 12 digits can say.
 */
export function encodeHead(contentOctets: number): Uint8Array {
  if (contentOctets < 0 || contentOctets > MAX_CONTENT_OCTETS) {
    throw new RangeError("Content is too long for a spool file");
  }
  return encoder.encode(`posthorn-spool 1 ${String(contentOctets).padStart(12, "0")}\n`);
}

/** Makes the line that follows the content. */
export function encodeEnvelope(id: string, envelope: Envelope): Uint8Array {
  return encoder.encode(`${JSON.stringify({ id, envelope })}\n`);
}

/** Makes the line so many octets longer, so that it reaches to the end of the file that it is written over. */
export function padEnvelope(line: Uint8Array, octets: number): Uint8Array {
  const padded = new Uint8Array(line.length + octets).fill(SPACE, line.length - 1);
  padded.set(line.subarray(0, -1));
  padded[padded.length - 1] = LINE_FEED;
  return padded;
}

/** Makes the lines to append for these events. */
export function encodeEvents(events: readonly SpoolEvent[]): Uint8Array {
  let lines = "";
  for (const event of events) lines += `${JSON.stringify(event)}\n`;
  return encoder.encode(lines);
}

/**
 * Reads the first line.
 *
 * @returns Octets of content.
 * @throws {SpoolFileError} It is no spool file, or one of a version that is not known.
 */
export function decodeHead(head: Uint8Array): number {
  const match = HEAD.exec(latin1.decode(head.subarray(0, HEAD_OCTETS)));
  if (match === null) throw new SpoolFileError("The first line is not that of a spool file");
  if (match[1] !== "1") throw new SpoolFileError(`The spool file format ${match[1]} is not known to this version`);
  return Number(match[2]);
}

/**
 * Reads everything after the content.
 *
 * A last line without its line feed is what a crash during an append leaves: it was never acknowledged and is passed
 * over. An event line that is no JSON is passed over too: a forgotten attempt at worst repeats a delivery, where setting
 * the file aside would stop it.
 *
 * @param id Of the message that it should be.
 * @throws {SpoolFileError} Another message; or no whole envelope (it is synced before the file becomes visible, so no crash can tear it),
 * or a whole line with a meaning that is not understood.
 */
export function decodeTail(tail: Uint8Array, id: string): SpoolTail {
  const end = tail.indexOf(LINE_FEED);
  if (end === -1) throw new SpoolFileError("The envelope is missing or cut short");
  const first = parseLine(tail.subarray(0, end));
  if (typeof first !== "object" || first === null || !("envelope" in first)) {
    throw new SpoolFileError("There is no envelope where the content ends");
  }
  // Absent in files of older versions, which were made for one message.
  if ("id" in first && first.id !== id) throw new SpoolFileError(`It is the file of another message, ${first.id}`);
  const envelope = envelopeFrom(first.envelope);
  const events: SpoolEvent[] = [];
  let unreadableLines = 0;
  let start = end + 1;
  for (let next = tail.indexOf(LINE_FEED, start); next !== -1; next = tail.indexOf(LINE_FEED, start)) {
    const value = parseLine(tail.subarray(start, next));
    if (value === undefined) unreadableLines++;
    else events.push(checkIndexes(eventFrom(value), envelope.recipients.length));
    start = next + 1;
  }
  return { envelope, events, unreadableLines };
}

/** The value of a line; undefined where it is no JSON (JSON itself has no undefined). */
function parseLine(line: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(line));
  } catch {
    return undefined;
  }
}

function checkIndexes(event: SpoolEvent, recipients: number): SpoolEvent {
  if ("recipients" in event && event.recipients.some((index) => index >= recipients)) {
    throw new SpoolFileError(`The event "${event.event}" names a recipient that the envelope does not have`);
  }
  return event;
}
