/** DATA (RFC 5321 §4.1.1.4): takes the content, and takes responsibility for it. */

import { countFields } from "../../mail/header.ts";
import type { Envelope } from "../../mail/envelope.ts";
import type { QueuedMessage, Reception } from "../../queue/spool.ts";
import type { ContentProblem } from "../../smtp/content_reader.ts";
import { type Reply, reply, SmtpError } from "../../smtp/reply.ts";
import { isOutOfSpace } from "../../system/files.ts";
import { ConnectionEnded } from "../connection_ended.ts";
import { HeaderWindow } from "../header_window.ts";
import type { Services } from "../services.ts";
import { resetTransaction, type Session, type Transaction } from "../session.ts";
import { receivedField, sessionFacts } from "../trace.ts";
import type { ContentSink, Context, Replies, SessionIo } from "../verb.ts";
import { tooBig } from "./mail.ts";

/** More Received fields than this mean a loop (RFC 5321 §6.3: at least 100). */
const MAX_RECEIVED_FIELDS = 100;

const START = reply(354, undefined, "Send the message; end it with a line that has only a dot");

/** Receives a message and puts it into the queue; LMTP gets a reply for each recipient (RFC 2033 §4.2). */
export async function data({ session, services, io }: Context): Promise<Replies> {
  const transaction = session.transaction as Transaction;
  const reception = services.spool.receive();
  try {
    io.send(START);
    const { spoolError } = await readInto(reception, session, io);
    if (spoolError !== undefined) throw spoolError;
    return answer(session, await commit(session, services, transaction, reception));
  } catch (error) {
    await reception.abort();
    return answer(session, refusal(error, session, services, reception.queueId));
  } finally {
    resetTransaction(session);
  }
}

/** One reply for SMTP, one for each accepted RCPT for LMTP. */
function answer(session: Session, result: Reply): Replies {
  return session.service === "lmtp" && session.transaction !== undefined
    ? session.transaction.accepted.map(() => result)
    : result;
}

/**
 * Reads the content to its end whatever happens, so that nothing of it is taken for commands.
 *
 * @throws {SmtpError} For content that is refused.
 */
async function readInto(
  reception: Reception,
  session: Session,
  io: SessionIo,
): Promise<{ readonly spoolError: unknown }> {
  const { messageOctets } = session.settings.limits;
  const header = new HeaderWindow();
  let octets = 0;
  let spoolError: unknown;
  const sink: ContentSink = {
    write(piece): Promise<void> | undefined {
      octets += piece.length;
      if (octets > messageOctets || spoolError !== undefined) return undefined;
      try {
        header.push(piece);
        return reception.write(piece)?.catch((error) => {
          spoolError = error;
        });
      } catch (error) {
        spoolError = error;
        return undefined;
      }
    },
  };
  const problem = await io.readContent(sink);
  if (problem !== undefined) throw contentRefusal(problem);
  if (octets > messageOctets) throw tooBig(messageOctets);
  if (countFields(header.octets(), "received") > MAX_RECEIVED_FIELDS) {
    throw new SmtpError(554, "5.4.6", `More than ${MAX_RECEIVED_FIELDS} Received fields: the message is in a loop`);
  }
  return { spoolError };
}

/** Makes the message durable; only then it is ours (RFC 5321 §6.1). */
async function commit(
  session: Session,
  services: Services,
  transaction: Transaction,
  reception: Reception,
): Promise<Reply> {
  const nowMs = services.clock.now();
  const { queueId } = reception;
  const envelope: Envelope = {
    reversePath: transaction.reversePath,
    arrived: new Date(nowMs).toISOString(),
    body: transaction.body,
    smtpUtf8: transaction.smtpUtf8,
    trace: receivedField(session, { queueId, nowMs, forwardPaths: transaction.accepted }),
    session: sessionFacts(session),
    recipients: transaction.recipients,
  };
  const octets = reception.octets;
  const message: QueuedMessage = await reception.commit(envelope);
  handOver(services, message);
  services.logger.info("Accepted {queueId} from <{reversePath}> for {count} recipient(s), {octets} octets, {client}", {
    queueId,
    reversePath: envelope.reversePath,
    count: envelope.recipients.length,
    octets,
    client: session.client,
    helo: envelope.session.helo,
    protocol: envelope.session.protocol,
    login: envelope.session.login,
  });
  return reply(250, "2.0.0", `Queued as ${queueId}`);
}

/** The message is durable: whatever goes wrong from here on, the client must not send it again. */
function handOver(services: Services, message: QueuedMessage): void {
  try {
    services.enqueue(message);
  } catch (error) {
    services.logger.error("{queueId}: cannot start delivery, it waits for a restart: {error}", {
      queueId: message.queueId,
      error: error instanceof Error ? error.message : String(error),
    });
  }
}

function contentRefusal({ kind, offset }: ContentProblem): SmtpError {
  const what = { bareCr: "a bare CR", bareLf: "a bare LF", nul: "a NUL" }[kind];
  return new SmtpError(
    554,
    "5.6.0",
    `The message has ${what} at octet ${offset}; lines end with CRLF (RFC 5321 §2.3.8)`,
  );
}

/** Turns what went wrong into the reply; the detail of our own troubles goes to the log only. */
function refusal(error: unknown, session: Session, services: Services, queueId: string): Reply {
  const { logger } = services;
  const { client } = session;
  const { reversePath } = session.transaction as Transaction;
  if (error instanceof SmtpError) {
    logger.info("Refused message from <{reversePath}>, {client}: {reply}", {
      reversePath,
      client,
      reply: error.message,
    });
    return error.reply;
  }
  if (error instanceof ConnectionEnded) throw error;
  const isFull = isOutOfSpace(error);
  logger.error(
    "Cannot store message {queueId} from <{reversePath}>, {client}: {error}; the client was told to try later",
    {
      queueId,
      reversePath,
      client,
      error: isFull
        ? "the disk of the spool is full, make room"
        : error instanceof Error
        ? error.message
        : String(error),
    },
  );
  return isFull
    ? reply(452, "4.3.1", "Insufficient storage; try again later")
    : reply(451, "4.3.0", "Local problem; try again later");
}
