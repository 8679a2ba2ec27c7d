/** What the receiving side needs from the rest of posthorn, as interfaces: `main.ts` hands the real things in. */

import type { Logger } from "../log/logger.ts";
import type { Senders } from "../config/config.ts";
import type { MailboxQuotas } from "../delivery/quota/mailbox_quotas.ts";
import type { Rate, RateLimit } from "../policy/rate_limit.ts";
import type { CidrBlock } from "../policy/cidr.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import type { BARE_POSTMASTER } from "../smtp/path.ts";
import type { BareLf } from "../smtp/content_reader.ts";
import type { DirectDelivery } from "../queue/direct_delivery.ts";
import type { QueuedMessage, Spool } from "../queue/spool.ts";
import type { RecipientResolution } from "../routing/recipient.ts";
import type { RewrittenSender } from "../routing/srs/srs.ts";
import type { Clock } from "../system/clock.ts";
import type { SaslServer } from "../sasl/mechanisms.ts";
import type { Room } from "../system/disk_space.ts";
import type { OctetConn } from "../smtp/octet_conn.ts";
import type { TlsConn } from "../tls/tls_conn.ts";

/** Knows whom the addresses belong to. */
export interface RecipientResolver {
  /** Answers from memory, with no lookup: nothing else happens in the session meanwhile. */
  resolveRecipient(path: Mailbox | typeof BARE_POSTMASTER): RecipientResolution;
  /** The reverse-path of what an address of ours sends on to another site; undefined: as it came. */
  rewriteSender(reversePath: string, forwardedBy: string): RewrittenSender | undefined;
  /** Whether the configuration has a route for this domain, in A-label form, or for a tree that it is in; not for all. */
  isRouted(domain: string): boolean;
  /** Whether binary content can go where this target leads: a Maildir holds lines only. */
  takesBinary(target: string): boolean;
  /** The account, by its canonical address, whose mailbox here is where this target leads; undefined: it leads elsewhere. */
  accountOf(target: string): string | undefined;
  /** Whether an account, named by its address, may send as this mailbox. */
  mayUse(account: string, mailbox: Mailbox): boolean;
}

/** The part of the configuration that sessions use; one value for each reading of the file. */
export interface Settings {
  /** Our name in the greeting, EHLO reply and Received field. */
  readonly hostname: string;
  /** Knows domains, accounts and aliases of the same reading. */
  readonly router: RecipientResolver;
  /** BINARYMIME is offered (RFC 3030 §3). */
  readonly binaryMime: boolean;
  /** CIDR blocks of clients that may send anywhere. */
  readonly relayFrom: readonly CidrBlock[];
  /** CIDR blocks of proxies that may use XCLIENT. */
  readonly xclientFrom: readonly CidrBlock[];
  /** The `mx` section. */
  readonly mx: {
    /** Absent: greeted at once. */
    readonly greetDelayMs?: number;
  };
  /** The `submission` section. */
  readonly submission: {
    readonly senders: Senders;
    /** Recipients of one account. */
    readonly rate?: Rate;
    readonly bareLf: BareLf;
  };
  /** The `limits` section. */
  readonly limits: {
    readonly messageOctets: number;
    readonly headerOctets: number;
    readonly headerFields: number;
    readonly recipients: number;
    readonly connections: number;
    readonly connectionsPerIp: number;
  };
}

/** Everything that a session calls. */
export interface Services {
  /** `monotonic` for time limits, `now` for what is written down. */
  readonly clock: Clock;
  /** Of the category `smtp`. */
  readonly logger: Logger;
  /** Where content goes while it arrives; durable before the final 250. */
  readonly spool: Spool;
  /** Counts the recipients of accounts, over all connections. */
  readonly rates: RateLimit;
  /** Knows how much room mailboxes have. Absent: any amount. */
  readonly quotas?: Pick<MailboxQuotas, "applyTo" | "check">;
  /** Delivers to mailboxes here before the reply. Absent: all goes through the spool. */
  readonly direct?: DirectDelivery;
  /** Tries what waits for a domain now, and for those below it where `isTree`; answers before anything happens. */
  flush(domain: string, isTree: boolean): void;
  /** Takes a message that is durable. */
  enqueue(message: QueuedMessage): void;
  /** True while an operator wants no new mail to be taken. Absent: never. */
  readonly isDraining?: () => boolean;
  /** Whether new mail finds room on the disk; asked at MAIL. Absent: it is tried. */
  readonly room?: Room;
  /** Offers mechanisms and checks logins; slows down who guesses. */
  readonly sasl: SaslServer;
  /** Does the server side of a TLS handshake, asking for a certificate or not; rejects when it fails. */
  startTls(conn: OctetConn, requestsCertificate: boolean): Promise<TlsConn>;
}

/**
 * How long a client may take, in milliseconds. The first two are those of RFC 5321 §4.5.3.2; the others bound what keeps
 * to these and still comes to no end.
 */
export interface InboundTimeouts {
  /** For a command, from our reply to its last octet. */
  readonly commandMs: number;
  /** Between two pieces of content. */
  readonly contentMs: number;
  /** For the content behind a DATA, or of a chunk; and each octet of it earns more. */
  readonly contentGraceMs: number;
  /** The average that content must have in the long run: so many octets earn a second. */
  readonly contentOctetsPerSecond: number;
  /** From the accept, or the last accepted message, to the end of the next one; each octet of content earns more. */
  readonly sessionMs: number;
}

/**
 * RFC 5321 §4.5.3.2.7: five minutes for a command; the same three minutes between pieces that a client grants
 * (§4.5.3.2.5). 250 octets a second is a quarter of what a modem of 9,600 bit/s carries.
 */
export const DEFAULT_TIMEOUTS: InboundTimeouts = {
  commandMs: 300_000,
  contentMs: 180_000,
  contentGraceMs: 600_000,
  contentOctetsPerSecond: 250,
  sessionMs: 3_600_000,
};
