/**
 * The envelope of an accepted message: what is known besides its content. It is written to the spool as JSON, so every
 * field is plain data, and a person can read it there.
 */

/** Where and how a message came in; goes into trace fields, log lines and DSNs, never into a decision. */
export interface SessionFacts {
  /** What the listener was for; `local` for what posthorn itself made (a DSN). */
  readonly service: "mx" | "submission" | "lmtp" | "local";
  /** Address of the client, without port; absent for a Unix socket and for local messages. */
  readonly clientAddress?: string;
  /** The argument of EHLO, HELO or LHLO, as given. */
  readonly helo?: string;
  /** RFC 3848 keyword of the `with` clause, e.g. `ESMTPSA`. */
  readonly protocol?: string;
  /** Protocol and cipher, e.g. `TLSv1.3 TLS_AES_256_GCM_SHA384`. */
  readonly tls?: string;
  /** The account that logged in. */
  readonly login?: string;
}

/** RFC 3461 §4.1: when the sender wants a DSN. */
export type Notify = "never" | readonly ("success" | "failure" | "delay")[];

/** One recipient after alias expansion. */
export interface EnvelopeRecipient {
  /** The forward-path that delivery uses: `local@domain`, canonical text of a mailbox. */
  readonly address: string;
  /** The forward-path as the client gave it, where aliases changed it. */
  readonly original?: string;
  /** ORCPT, e.g. `rfc822;user@example.org` (RFC 3461 §4.2), still xtext-decoded. */
  readonly orcpt?: string;
  /** Absent: the default, failure (and delay at the server's discretion). */
  readonly notify?: Notify;
}

/** Everything about a message but its content and what happened to it later. */
export interface Envelope {
  /** Canonical text of the reverse-path; empty for the null reverse-path `<>`. */
  readonly reversePath: string;
  /** When the final dot was read; RFC 3339 in UTC with milliseconds. */
  readonly arrived: string;
  /** BODY parameter of MAIL (RFC 6152, RFC 3030). */
  readonly body: "7BIT" | "8BITMIME" | "BINARYMIME";
  /** SMTPUTF8 parameter of MAIL (RFC 6531). */
  readonly smtpUtf8: boolean;
  /** RET parameter of MAIL (RFC 3461 §4.3). */
  readonly ret?: "FULL" | "HDRS";
  /** ENVID parameter of MAIL, xtext-decoded (RFC 3461 §4.4). */
  readonly envid?: string;
  /** Header fields to put in front of the content, each ended by CRLF: Received, and what a submission lacked. */
  readonly trace: string;
  /** Of the connection that brought the message; `local` for a DSN of our own. */
  readonly session: SessionFacts;
  /** At least one; each address once. */
  readonly recipients: readonly EnvelopeRecipient[];
}
