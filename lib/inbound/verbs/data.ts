/** DATA (RFC 5321 §4.1.1.4): takes the content up to the final dot, and takes responsibility for it. */

import { type Reply, reply, SmtpError } from "../../smtp/reply.ts";
import { finalReplies, IncomingMessage } from "../incoming_message.ts";
import { resetTransaction } from "../session.ts";
import type { Context, Replies } from "../verb.ts";

const START = reply(354, undefined, "Send the message; end it with a line that has only a dot");

/** Receives a message and puts it into the queue; LMTP gets a reply for each recipient (RFC 2033 §4.2). */
export async function data(context: Context): Promise<Replies> {
  const { session, io } = context;
  // RFC 3030 §2: the two must not be mixed in one transaction.
  if (session.transaction?.chunks !== undefined) {
    throw new SmtpError(503, "5.5.1", "DATA is not allowed after BDAT; send RSET first");
  }
  // RFC 3030 §3
  if (session.transaction?.options.body === "BINARYMIME") {
    throw new SmtpError(503, "5.5.1", "A message with BODY=BINARYMIME goes by BDAT; send RSET first");
  }
  const message = new IncomingMessage(context);
  try {
    io.send(START);
    return finalReplies(session, await receive(message, context));
  } finally {
    await resetTransaction(session);
  }
}

async function receive(message: IncomingMessage, { io }: Context): Promise<Reply> {
  try {
    message.check(await io.readContent(message));
    return await message.accept();
  } catch (error) {
    return await message.refuse(error);
  }
}
