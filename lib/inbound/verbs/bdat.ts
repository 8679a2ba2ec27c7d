/** BDAT (RFC 3030 §2): takes one chunk of the content, whose length stands in the command. */

import type { BdatCommand } from "../../smtp/command.ts";
import { type Reply, reply, SmtpError } from "../../smtp/reply.ts";
import { ChunkedMessage } from "../chunked_message.ts";
import { finalReplies } from "../incoming_message.ts";
import { resetTransaction, type Transaction } from "../session.ts";
import type { ContentSink, Context, Replies } from "../verb.ts";

const NEEDS_EHLO = reply(503, "5.5.1", "BDAT needs EHLO");
const LACKS_A_CHUNK = reply(503, "5.5.1", "The message lacks a chunk that was refused; send RSET first");
const NOWHERE: ContentSink = { write: () => undefined };

/** Takes a chunk; the last one ends the transaction, whatever its reply, as the final dot of DATA does. */
export async function bdat(context: Context, command: BdatCommand): Promise<Replies> {
  const { session, io } = context;
  const transaction = session.transaction as Transaction;
  // HELO means no extensions (RFC 5321 §4.1.1.1).
  const refusal = session.greeting?.verb === "HELO" ? NEEDS_EHLO : undefined;
  const message = transaction.chunks ??= new ChunkedMessage(context, refusal);
  const { octets, isLast } = command;
  if (octets === undefined) {
    await message.refuse(LACKS_A_CHUNK);
    throw malformed(context);
  }
  await io.readChunk(octets, message);
  const result = await message.endChunk(octets, isLast);
  if (!isLast) return result;
  const replies = finalReplies(session, result);
  await resetTransaction(session);
  return replies;
}

/** Drops the chunk of a BDAT that may not come now, so that nothing of it is taken for commands. */
export async function dropChunk(context: Context, command: BdatCommand, refusal: Reply): Promise<void> {
  const { session, io } = context;
  const { octets, isLast } = command;
  const { transaction } = session;
  if (octets === undefined) throw malformed(context);
  await io.readChunk(octets, NOWHERE);
  if (transaction === undefined) return;
  if (isLast) await resetTransaction(session);
  else transaction.chunks ??= new ChunkedMessage(context, refusal);
}

/** Nobody knows where the chunk ends: what is there behind the line may be content, and is not carried out. */
function malformed({ io }: Context): SmtpError {
  if (io.hasMore()) io.close();
  return new SmtpError(501, "5.5.4", "Syntax: BDAT octets [LAST]");
}
