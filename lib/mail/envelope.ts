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

/** RFC 2852 §4: how long the sender gives us. */
export interface DeliverBy {
  /** RFC 3339 in UTC; may be in the past where the mode is `notify`. */
  readonly until: string;
  /** What happens then: the message goes back as failed, or the sender is told of the delay, once. */
  readonly mode: "return" | "notify";
  /** The sender wants a DSN from each relay that takes the message (RFC 2852 §4.1.4). */
  readonly isTraced: boolean;
}

/** What the parameters of MAIL ask for; the transaction begins with it, and the envelope keeps it. */
export interface MailOptions {
  /** BODY (RFC 6152, RFC 3030); 7BIT where it is absent. The content is not checked against it. */
  readonly body: "7BIT" | "8BITMIME" | "BINARYMIME";
  /** SMTPUTF8 (RFC 6531 §3.4): without it, non-ASCII addresses are refused. */
  readonly smtpUtf8: boolean;
  /** RET (RFC 3461 §4.3): what of the message a DSN of a failure shows. */
  readonly ret?: "FULL" | "HDRS";
  /** ENVID, xtext-decoded: printable US-ASCII (RFC 3461 §4.4). */
  readonly envid?: string;
  /** REQUIRETLS (RFC 8689): every hop from here is under TLS to a verified server, or there is none. */
  readonly requireTls?: true;
  /** HOLDFOR or HOLDUNTIL (RFC 4865): no delivery is tried before; RFC 3339 in UTC. */
  readonly holdUntil?: string;
  /** BY (RFC 2852). */
  readonly deliverBy?: DeliverBy;
  /** MT-PRIORITY (RFC 6710), -9 to 9, higher first; absent: 0. */
  readonly priority?: number;
}

/** One recipient after alias expansion, or one that was expanded. */
export interface EnvelopeRecipient {
  /** The forward-path that delivery uses: `local@domain`, canonical text of a mailbox. */
  readonly address: string;
  /** The forward-path as the client gave it, where aliases changed it. */
  readonly original?: string;
  /** ORCPT, e.g. `rfc822;user@example.org` (RFC 3461 §4.2), xtext-decoded; no control characters. */
  readonly orcpt?: string;
  /** Absent: the default, failure (and delay at the server's discretion). */
  readonly notify?: Notify;
  /** An address that several others of this envelope stand in for: nothing is sent to it, its sender hears of that. */
  readonly isExpanded?: true;
  /**
   * The reverse-path of this recipient, where it is not that of the envelope: the owner of a list that it is on (RFC 5321
   * §3.9.2), or the sender as rewritten for a forward. Reports on the recipient go there.
   */
  readonly reversePath?: string;
  /**
   * `itself`: a list, which is expanded, and of which the sender hears that it was delivered; `member`: one to whom its
   * owner sends, so that what the sender wished of reports does not count (RFC 3461 §5.2.7.1).
   */
  readonly list?: "itself" | "member";
  /** The address of ours that forwards to this recipient elsewhere; it goes in front as Delivered-To, which ends loops. */
  readonly forwardedBy?: string;
}

/** Everything about a message but its content and what happened to it later. */
export interface Envelope extends MailOptions {
  /** Canonical text of the reverse-path; empty for the null reverse-path `<>`. */
  readonly reversePath: string;
  /** When the final dot was read; RFC 3339 in UTC with milliseconds. */
  readonly arrived: string;
  /** Header fields to put in front of the content, each ended by CRLF: Received, and what a submission lacked. */
  readonly trace: string;
  /**
   * The ARC set that vouches for what was found out about the message (RFC 8617 §5.1): three header fields, each ended by
   * CRLF. It goes in front only where an address of ours sends the message on (`forwardedBy`).
   */
  readonly arcSeal?: string;
  /** What its author domain asks for mail that does not prove itself: mailboxes here put it into the folder Junk. */
  readonly isQuarantined?: true;
  /** `TLS-Required: No` without REQUIRETLS: what receivers publish about TLS (DANE, MTA-STS) is not kept to (RFC 8689 §5). */
  readonly isTlsOptional?: true;
  /** Of the connection that brought the message; `local` for a DSN of our own. */
  readonly session: SessionFacts;
  /** At least one that is not expanded; each of these addresses once. */
  readonly recipients: readonly EnvelopeRecipient[];
}

/** The reverse-path that a recipient is sent the message with. */
export function reversePathOf(
  { reversePath }: Pick<Envelope, "reversePath">,
  recipient: EnvelopeRecipient | undefined,
): string {
  return recipient?.reversePath ?? reversePath;
}

/**
 * The envelope as it holds for a recipient: with its reverse-path, and for a member of a list without what the sender wished
 * to hear, and by when, of the message to the list (RFC 3461 §5.2.7.1).
 */
export function envelopeFor(envelope: Envelope, recipient: EnvelopeRecipient | undefined): Envelope {
  const { ret: _ret, envid: _envid, deliverBy: _deliverBy, ...others } = envelope;
  const ofMessage = recipient?.list === "member" ? others : envelope;
  const { reversePath = envelope.reversePath } = recipient ?? {};
  return ofMessage.reversePath === reversePath ? ofMessage : { ...ofMessage, reversePath };
}
