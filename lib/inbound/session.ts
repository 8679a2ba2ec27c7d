/** What the server knows of one connection and of the transaction in it. Plain data; the verbs change it. */

import type { Service } from "../config/config.ts";
import type { EnvelopeRecipient, MailOptions } from "../mail/envelope.ts";
import type { TlsFacts } from "../tls/tls_conn.ts";
import type { ChunkedMessage } from "./chunked_message.ts";
import type { Spent } from "./patience.ts";
import type { Settings } from "./services.ts";

/** One mail transaction: from MAIL to the end of the content (RFC 5321 §3.3). */
export interface Transaction {
  /** Canonical text; empty for the null reverse-path. */
  readonly reversePath: string;
  /** What the parameters of MAIL asked for. */
  readonly options: MailOptions;
  /** After alias expansion, each address once. */
  readonly recipients: EnvelopeRecipient[];
  /** The addresses of `recipients`, to find a double one at once. */
  readonly addresses: Set<string>;
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
  /** Without port; undefined for a Unix socket. */
  readonly clientAddress: string | undefined;
  /** Ours, without port; undefined for a Unix socket. */
  readonly localAddress: string | undefined;
  /** For log lines: address and port, or `unix`. */
  readonly client: string;
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

/** Forgets the transaction and what has come of its message, and nothing else (RSET, RFC 5321 §4.1.1.5). Never throws. */
export async function resetTransaction(session: Session): Promise<void> {
  const chunks = session.transaction?.chunks;
  session.transaction = undefined;
  await chunks?.abort();
}
