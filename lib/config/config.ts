/** The configuration after reading: every value checked, with defaults, in the units named. Plain data. */

import type { ReplyClass } from "../mail/outcome.ts";
import type { DestinationRule } from "../queue/destination_rules.ts";
import type { SpaceLimit } from "../system/disk_space.ts";
import type { Smarthost, SourceAddresses, TlsUse, Webhook } from "../delivery/next_hop.ts";
import type { TokenRules } from "../sasl/oauth/claims.ts";

/** What a listener that takes mail is for. */
export type Service = "mx" | "submission" | "lmtp";

/** Which sender addresses a login may use: those of its account (RFC 6409 §6.1), or any. */
export type Senders = "own" | "any";

/** Where a server listens: one of ours, or one that we ask. */
export type BindAddress =
  | { readonly kind: "tcp"; /** Without brackets. */ readonly host: string; readonly port: number }
  | { readonly kind: "unix"; /** Absolute. */ readonly path: string };

/** One listening socket. */
export interface ListenerConfig {
  /** Its socket. */
  readonly bind: BindAddress;
  /** What it is for; `web`: the MTA-STS policies of our domains, over HTTP. */
  readonly service: Service | "web";
  /** `implicit`: TLS from the first octet (RFC 8314); `starttls`: after the command; `off`: never. */
  readonly tls: "implicit" | "starttls" | "off";
  /**
   * Addresses and CIDR blocks of proxies, checked, at least one: they alone may connect, with a PROXY header in front.
   * Never for a Unix socket.
   */
  readonly proxyProtocol?: readonly string[];
  /**
   * `request`: a client may show a certificate; `require`: without one that counts there is no session, and `tls` is
   * `implicit`. Absent: none is asked for. With it `clientCa` is there.
   */
  readonly clientCertificates?: "request" | "require";
}

/** A certificate chain and its key, both PEM files. */
export interface CertificateFiles {
  /** Absolute path; the server's own certificate comes first. */
  readonly chain: string;
  /** Absolute path. */
  readonly key: string;
}

/** One of our domains, its name in A-label form and lower case. */
export interface DomainConfig {
  /** As in its DNS name, without final dot. */
  readonly name: string;
  /** Mailbox that takes what no account or alias takes. */
  readonly catchAll?: string;
  /** The domain of ours that this one is another name of; it has no `aliasOf` itself. */
  readonly aliasOf?: string;
  /** DKIM selectors, from the oldest to the newest; each stands for a pair of keys, RSA and Ed25519. */
  readonly dkim: readonly string[];
  /** The hosts that take its mail, in the order of preference; each in A-label form. Absent: `hostname` alone. */
  readonly mx?: readonly string[];
  /** The mode of its MTA-STS policy (RFC 8461 §5); absent: it has none. */
  readonly mtaSts?: StsMode;
}

/** What senders that know MTA-STS do where a host is not as the policy says: report it, keep the mail, or nothing. */
export type StsMode = "testing" | "enforce" | "none";

/** An entry of `aliases`, with what its files say. */
export interface AliasConfig {
  /** Canonical forward-paths, at least one, each once. */
  readonly targets: readonly string[];
  /** Makes it a list: the mailbox, here or elsewhere, that its messages come from, and that reports go to. Canonical. */
  readonly owner?: string;
}

/** An entry of `routes`. */
export interface RouteConfig {
  /** Lower case; a domain, `*.domain` (its subdomains) or `*`. */
  readonly domain: string;
  /** The server or application that takes the mail, or the MX hosts of the domain. */
  readonly via: Smarthost | Webhook | "mx";
  /** Another way for mail that is refused there. */
  readonly fallback?: FallbackConfig;
}

/** The `fallback` of a route. */
export interface FallbackConfig {
  /** The server that takes such mail. */
  readonly via: Smarthost;
  /** Refusals after which it does; at least one. */
  readonly after: number;
  /** What these have to be about. */
  readonly classes: readonly ReplyClass[];
}

/** A mailbox that can log in. */
export interface Account {
  /** `local@domain`, canonical. */
  readonly address: string;
  /** PHC string, e.g. `$scrypt$ln=15,r=8,p=1$…`; absent: no login with a password. */
  readonly passwordHash?: string;
  /** `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, or the same in the form of Dovecot; absent: no login with SCRAM. */
  readonly scram?: string;
  /** SHA-256 fingerprints of client certificates, 64 hexadecimal digits in lower case; absent: none but by address. */
  readonly certificates?: readonly string[];
  /** More addresses of the mailbox, canonical, of domains that have mailboxes; absent: none. */
  readonly addresses?: readonly string[];
  /** Where its mail goes on to; absent: nowhere. */
  readonly forward?: Forward;
  /** How much it may hold; absent: what `mailboxes.quota` says. */
  readonly quota?: QuotaLimits;
  /** Who keeps its mail: a Maildir here, an LMTP server, an application; absent: as `mailboxes.via` says. */
  readonly via?: MailboxVia;
}

/** Who keeps the mail of an account: a Maildir here, an LMTP server, or an application. */
export type MailboxVia = Smarthost | Webhook | "maildir";

/** The forwarding of an account. */
export interface Forward {
  /** Canonical forward-paths, at least one. */
  readonly to: readonly string[];
  /** The mailbox gets a copy, too. */
  readonly keepsCopy: boolean;
}

/** How much a mailbox may hold. 0: no limit; absent: what `mailboxes.quota` says, or no limit. */
export interface QuotaLimits {
  /** Octets of its messages. */
  readonly octets?: number;
  /** Messages. */
  readonly messages?: number;
}

/** Which tokens users may log in with, and who knows about them. */
export interface OauthConfig {
  /** What a token must say. */
  readonly rules: TokenRules;
  /** Who vouches for it: keys that signed it (RFC 7517), or a server that is asked (RFC 7662). URLs are https or loopback. */
  readonly service:
    | { readonly kind: "jwks-url"; readonly url: string }
    | { readonly kind: "jwks-file"; /** Absolute. */ readonly path: string }
    | {
      readonly kind: "introspection";
      readonly url: string;
      /** How we log in there; undefined: not at all. */
      readonly client: { readonly id: string; readonly secret: string } | undefined;
    };
}

/** Everything that the configuration file says. */
export interface Config {
  /** The file it was read from, absolute. */
  readonly file: string;
  /** A-label, lower case. */
  readonly hostname: string;
  /** Absolute folder. */
  readonly data: string;
  /** User to run as when started as root. */
  readonly user?: string;
  /** At least one. */
  readonly listeners: readonly ListenerConfig[];
  /** Empty: a self-signed certificate in data/keys is made and used. */
  readonly certificates: readonly CertificateFiles[];
  /** Absolute path of a PEM file: the authorities whose client certificates count. */
  readonly clientCa?: string;
  /** By name. */
  readonly domains: ReadonlyMap<string, DomainConfig>;
  /** One character, or undefined: no subaddresses. */
  readonly recipientDelimiter?: string;
  /** The accounts file, absolute. */
  readonly accountsFile: string;
  /** By the folded address of a mailbox of ours (lib/mail/fold.ts). */
  readonly aliases: ReadonlyMap<string, AliasConfig>;
  /** The files whose lines are in `aliases`, absolute, each once: a change of one changes the configuration. */
  readonly includeFiles: readonly string[];
  /** Mail that addresses of ours send on to other sites. */
  readonly forwarding: {
    /** Its senders are rewritten, so that reports come back here and SPF is about us. */
    readonly srs: boolean;
    /** The domain of rewritten senders, one of ours; absent: that of the address that forwards. */
    readonly domain?: string;
    /** How long reports to a rewritten sender are taken. */
    readonly maxAgeMs: number;
  };
  /** Mail for accounts. */
  readonly mailboxes: {
    /** Of the files in Maildirs. */
    readonly lineEndings: "lf" | "crlf";
    /** Mail for `user+folder` goes into that folder of the user's mailbox, where there is one. */
    readonly subaddressFolders: boolean;
    /** How much those may hold whose accounts say nothing about it. */
    readonly quota: QuotaLimits & {
      /** What happens to mail for a mailbox that is full: its senders try again, or get it back. */
      readonly whenFull: "defer" | "refuse";
      /** Percent of a limit at which the owner is warned; empty: never. */
      readonly warnAt: readonly number[];
    };
    /** Who keeps it, unless the account says otherwise; absent: Maildirs here. */
    readonly via?: MailboxVia;
    /** For the signatures of webhooks, those of accounts too. Must never reach a log line. */
    readonly secret?: string;
  };
  /** Take binary content (RFC 3030 §3) for those who can hold it. */
  readonly binaryMime: boolean;
  /** CIDR blocks as text, e.g. `192.0.2.0/24`, `2001:db8::/32`; checked. */
  readonly relayFrom: readonly string[];
  /** CIDR blocks as text, checked. */
  readonly xclientFrom: readonly string[];
  /** Mail from other servers. */
  readonly mx: {
    /** From the accept to our greeting; absent: none. */
    readonly greetDelayMs?: number;
  };
  /** Who really sent a message, and what follows from it. */
  readonly msgauth: {
    /** Whose results they are (RFC 8601 §2.5): what our Authentication-Results begin with. */
    readonly authservId: string;
    /** Check SPF. */
    readonly spf: boolean;
    /** Verify DKIM signatures. */
    readonly dkim: boolean;
    /** How far the policies of author domains are followed; `off`: they are not looked up. */
    readonly dmarc: "enforce" | "quarantine" | "none" | "off";
    /** What quarantine is: the folder Junk, or what the header says. */
    readonly quarantine: "junk" | "header";
    /** What happens where DNS had no answer. */
    readonly onTemporaryError: "accept" | "defer_reject" | "defer";
    /** Addresses, CIDR blocks as text, checked, and domains in A-label form, each with all below it. */
    readonly trustedForwarders: readonly string[];
    /** Domains in A-label form, each with all below it, whose ARC seals are believed. */
    readonly trustedSealers: readonly string[];
    /** Seal what addresses of ours send on (RFC 8617). */
    readonly arc: "off" | "seal";
  };
  /** Mail from users who logged in. */
  readonly submission: {
    readonly senders: Senders;
    /** Recipients of one account; absent: no limit. */
    readonly rate?: { readonly count: number; readonly perMs: number };
    /** What happens to a bare LF in content. */
    readonly bareLf: "refuse" | "repair";
  };
  /** How users log in. */
  readonly auth: {
    /** The authentication socket of a Dovecot that checks logins; absent: the accounts do. */
    readonly dovecot?: BindAddress;
    /** SASL mechanisms to offer, in this order; absent: all that can work. */
    readonly mechanisms?: readonly string[];
    /** Tokens of an authorization server; absent: OAUTHBEARER and XOAUTH2 are not offered. */
    readonly oauth?: OauthConfig;
  };
  /** In the order of the file; each domain once. */
  readonly routes: readonly RouteConfig[];
  /** Mail that could not be delivered at once. */
  readonly queue: {
    /** At least one; the last repeats. */
    readonly retryMs: readonly number[];
    readonly warnAfterMs: number;
    readonly expireAfterMs: number;
  };
  /** Mail on its way out. */
  readonly delivery: {
    readonly concurrency: number;
    readonly perDestination: number;
    readonly tls: TlsUse;
    /** Keep to the TLSA records of MX hosts. */
    readonly dane: boolean;
    /** Keep to the MTA-STS policies of domains. */
    readonly mtaSts: boolean;
    /** `auto`: only from an address of ours that has a name which leads back to it. */
    readonly ipv6: "auto" | "on" | "off";
    readonly source?: SourceAddresses;
    /** Messages over one connection. */
    readonly connectionMessages: number;
    /** How long a connection is kept for the next message. */
    readonly connectionIdleMs: number;
  };
  /** What single destinations are sent at most, the first that matches counts. */
  readonly destinations: readonly DestinationRule[];
  /** Bounds for clients. */
  readonly limits: {
    readonly messageOctets: number;
    /** Of the header section. */
    readonly headerOctets: number;
    readonly headerFields: number;
    readonly recipients: number;
    readonly connections: number;
    readonly connectionsPerIp: number;
    /** What has to stay free on the disks of spool and mailboxes. */
    readonly freeSpace: SpaceLimit;
  };
  /** `address:port` pairs; empty: those of /etc/resolv.conf. */
  readonly dnsServers: readonly { readonly host: string; readonly port: number }[];
  /** Whether the AD bit of these servers is believed; absent: where all of them are on this machine. */
  readonly isDnsValidating?: boolean;
  /** Reports about mail in somebody's name (DMARC), and about TLS (TLS-RPT). */
  readonly reports: {
    /** Daily aggregate reports to domains that ask for them. */
    readonly dmarc: { readonly send: boolean };
    /** Daily TLS reports to domains that ask for them. */
    readonly tls: { readonly send: boolean };
    /** The sender of reports, canonical; its domain is ours. */
    readonly from: string;
    /** Our name in reports, US-ASCII. */
    readonly organization: string;
    /** Mailboxes of ours that reports of others come to, canonical. */
    readonly receive: readonly string[];
    /** How long what they say is kept. */
    readonly keepMs: number;
  };
  /** What is logged, and how. */
  readonly log: { readonly level: "debug" | "info" | "warning" | "error"; readonly format: "text" | "json" };
  /** Operators' commands while the server runs. */
  readonly admin: {
    /** The control socket, absolute; absent: there is none. */
    readonly socket?: string;
  };
  /** Make this mailbox with a random password when the accounts file does not exist, and print how to try it. */
  readonly quickStart?: string;
}
