/** EHLO, HELO and LHLO (RFC 5321 §4.1.1.1, RFC 2033 §4.1). */

import type { GreetingCommand } from "../../smtp/command.ts";
import { type Reply, reply, SmtpError } from "../../smtp/reply.ts";
import { offeredExtensions } from "../extensions.ts";
import { resetTransaction } from "../session.ts";
import type { Context } from "../verb.ts";

/** Answers a greeting with what this session can do. A greeting also ends a transaction (RFC 5321 §4.1.4). */
export async function greet(context: Context, command: GreetingCommand): Promise<Reply> {
  const { session } = context;
  const isLmtp = session.service === "lmtp";
  if (isLmtp !== (command.verb === "LHLO")) {
    const right = isLmtp ? "This is LMTP: greet with LHLO" : "This is SMTP: greet with EHLO";
    throw new SmtpError(500, "5.5.1", right);
  }
  await resetTransaction(session);
  const { verb, name } = command;
  session.greeting = { verb, name: session.forwardedHelo ?? name };
  const { hostname } = session.settings;
  if (command.verb === "HELO") return reply(250, undefined, hostname);
  return { code: 250, lines: [hostname, ...offeredExtensions(context)] };
}
