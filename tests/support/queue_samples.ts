/** Messages, loggers and spools for tests of the queue. */

import { configure, getLogger, type Logger, type LogRecord, reset } from "@logtape/logtape";
import type { Envelope } from "../../lib/mail/envelope.ts";
import type { Outcome } from "../../lib/mail/outcome.ts";
import { type FileSpoolOptions, openFileSpool } from "../../lib/queue/file_spool.ts";
import type { QueuedMessage, Spool, SpoolEvent } from "../../lib/queue/spool.ts";
import type { Files } from "../../lib/system/files.ts";
import { FakeClock } from "./fake_clock.ts";

/** An envelope to these recipients. */
export function sampleEnvelope(
  recipients: readonly string[] = ["bob@example.org"],
  more: Partial<Envelope> = {},
): Envelope {
  return {
    reversePath: "alice@example.net",
    arrived: "2026-01-01T00:00:00.000Z",
    body: "8BITMIME",
    smtpUtf8: false,
    trace: "Received: from client.example by mail.example.org; Thu, 1 Jan 2026 00:00:00 +0000\r\n",
    session: { service: "mx", clientAddress: "192.0.2.1", helo: "client.example", protocol: "ESMTP" },
    recipients: recipients.map((address) => ({ address })),
    ...more,
  };
}

/** Content of exactly this length, different for each seed. */
export function sampleContent(octets: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length: octets }, (_, i) => (i * 31 + seed * 17 + (i >> 8)) & 0xff);
}

/** An outcome. */
export function outcome(action: Outcome["action"], status: string, text = "words"): Outcome {
  return { action, status, text, isRemoteReply: false };
}

/** An attempt of the first recipient that was delayed. */
export function delayedEvent(text = "450 4.2.0 later", recipients: readonly number[] = [0]): SpoolEvent {
  return {
    event: "attempt",
    at: "2026-01-01T00:00:01.000Z",
    recipients,
    outcome: { action: "delayed", status: "4.2.0", text, isRemoteReply: true, remoteMta: "mx.example.org" },
    nextAttempt: "2026-01-01T00:05:01.000Z",
  };
}

/** A spool on the file system given. */
export function openSpool(files: Files, more: Partial<FileSpoolOptions> = {}): Promise<Spool> {
  return openFileSpool({
    folder: "/data/spool",
    files,
    clock: new FakeClock(),
    logger: getLogger(["test", "spool"]),
    randomOctets: (into) => void crypto.getRandomValues(into),
    processId: 4711,
    ...more,
  });
}

/** Puts a message into a spool, in pieces. */
export async function put(
  spool: Spool,
  envelope: Envelope = sampleEnvelope(),
  content: Uint8Array = sampleContent(2_000),
  pieceOctets = 1_000,
): Promise<QueuedMessage> {
  const reception = spool.receive();
  try {
    for (let at = 0; at < content.length; at += pieceOctets) {
      await reception.write(content.subarray(at, at + pieceOctets));
    }
    return await reception.commit(envelope);
  } finally {
    await reception.abort();
  }
}

/** All that a spool finds, by queue id. */
export async function recoverAll(spool: Spool): Promise<Map<string, QueuedMessage>> {
  const messages: Map<string, QueuedMessage> = new Map();
  for await (const message of spool.recover()) messages.set(message.queueId, message);
  return messages;
}

/** The octets of a message, read in pieces. */
export async function readContent({ content }: Pick<QueuedMessage, "content">): Promise<Uint8Array> {
  const read = new Uint8Array(content.octets);
  let at = 0;
  for await (const piece of content.chunks()) {
    read.set(piece, at);
    at += piece.length;
  }
  return read.subarray(0, at);
}

/** Catches the log until disposed; LogTape has one configuration, so one test of a file at a time. */
export async function catchLog(): Promise<AsyncDisposable & { readonly logger: Logger; readonly lines: string[] }> {
  const lines: string[] = [];
  await configure({
    reset: true,
    sinks: { caught: (record: LogRecord): void => void lines.push(record.message.map(String).join("")) },
    loggers: [
      { category: "test", lowestLevel: "debug", sinks: ["caught"] },
      { category: ["logtape", "meta"], lowestLevel: "fatal", sinks: [] },
    ],
  });
  return { logger: getLogger(["test", "queue"]), lines, [Symbol.asyncDispose]: () => reset() };
}
