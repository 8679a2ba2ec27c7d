/** EHLO, HELO and LHLO (RFC 5321 §4.1.1.1, RFC 2033 §4.1). */

import type { SaslChannel } from "../../sasl/mechanism.ts";
import type { GreetingCommand } from "../../smtp/command.ts";
import { type Reply, reply, SmtpError } from "../../smtp/reply.ts";
import type { Context } from "../verb.ts";
import type { Services } from "../services.ts";
import { resetTransaction, type Session } from "../session.ts";

/** Answers a greeting with what this session can do. A greeting also ends a transaction (RFC 5321 §4.1.4). */
export async function greet({ session, services }: Context, command: GreetingCommand): Promise<Reply> {
  const isLmtp = session.service === "lmtp";
  if (isLmtp !== (command.verb === "LHLO")) {
    const right = isLmtp ? "This is LMTP: greet with LHLO" : "This is SMTP: greet with EHLO";
    throw new SmtpError(500, "5.5.1", right);
  }
  await resetTransaction(session);
  session.greeting = command;
  const { hostname } = session.settings;
  if (command.verb === "HELO") return reply(250, undefined, hostname);
  return { code: 250, lines: [hostname, ...extensions(session, services)] };
}

/** The EHLO keywords of this session, now. */
export function extensions(session: Session, { sasl }: Pick<Services, "sasl">): string[] {
  const keywords = ["PIPELINING", `SIZE ${session.settings.limits.messageOctets}`, "8BITMIME", "SMTPUTF8"];
  keywords.push("CHUNKING", "ENHANCEDSTATUSCODES");
  if (session.mayStartTls && session.tls === undefined) keywords.push("STARTTLS");
  const mechanisms = mayLogIn(session) ? sasl.mechanisms(saslChannel(session)) : [];
  if (mechanisms.length > 0) keywords.push(`AUTH ${mechanisms.join(" ")}`);
  return keywords;
}

/** AUTH is for submission, and only under TLS (RFC 8314 §3, contract section 6). */
export function mayLogIn(session: Session): boolean {
  return session.service === "submission" && session.tls !== undefined;
}

/** What a login may know of the connection. */
export function saslChannel({ clientAddress, localAddress, tls }: Session): SaslChannel {
  const { serverEndPoint, clientCertificate } = tls ?? {};
  return {
    clientAddress,
    localAddress,
    isTls: tls !== undefined,
    ...(serverEndPoint === undefined ? {} : { serverEndPoint }),
    ...(clientCertificate === undefined ? {} : { clientCertificate }),
  };
}
