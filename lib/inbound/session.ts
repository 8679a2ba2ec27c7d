/** What the server knows of one connection and of the transaction in it. Plain data; the verbs change it. */

import type { Service } from "../config/config.ts";
import type { EnvelopeRecipient, MailOptions } from "../mail/envelope.ts";
import type { TlsFacts } from "../tls/tls_conn.ts";
import type { ChunkedMessage } from "./chunked_message.ts";
import type { Spent } from "./patience.ts";
import { type Reply, reply } from "../smtp/reply.ts";
import type { Settings } from "./services.ts";

/** One mail transaction: from MAIL to the end of the content (RFC 5321 §3.3). */
export interface Transaction {
  /** Canonical text; empty for the null reverse-path. */
  readonly reversePath: string;
  /** What the parameters of MAIL asked for. */
  readonly options: MailOptions;
  /** SIZE: what the client says that the message has; absent where it says nothing (RFC 1870 §6). */
  readonly announcedOctets?: number;
  /** After alias expansion, each address once. */
  readonly recipients: EnvelopeRecipient[];
  /** Where each address stands in `recipients`, to find a double one at once; what was expanded is not in it. */
  readonly addresses: Map<string, number>;
  /** The forward-paths of the RCPT commands that were accepted, in order: LMTP answers each (RFC 2033 §4.2). */
  readonly accepted: string[];
  /** What BDAT brings; undefined before the first chunk. */
  chunks: ChunkedMessage | undefined;
}

/** One connection. */
export interface Session {
  /** What the listener is for; never changes. */
  readonly service: Service;
  /** The configuration as it was when the connection was accepted. */
  readonly settings: Settings;
  /** Without port; undefined for a Unix socket, and where XCLIENT says that it is not known. */
  clientAddress: string | undefined;
  /** Ours, without port; undefined for a Unix socket. */
  localAddress: string | undefined;
  /** For log lines: address and port, or `unix`. */
  client: string;
  /** The connection comes from a host of `xclient_from`, which may say whom it speaks for. */
  readonly isProxy: boolean;
  /** What the client called itself, where XCLIENT told it. */
  forwardedHelo: string | undefined;
  /** The client may still ask for TLS. */
  readonly mayStartTls: boolean;
  /** STARTTLS asks for a certificate of the client. */
  readonly requestsCertificate: boolean;
  /** The last EHLO, HELO or LHLO; undefined before the first one and again after STARTTLS (RFC 3207 §4.2). */
  greeting: { readonly verb: "EHLO" | "HELO" | "LHLO"; readonly name: string } | undefined;
  /** Undefined without TLS. */
  tls: TlsFacts | undefined;
  /** The account that logged in. */
  login: string | undefined;
  /** Undefined outside a transaction: before MAIL, after DATA, the last BDAT, RSET or a greeting. */
  transaction: Transaction | undefined;
  /** What the client has used up of our patience; another value after each accepted message. */
  spent: Spent;
}

/** The greeting (RFC 5321 §3.1, RFC 2033 §4.1), and the answer to XCLIENT. */
export function bannerOf({ service, settings }: Session): Reply {
  return reply(220, undefined, `${settings.hostname} ${service === "lmtp" ? "LMTP" : "ESMTP"} posthorn`);
}

/** A client for log lines: `192.0.2.1:25000`, `[2001:db8::1]:25000`; without port where none is known. */
export function clientText(address: string, port: number | undefined): string {
  const host = address.includes(":") ? `[${address}]` : address;
  return port === undefined ? host : `${host}:${port}`;
}

/** Forgets the transaction and what has come of its message, and nothing else (RSET, RFC 5321 §4.1.1.5). Never throws. */
export async function resetTransaction(session: Session): Promise<void> {
  const chunks = session.transaction?.chunks;
  session.transaction = undefined;
  await chunks?.abort();
}
