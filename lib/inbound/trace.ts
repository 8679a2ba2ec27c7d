/** The Received field that posthorn puts in front of a message (RFC 5321 §4.4, RFC 3848, RFC 8314 §4.3). */

import { formatDate } from "../mail/header.ts";
import type { SessionFacts } from "../mail/envelope.ts";
import type { Session } from "./session.ts";

/** What the field says besides the session. */
export interface ReceivedFacts {
  /** For the `id` clause: finds the message in our log. */
  readonly queueId: string;
  /** Wall clock, milliseconds since 1970: when the content was complete. */
  readonly nowMs: number;
  /** Shown only where there is exactly one: others must not learn of each other (RFC 5321 §7.2). */
  readonly forwardPaths: readonly string[];
}

/** Collects what is kept of the session in the envelope. */
export function sessionFacts(session: Session): SessionFacts {
  return {
    service: session.service,
    ...(session.clientAddress === undefined ? {} : { clientAddress: session.clientAddress }),
    ...(session.greeting === undefined ? {} : { helo: session.greeting.name }),
    protocol: protocolKeyword(session),
    ...(session.tls === undefined ? {} : { tls: tlsText(session.tls) }),
    ...(session.login === undefined ? {} : { login: session.login }),
  };
}

/** The keyword of the `with` clause: RFC 3848, and RFC 6531 §4.3 for SMTPUTF8. */
export function protocolKeyword(session: Session): string {
  const suffix = `${session.tls === undefined ? "" : "S"}${session.login === undefined ? "" : "A"}`;
  const verb = session.greeting?.verb;
  if (session.transaction?.options.smtpUtf8) return `UTF8${verb === "LHLO" ? "LMTP" : "SMTP"}${suffix}`;
  if (verb === "HELO") return "SMTP";
  return `${verb === "LHLO" ? "LMTP" : "ESMTP"}${suffix}`;
}

/** Writes the field, folded, ended by CRLF. */
export function receivedField(session: Session, facts: ReceivedFacts): string {
  const { queueId, nowMs, forwardPaths } = facts;
  const { settings, clientAddress, tls } = session;
  const address = clientAddress === undefined ? "" : ` (${addressLiteral(clientAddress)})`;
  const cipher = tls === undefined ? "" : `\r\n\t(using ${tlsText(tls)})`;
  const only = forwardPaths.length === 1 ? `\r\n\tfor <${forwardPaths[0]}>` : "";
  return `Received: from ${session.greeting?.name ?? "unknown"}${address}${cipher}\r\n` +
    `\tby ${settings.hostname} (posthorn) with ${protocolKeyword(session)} id ${queueId}${only};\r\n` +
    `\t${formatDate(nowMs)}\r\n`;
}

/** The cipher is unknown where the runtime does not tell it. */
function tlsText({ protocol, cipher }: { readonly protocol: string; readonly cipher: string }): string {
  return cipher === "" ? protocol : `${protocol} with cipher ${cipher}`;
}

function addressLiteral(address: string): string {
  return address.includes(":") ? `[IPv6:${address}]` : `[${address}]`;
}
