/** The verbs that only answer: RSET, NOOP, QUIT, HELP, VRFY, EXPN and STARTTLS. */

import { type Reply, reply, SmtpError } from "../../smtp/reply.ts";
import { resetTransaction } from "../session.ts";
import type { Context, Replies } from "../verb.ts";

/** RFC 5321 §4.1.1.5. */
export async function rset({ session }: Context): Promise<Reply> {
  await resetTransaction(session);
  return reply(250, "2.0.0", "OK");
}

/** RFC 5321 §4.1.1.9. */
export function noop(): Reply {
  return reply(250, "2.0.0", "OK");
}

/** RFC 5321 §4.1.1.10. */
export function quit({ session, io }: Context): Reply {
  io.close();
  return reply(221, "2.0.0", `${session.settings.hostname} closing connection`);
}

/** RFC 5321 §4.1.1.8. */
export function help(): Reply {
  return reply(
    214,
    "2.0.0",
    "This is posthorn; commands are those of RFC 5321",
    "For help with mail, write to postmaster here",
  );
}

/** RFC 5321 §3.5.3: whether the mailbox exists is told at RCPT only, where guessing is counted. */
export function vrfy(): Reply {
  return reply(252, "2.1.5", "Cannot verify the address, but will take a message and try to deliver it");
}

/** RFC 5321 §3.5.2: a list is not shown to strangers. */
export function expn(): Reply {
  throw new SmtpError(502, "5.5.1", "EXPN is not offered here");
}

/** RFC 3207 §4: starts TLS; everything from before is forgotten. */
export async function startTls({ session, io }: Context): Promise<Replies> {
  if (session.tls !== undefined) throw new SmtpError(503, "5.5.1", "TLS is active already");
  if (!session.mayStartTls) throw new SmtpError(502, "5.5.1", "STARTTLS is not offered here");
  io.send(reply(220, "2.0.0", "Ready to start TLS"));
  await io.startTls();
  return [];
}
