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

/** A registered name of a cipher suite; node:tls says `unknown` for one that it has no name for. */
const CIPHER_SUITE = /^TLS_[A-Z0-9_]+$/;

/**
 * Writes the field, folded, ended by CRLF. Login and client certificate are left out: those who read the mail need not
 * know them.
 *
 * ```
 * Opt-info          = [Via] [With] [ID] [For] [Additional-Registered-Clauses]   ; RFC 5321 §4.4
 * tls-cipher-clause = CFWS "tls" FWS tls-cipher                                 ; RFC 8314 §4.3
 * ```
 *
 * The version of TLS has no clause of its own and stands in a comment.
 */
export function receivedField(session: Session, facts: ReceivedFacts): string {
  const { queueId, nowMs, forwardPaths } = facts;
  const { settings, clientAddress, tls } = session;
  const address = clientAddress === undefined ? "" : ` (${addressLiteral(clientAddress)})`;
  const version = tls === undefined ? "" : ` (using ${tls.protocol})`;
  const only = forwardPaths.length === 1 ? `\r\n\tfor <${forwardPaths[0]}>` : "";
  const cipher = tls !== undefined && CIPHER_SUITE.test(tls.cipher) ? `\r\n\ttls ${tls.cipher}` : "";
  return `Received: from ${session.greeting?.name ?? "unknown"}${address}${version}\r\n` +
    `\tby ${settings.hostname} (posthorn) with ${protocolKeyword(session)} id ${queueId}${only}${cipher};\r\n` +
    `\t${formatDate(nowMs)}\r\n`;
}

/** The cipher is unknown where the runtime does not tell it. */
function tlsText({ protocol, cipher }: { readonly protocol: string; readonly cipher: string }): string {
  return cipher === "" ? protocol : `${protocol} with cipher ${cipher}`;
}

function addressLiteral(address: string): string {
  return address.includes(":") ? `[IPv6:${address}]` : `[${address}]`;
}
