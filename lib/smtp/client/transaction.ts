/** One mail transaction (RFC 5321 §3.3): MAIL, RCPT, DATA or BDAT, content, verdict; pipelined where the peer can (RFC 2920). */

import type { Content } from "../../mail/content.ts";
import type { Reply } from "../reply.ts";
import { ClientError, errorText } from "./client_error.ts";
import { ChunkSender } from "./chunk_sender.ts";
import type { SmtpConnection } from "./connection.ts";
import { DotStuffer } from "./dot_stuffing.ts";
import { PIECE_OCTETS, PieceSender } from "./piece_sender.ts";
import { replyText } from "./reply_parser.ts";

/** A message for a peer. */
export interface Transaction {
  /** Reverse-path and parameters of MAIL: `<a@b.example> SIZE=1234`. */
  readonly mail: string;
  /** Forward-path and parameters for each RCPT; at least 1 and at most 100 (RFC 5321 §4.5.3.1.8). */
  readonly recipients: readonly string[];
  /** Sent in front of the content. */
  readonly head: Uint8Array;
  /** The message as it was received. */
  readonly content: Content;
  /** How head and content go: absent with DATA; `binary` in one chunk (BDAT, RFC 3030 §2), as they are; `lines` in several. */
  readonly chunks?: "binary" | "lines";
}

/** What a reply answers; `content` is the time in which the content is sent, and has none of its own. */
export type Stage = "mail" | "rcpt" | "data" | "content" | "dot";

/** The reply that decided about a recipient. */
export interface StageReply {
  /** The command it answers. */
  readonly stage: Stage;
  /** The reply itself. */
  readonly reply: Reply;
}

/** What is known when a transaction is over. */
export interface TransactionResult {
  /** For each recipient the deciding reply; undefined where the connection failed before it. */
  readonly replies: readonly (StageReply | undefined)[];
  /** Set where the connection failed, and where it had got to; `farewell` is the 421 that the peer sent before. */
  readonly failure?: { readonly stage: Stage; readonly error: ClientError; readonly farewell?: Reply };
  /** The content went, or was to go, with BDAT. */
  readonly chunks?: "binary" | "lines";
}

/** Content up to this size leaves in one write, if it is in memory. */
const ONE_WRITE_OCTETS = 256 * 1024;

interface Run {
  readonly connection: SmtpConnection;
  readonly transaction: Transaction;
  readonly replies: (StageReply | undefined)[];
  /** Indexes of recipients that RCPT accepted. */
  readonly accepted: number[];
  stage: Stage;
}

/** Carries out one transaction; faults of the connection are part of the result. */
export async function runTransaction(connection: SmtpConnection, transaction: Transaction): Promise<TransactionResult> {
  const replies = transaction.recipients.map(() => undefined);
  const chunks = transaction.chunks === undefined ? {} : { chunks: transaction.chunks };
  const run: Run = { connection, transaction, replies, accepted: [], stage: "mail" };
  connection.transactions++;
  try {
    const isGoAhead = connection.extensions.pipelining ? await sendPipelined(run) : await sendStepwise(run);
    if (isGoAhead && await sendContent(run)) await readVerdicts(run);
    return { replies: run.replies, ...chunks };
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    connection.fail(error);
    return { ...failed(run, error), ...chunks };
  } finally {
    connection.isAwaitingVerdict = false;
  }
}

function failed({ connection, stage, replies, accepted }: Run, error: ClientError): TransactionResult {
  // A peer that closes, or no longer listens, has often said why (RFC 5321 §3.8, §4.2.5).
  let last = connection.bufferedReply();
  const isAboutContent = stage === "content" || (stage === "dot" && connection.protocol === "smtp");
  // Answers to chunks that were taken may stand before it.
  while (isAboutContent && last !== undefined && last.code < 400) last = connection.bufferedReply();
  if (isAboutContent && last !== undefined) {
    for (const index of accepted) replies[index] = { stage, reply: last };
  }
  // With a reply too many or too few, a refusal may have been meant for another recipient.
  if (error.fault === "protocol" && !isAboutContent && stage !== "dot") replies.fill(undefined);
  const { farewell } = connection;
  return { replies, failure: { stage, error, ...(farewell === undefined ? {} : { farewell }) } };
}

/** RFC 2920 §3.1: MAIL, all RCPT and DATA in one write, then all the answers. */
async function sendPipelined(run: Run): Promise<boolean> {
  const { connection, transaction } = run;
  connection.expectSilence();
  const isReset = connection.needsReset;
  let group = isReset ? "RSET\r\n" : "";
  group += `MAIL FROM:${transaction.mail}\r\n`;
  for (const recipient of transaction.recipients) group += `RCPT TO:${recipient}\r\n`;
  // A chunk is not sent before somebody wants it.
  await connection.write(transaction.chunks === undefined ? group + "DATA\r\n" : group);
  if (isReset) await readReset(run);
  const { commandMs, dataMs } = connection.limits;
  const mail = decided(await connection.readReply(commandMs));
  run.stage = "rcpt";
  for (let index = 0; index < transaction.recipients.length; index++) {
    const reply = decided(await connection.readReply(commandMs));
    noteRecipient(run, index, isPositive(mail) ? { stage: "rcpt", reply } : { stage: "mail", reply: mail });
  }
  connection.needsReset = isPositive(mail);
  if (transaction.chunks !== undefined) return run.accepted.length > 0;
  run.stage = "data";
  return await noteData(run, await connection.readReply(dataMs));
}

async function sendStepwise(run: Run): Promise<boolean> {
  const { connection, transaction } = run;
  if (connection.needsReset) {
    connection.expectSilence();
    await connection.write("RSET\r\n");
    await readReset(run);
  }
  const mail = decided(await connection.command(`MAIL FROM:${transaction.mail}`));
  if (!isPositive(mail)) {
    transaction.recipients.forEach((_, index) => noteRecipient(run, index, { stage: "mail", reply: mail }));
    return false;
  }
  run.stage = "rcpt";
  connection.needsReset = true;
  for (const [index, recipient] of transaction.recipients.entries()) {
    noteRecipient(run, index, { stage: "rcpt", reply: decided(await connection.command(`RCPT TO:${recipient}`)) });
  }
  if (run.accepted.length === 0) return false;
  if (transaction.chunks !== undefined) return true;
  run.stage = "data";
  return await noteData(run, await connection.command("DATA", connection.limits.dataMs));
}

async function readReset({ connection }: Run): Promise<void> {
  const reply = await connection.readReply(connection.limits.commandMs);
  if (!isPositive(reply)) throw new ClientError("protocol", `Peer refused RSET with ${reply.code}`);
  connection.needsReset = false;
}

function noteRecipient(run: Run, index: number, answer: StageReply): void {
  if (answer.stage === "rcpt" && isPositive(answer.reply)) run.accepted.push(index);
  else run.replies[index] = answer;
}

/** Takes the answer to DATA and tells whether the content is to follow. */
async function noteData({ connection, replies, accepted }: Run, reply: Reply): Promise<boolean> {
  // Neither a go-ahead nor a refusal: who answers what is not known any more, and nothing was sent that it could be for.
  if (reply.code < 400 && reply.code !== 354) {
    throw new ClientError("protocol", `Peer answered with ${replyText(reply)}`);
  }
  if (reply.code !== 354) {
    for (const index of accepted) replies[index] = { stage: "data", reply };
    // The answer to DATA may be the one that is too many.
    if (connection.hasSpoken && connection.farewell === undefined) connection.expectSilence();
    return false;
  }
  if (accepted.length > 0) return true;
  // The peer waits for content that nobody is to get: end it at once (RFC 2920 §3.1). LMTP answers nothing then.
  if (connection.protocol === "lmtp") {
    connection.fail(new ClientError("protocol", "Peer accepted DATA without recipients"));
    return false;
  }
  await connection.command(".", connection.limits.dotMs);
  connection.needsReset = false;
  return false;
}

/** Returns false where the peer refused it before its end. */
async function sendContent(run: Run): Promise<boolean> {
  run.connection.expectSilence();
  run.stage = "content";
  const { chunks } = run.transaction;
  if (chunks === "lines") return await sendChunks(run);
  if (chunks === "binary") await sendChunk(run);
  else await sendStuffed(run);
  return true;
}

async function sendStuffed(run: Run): Promise<void> {
  const { connection, transaction: { head, content } } = run;
  const stuffer = new DotStuffer();
  if (content.inMemory !== undefined && content.octets <= ONE_WRITE_OCTETS) {
    const isSent = connection.write(stuffer.whole(head, content.inMemory));
    enterVerdict(run);
    await isSent;
    return;
  }
  const pieces = new PieceSender(connection);
  await connection.write(stuffer.stuff(head));
  for await (const chunk of readChunks(content)) {
    for (let at = 0; at < chunk.length; at += PIECE_OCTETS) {
      expectNoVerdict(run);
      await pieces.send(stuffer.stuff(chunk.subarray(at, at + PIECE_OCTETS), (octets) => pieces.take(octets)));
    }
  }
  expectNoVerdict(run);
  const isSent = connection.write(stuffer.end());
  enterVerdict(run);
  await isSent;
}

/** RFC 3030 §2: the length first, and no final dot behind. */
async function sendChunk(run: Run): Promise<void> {
  const { connection, transaction: { head, content } } = run;
  await connection.write(`BDAT ${head.length + content.octets} LAST\r\n`);
  await connection.write(head);
  const pieces = new PieceSender(connection);
  let left = content.octets;
  if (left === 0) enterVerdict(run);
  for await (const chunk of readChunks(content)) {
    left -= chunk.length;
    expectNoVerdict(run);
    // Pieces of a file are read into one buffer: each must have left before the next.
    const isSent = pieces.sendCopy(chunk);
    if (left === 0) enterVerdict(run);
    await isSent;
  }
}

/**
 * A peer that speaks before the end has refused the content, which then needs no end; or, with 2yz, it speaks of something
 * else, and taking that for its verdict would lose the message.
 */
function expectNoVerdict({ connection }: Run): void {
  if (connection.hasSpoken) throw new ClientError("protocol", "Peer spoke before the end of the content");
}

/** Returns false where a chunk was refused: the next transaction begins with RSET then (RFC 3030 §2). */
async function sendChunks(run: Run): Promise<boolean> {
  const { connection, transaction: { head, content }, replies, accepted } = run;
  const sender = new ChunkSender(connection, head.length + content.octets);
  const isShared = content.inMemory === undefined;
  let refusal = await sender.send(head, false);
  if (refusal === undefined) {
    for await (const chunk of readChunks(content)) {
      refusal = await sender.send(chunk, isShared);
      if (refusal !== undefined) break;
    }
  }
  refusal ??= await sender.finish(() => enterVerdict(run));
  for (const index of refusal === undefined ? [] : accepted) {
    if (refusal !== undefined) replies[index] = { stage: "content", reply: refusal };
  }
  return refusal === undefined;
}

/** From here a lost connection leaves open whether the peer has the message. */
function enterVerdict(run: Run): void {
  run.stage = "dot";
  run.connection.isAwaitingVerdict = true;
}

async function* readChunks(content: Content): AsyncGenerator<Uint8Array> {
  let octets = 0;
  try {
    for await (const chunk of content.chunks()) {
      octets += chunk.length;
      yield chunk;
    }
  } catch (error) {
    throw new ClientError("content", `Cannot read the message: ${errorText(error)}`, { cause: error });
  }
  if (octets === content.octets) return;
  throw new ClientError("content", `Cannot read the message: it has ${octets} octets instead of ${content.octets}`);
}

/** SMTP gives one verdict, LMTP one for each accepted recipient, in their order (RFC 2033 §4.2). */
async function readVerdicts({ connection, replies, accepted }: Run): Promise<void> {
  const { dotMs } = connection.limits;
  if (connection.protocol === "lmtp") {
    for (const index of accepted) replies[index] = { stage: "dot", reply: decided(await connection.readReply(dotMs)) };
  } else {
    const reply = decided(await connection.readReply(dotMs));
    for (const index of accepted) replies[index] = { stage: "dot", reply };
  }
  connection.needsReset = false;
}

/** A reply that is yes or no. 3yz is for DATA and AUTH: elsewhere it is not known any more who answers what. */
function decided(reply: Reply): Reply {
  if (reply.code < 300 || reply.code >= 400) return reply;
  throw new ClientError("protocol", `Peer answered with ${replyText(reply)}`);
}

function isPositive({ code }: Reply): boolean {
  return code >= 200 && code < 300;
}
