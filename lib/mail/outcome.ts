/** What became of one recipient in one delivery attempt. The same record goes to spool, log line and DSN. */

/** The `Action` field of RFC 3464 §2.3.3. */
export type Action = "delivered" | "relayed" | "expanded" | "delayed" | "failed";

/**
 * What a reply of a next hop is about, as far as it can be told from its words and codes. It drives back-off, the advice
 * in a DSN, and a field of the log; what is delivered or failed never depends on it.
 */
export type ReplyClass =
  /** There is no such mailbox. */
  | "unknownUser"
  /** There is, but it is switched off. */
  | "inactiveUser"
  | "mailboxFull"
  /** A first attempt is put off; one that comes again after some minutes is taken. */
  | "greylisting"
  /** Too much at a time: mail, connections, recipients. */
  | "rate"
  /** They think badly of our address or domain, because of mail that came from there. */
  | "reputation"
  /** Our address or domain is on a list, theirs or a public one. */
  | "block"
  /** We did not prove who we are: SPF, DKIM, DMARC, the name of our address. */
  | "authentication"
  /** A rule of theirs, of which no other class says more. */
  | "policy"
  /** What is in the message: spam, viruses, what they take for it, or how it is written. */
  | "content"
  | "size"
  /** They do not relay for us, or want a login. */
  | "relaying"
  /** Trouble of their own. */
  | "system";

/** What a reply answers. `content`: it came while the content was still being sent; `dot`: the end of data, DATA or BDAT. */
export type ReplyStage = "greeting" | "hello" | "startTls" | "login" | "mail" | "rcpt" | "data" | "content" | "dot";

/** The result of one attempt for one recipient. `delayed` means: keep it and try again. */
export interface Outcome {
  /** `delayed` is the only one that is not final. */
  readonly action: Action;
  /** Enhanced status code (RFC 3463), e.g. `2.1.5`. Its class fits the action: 2, 4 or 5. */
  readonly status: string;
  /** One line for people: the remote reply without its CRLF (`550 5.1.1 No such user`), or our own words. */
  readonly text: string;
  /** True where `text` is the reply of a remote server: Diagnostic-Code of type `smtp` (RFC 3464 §2.3.6). */
  readonly isRemoteReply: boolean;
  /** The host that answered or was tried, e.g. `mx1.example.org` (Remote-MTA of RFC 3464 §2.3.5). */
  readonly remoteMta?: string;
  /** Address and port it was reached at, e.g. `192.0.2.1:25`, for the log. */
  readonly remoteAddress?: string;
  /** TLS protocol and cipher of the hop, for the log; absent without TLS. */
  readonly tls?: string;
  /** What a reply answered; absent for outcomes that are no replies. */
  readonly stage?: ReplyStage;
  /** The lines of a reply with more than one, as `550-5.1.1 …`, without control characters; at most 20 of 500 characters. */
  readonly replyLines?: readonly string[];
  /** What the reply is about; absent where it cannot be told, and for outcomes that are no replies. */
  readonly replyClass?: ReplyClass;
  /**
   * What a delay says about the destination as a whole: `down`: none of its hosts could be talked to at all (no
   * connection, no greeting); `pushback`: it wants less of us (421, 4yz to greeting or EHLO, a reply of the class `rate`).
   */
  readonly destination?: "down" | "pushback";
  /** The next hop offers DSN: it was told what the sender asked for, and reports success itself (RFC 3461 §5.2.2). */
  readonly isDsnPassedOn?: true;
}

/** True when nothing is left to do for the recipient but to report. */
export function isFinal(outcome: Outcome): boolean {
  return outcome.action !== "delayed";
}
