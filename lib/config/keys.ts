/**
 * The schema of the configuration file: every key, its type, its default and what it is for. What several keys must
 * satisfy together is in checks.ts.
 */

import type { DestinationRule } from "../queue/destination_rules.ts";
import { alias, type AliasDraft, NO_ALIAS } from "./alias_keys.ts";
import type { BindAddress, Config, ListenerConfig, StsMode } from "./config.ts";
import { oauth, type OauthDraft } from "./oauth.ts";
import { route, type RouteDraft, tlsUse } from "./route_keys.ts";
import {
  type Entry,
  keyPaths,
  listOf,
  type Located,
  located,
  mapOf,
  object,
  optional,
  partial,
  required,
  section,
  type Type,
  unavailable,
  withDefault,
} from "./schema.ts";
import { msgauth, type MsgauthDraft } from "./msgauth_keys.ts";
import { mailboxVia, type MailboxViaDraft } from "./mailbox_via.ts";
import { sourceAddresses } from "./source_addresses.ts";
import * as value from "./values.ts";
import { adminBind, type AdminBindDraft, bindAddress, type BindDraft, serverSocket } from "./via.ts";
import { webhookSecret } from "./webhook.ts";

/** An entry of `listeners` as it stands in the file. */
export interface ListenerDraft {
  /** Its socket, with a path as written. */
  readonly bind: Located<BindDraft>;
  /** What it is for. */
  readonly service: ListenerConfig["service"];
  /** Absent: what is usual for the service. */
  readonly tls?: Located<ListenerConfig["tls"]>;
  /** Absent: clients connect themselves. */
  readonly proxyProtocol?: Located<readonly string[]>;
  /** Absent: none are asked for. */
  readonly clientCertificates?: Located<NonNullable<ListenerConfig["clientCertificates"]>>;
}

/** An entry of `domains` as it stands in the file. */
export interface DomainDraft {
  /** Where mail for nobody goes. */
  readonly catchAll?: Located<string>;
  /** Another domain of the file. */
  readonly aliasOf?: Located<string>;
  /** Selectors. Absent: those of the domain that this one is another name of, else none. */
  readonly dkim?: readonly string[];
  /** Absent: our hostname. */
  readonly mx?: readonly string[];
  /** Absent: no policy. */
  readonly mtaSts?: StsMode;
}

/** The whole file: every single value is right, and defaults are filled in where they depend on nothing else. */
export interface FileContent extends
  Pick<
    Config,
    "hostname" | "user" | "mx" | "submission" | "queue" | "delivery" | "destinations" | "limits" | "log"
  > {
  /** A path as written. */
  readonly data: string;
  /** Absent: the default listeners. */
  readonly listeners?: readonly ListenerDraft[];
  /** Paths as written. */
  readonly tls: Pick<Config, "certificates"> & { readonly clientCa?: Located<string> };
  /** By name; at least one. */
  readonly domains: readonly Entry<DomainDraft>[];
  /** One character or none. */
  readonly recipientDelimiter: string;
  /** A path as written. */
  readonly accounts: string;
  /** By mailbox. */
  readonly aliases: readonly Entry<AliasDraft>[];
  /** Mail that is sent on. */
  readonly forwarding: {
    readonly srs: boolean;
    /** One of ours. */
    readonly domain?: Located<string>;
    readonly maxAgeMs: number;
  };
  /** Mail for accounts. */
  readonly mailboxes: Omit<Config["mailboxes"], "via" | "secret"> & {
    /** Absent: Maildirs here. */
    readonly via?: Located<MailboxViaDraft>;
    /** Of webhooks. */
    readonly secret?: Located<string>;
  };
  /** Take binary content. */
  readonly binaryMime: boolean;
  /** CIDR blocks. */
  readonly relayFrom: readonly string[];
  /** CIDR blocks. */
  readonly xclientFrom: readonly string[];
  /** Of `msgauth`. */
  readonly msgauth: MsgauthDraft;
  /** How users log in. */
  readonly auth: {
    /** Its path is absolute. */
    readonly dovecot?: BindAddress;
    /** At least one. */
    readonly mechanisms?: readonly Located<string>[];
    /** Its keys, each of them right. */
    readonly oauth?: Located<Partial<OauthDraft>>;
  };
  /** In the order of the file. */
  readonly routes: readonly RouteDraft[];
  /** Reports about mail and TLS. */
  readonly reports: Omit<Config["reports"], "from" | "organization" | "receive"> & {
    /** A mailbox of ours. */
    readonly from?: Located<string>;
    readonly organization?: string;
    /** Mailboxes of ours. */
    readonly receive: readonly Located<string>[];
  };
  /** Of `admin`. */
  readonly admin: { /** A path as written. */ readonly bind?: Located<AdminBindDraft> };
  /** Of `dns`. */
  readonly dns: { readonly servers: Config["dnsServers"]; readonly validating?: boolean };
  /** A mailbox of ours. */
  readonly quickStart?: Located<string>;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** What listens where the file has no `listeners`. */
export const DEFAULT_LISTENERS: readonly ListenerConfig[] = [
  { bind: { kind: "tcp", host: "::", port: 25 }, service: "mx", tls: "starttls" },
  { bind: { kind: "tcp", host: "::", port: 587 }, service: "submission", tls: "starttls" },
  { bind: { kind: "tcp", host: "::", port: 465 }, service: "submission", tls: "implicit" },
];

const listener: Type<ListenerDraft> = object({
  bind: required("bind", located(bindAddress), "Address and port, or a socket in the data folder."),
  service: required("service", value.oneOf("mx", "submission", "lmtp", "web"), "What the listener is for."),
  tls: optional(
    "tls",
    located(value.oneOf("implicit", "starttls", "off")),
    "TLS from the first octet, after STARTTLS, or never. Default: starttls; off for lmtp, implicit for web.",
  ),
  proxyProtocol: optional(
    "proxy_protocol",
    located(listOf(value.cidr, "addresses or CIDR blocks", 1)),
    "The proxies in front: only they may connect, and each connection begins with a PROXY header.",
  ),
  clientCertificates: optional(
    "client_certificates",
    located(value.oneOf("request", "require")),
    "Ask clients for a certificate; require: no session without one of tls.client_ca. Default: none is asked for.",
  ),
});

const mechanism = value.oneOf(
  "EXTERNAL",
  "SCRAM-SHA-256-PLUS",
  "SCRAM-SHA-256",
  "PLAIN",
  "LOGIN",
  "OAUTHBEARER",
  "XOAUTH2",
);

const certificate = object({
  chain: required("chain", value.path, "PEM file of the certificate and those above it."),
  key: required("key", value.path, "PEM file of the private key."),
});

/** Labels (RFC 6376 §3.1), and room for the "-ed" of the Ed25519 key. */
const DKIM_SELECTOR = /^(?=.{1,60}$)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/i;

const domain: Type<DomainDraft> = object({
  catchAll: optional("catch_all", located(value.mailbox), "Takes what no account and no alias takes."),
  aliasOf: optional("alias_of", located(value.domainName), "The domain that this one is another name of."),
  dkim: optional(
    "dkim",
    listOf(
      value.matching(DKIM_SELECTOR, 'a DKIM selector such as "s2026"'),
      "DKIM selectors",
    ),
    "Selectors of the keys in data/keys that sign its mail, oldest first. Default for alias_of: as there; else none.",
  ),
  mx: optional(
    "mx",
    listOf(value.hostName, "host names", 1),
    "The hosts that take its mail, preferred first. Default: hostname.",
  ),
  mtaSts: optional(
    "mta_sts",
    value.oneOf("testing", "enforce", "none"),
    "Mode of the MTA-STS policy that listeners of service web give away. Default: there is no policy.",
  ),
});

const destination: Type<DestinationRule> = object({
  name: required(
    "name",
    value.matching(
      /^(?:\*|\*\.[^\s*]+|[^\s*]+)$/,
      'the name of a destination, "*.example.org" for those below it, or "*"',
    ),
    "As in the log and in `queue destinations`: an MX host, a provider, or the via of a route.",
  ),
  concurrency: optional(
    "concurrency",
    value.count(1, 10_000),
    "Deliveries at a time. Default: delivery.per_destination.",
  ),
  rate: optional("rate", value.rate, "Messages in a time, e.g. 1000/1h. Default: no limit."),
  warmUp: optional(
    "warm_up",
    object({
      startMs: required("start", value.day, "The first day."),
      perDay: required(
        "per_day",
        value.count(1, 1_000_000),
        "Messages on the first day; half as many again each day after.",
      ),
    }),
    "For an address that receivers do not know yet: few messages at first, more from day to day.",
  ),
});

const quota = section("quota", {
  octets: optional("storage", value.storageLimit, "Sizes of all messages of a mailbox together. Default: no limit."),
  messages: optional("messages", value.messageLimit, "How many messages a mailbox may hold. Default: no limit."),
  whenFull: withDefault(
    "when_full",
    value.oneOf("defer", "refuse"),
    "defer",
    "Mail for a full mailbox: its senders try again (452), or get it back at once (552).",
  ),
  warnAt: withDefault(
    "warn_at",
    listOf(value.percentage, "percentages"),
    [80, 95],
    "Where a mailbox comes up to this part of a limit, it gets a message that says so.",
  ),
}, "How much a mailbox may hold whose account says nothing about it.");

/** The tree of all keys: reads a file into what is right in it. */
export const configType: Type<Partial<FileContent>> = partial({
  hostname: required("hostname", value.hostName, "Our name in banner, EHLO, Received; must match the PTR record."),
  data: withDefault("data", value.path, "./data", "Folder of spool, mail, keys and state."),
  user: optional(
    "user",
    value.matching(/^[a-z_][a-z0-9_.-]*\$?$/i, "the name of a user"),
    "The user to become after the ports are bound, when started as root.",
  ),
  listeners: optional("listeners", listOf(listener, "listeners", 1), "Default: [::]:25, [::]:587 and [::]:465."),
  tls: section("tls", {
    certificates: withDefault(
      "certificates",
      listOf(certificate, "mappings with chain and key"),
      [],
      "Chosen by the name the client asks for. Default: a self-signed one.",
    ),
    clientCa: optional("client_ca", located(value.path), "PEM file: whose client certificates count."),
    acme: unavailable("acme", "Certificates from an ACME authority."),
  }, "Certificates."),
  domains: required(
    "domains",
    mapOf(value.domainName, domain, { noun: "domains", whenWrong: {}, isNeverEmpty: true }),
    "The domains that are ours.",
  ),
  recipientDelimiter: withDefault(
    "recipient_delimiter",
    value.matching(/^[-+_=.~#!$%&*^?|]?$/, 'one of the characters + - _ = . ~ # ! $ % & * ^ ? |, or "" for none'),
    "+",
    "What follows it in a local part is ignored to find the mailbox, and may name a folder in it.",
  ),
  accounts: withDefault("accounts", value.path, "accounts.yaml", "File of mailboxes and password hashes."),
  aliases: withDefault(
    "aliases",
    mapOf(value.ourMailbox, alias, { noun: "mailboxes to lists of mailboxes", whenWrong: NO_ALIAS }),
    [],
    "Mailboxes of ours that stand for others, here or elsewhere.",
  ),
  forwarding: section("forwarding", {
    srs: withDefault(
      "srs",
      value.yesOrNo,
      true,
      "Rewrite the senders of mail that aliases and accounts send on to other sites, so that SPF is about us.",
    ),
    domain: optional(
      "domain",
      located(value.domainName),
      "Of rewritten senders, one of ours. Default: the domain of the address that forwards.",
    ),
    maxAgeMs: withDefault(
      "max_age",
      value.duration,
      21 * DAY,
      "How long reports to a rewritten sender are taken, in whole days.",
    ),
  }, "Mail that is sent on to other sites."),
  mailboxes: section("mailboxes", {
    lineEndings: withDefault(
      "line_endings",
      value.oneOf("lf", "crlf"),
      "lf",
      "Of the files in Maildirs: LF as programs that read them expect, or CRLF as the message came.",
    ),
    subaddressFolders: withDefault(
      "subaddress_folders",
      value.yesOrNo,
      true,
      "Mail for user+folder goes into that folder, where the user has it.",
    ),
    quota,
    via: optional(
      "via",
      located(mailboxVia),
      "Who keeps it: maildir, lmtp://host:port, lmtp://unix:path or an application, https://…. Default: maildir.",
    ),
    secret: optional("secret", located(webhookSecret, ""), "Of applications: signs what is posted there."),
  }, "Mail for accounts."),
  binaryMime: withDefault(
    "binary_mime",
    value.yesOrNo,
    false,
    "Offer BINARYMIME: binary content for next hops that take it. Mailboxes here do not.",
  ),
  relayFrom: withDefault(
    "relay_from",
    listOf(value.cidr, "CIDR blocks"),
    [],
    "Clients that may send anywhere without logging in.",
  ),
  xclientFrom: withDefault(
    "xclient_from",
    listOf(value.cidr, "CIDR blocks"),
    [],
    "Proxies that may say by XCLIENT whom they speak for, and who logged in.",
  ),
  mx: section("mx", {
    greetDelayMs: optional(
      "greet_delay",
      value.durationUpTo(30 * SECOND, "a duration from 1s to 30s"),
      "Wait before the greeting: who talks meanwhile is refused. Default: none, and a look at what has come.",
    ),
  }, "Mail from other servers."),
  msgauth,
  submission: section("submission", {
    senders: withDefault(
      "senders",
      value.oneOf("own", "any"),
      "own",
      "Reverse-paths and From addresses that a login may use: those of its account, or any.",
    ),
    rate: optional("rate", value.rate, "Recipients of one account in a time, e.g. 500/1h. Default: no limit."),
    bareLf: withDefault(
      "bare_lf",
      value.oneOf("refuse", "repair"),
      "refuse",
      "A bare LF in content: refuse the message, or make it a line end.",
    ),
  }, "Mail from users who logged in."),
  auth: section("auth", {
    dovecot: optional(
      "dovecot",
      serverSocket,
      "The authentication socket of a Dovecot that checks logins. Default: the accounts file.",
    ),
    mechanisms: optional(
      "mechanisms",
      listOf(located(mechanism), "SASL mechanisms", 1),
      "SASL mechanisms to offer, preferred first. Default: all that can work, but not SCRAM-SHA-256-PLUS.",
    ),
    oauth: optional("oauth", located(oauth), "Tokens of an authorization server: OAUTHBEARER and XOAUTH2."),
  }, "How users log in."),
  routes: withDefault("routes", listOf(route, "routes"), [], "Next hop by recipient domain; without a match: its MX."),
  queue: section("queue", {
    retryMs: withDefault(
      "retry",
      listOf(value.duration, "durations", 1),
      [5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR],
      "Waits between attempts; the last one repeats.",
    ),
    warnAfterMs: withDefault("warn_after", value.duration, 4 * HOUR, "When the sender hears of the delay."),
    expireAfterMs: withDefault("expire_after", value.duration, 5 * DAY, "When the message goes back to its sender."),
  }, "Mail that could not be delivered at once."),
  delivery: section("delivery", {
    concurrency: withDefault("concurrency", value.count(1, 10_000), 200, "Deliveries at a time."),
    perDestination: withDefault("per_destination", value.count(1, 10_000), 20, "Of these to one next hop."),
    tls: withDefault("tls", tlsUse, "opportunistic", "TLS towards other servers."),
    dane: withDefault("dane", value.yesOrNo, true, "Keep to the TLSA records of hosts; needs a validating resolver."),
    mtaSts: withDefault("mta_sts", value.yesOrNo, true, "Keep to the MTA-STS policies of domains."),
    ipv6: withDefault(
      "ipv6",
      value.oneOf("auto", "on", "off"),
      "auto",
      "IPv6 towards MX hosts; auto: only where our own address has a name (PTR) that leads back to it.",
    ),
    source: optional("source", sourceAddresses, "Addresses of this machine to connect from, one of each family."),
    connectionMessages: withDefault(
      "connection_messages",
      value.count(1, 10_000),
      100,
      "Messages over one connection.",
    ),
    connectionIdleMs: withDefault(
      "connection_idle",
      value.durationUpTo(5 * MINUTE, "a duration from 1s to 5m"),
      5 * SECOND,
      "How long a connection is kept for the next message.",
    ),
  }, "Mail on its way out."),
  destinations: withDefault(
    "destinations",
    listOf(destination, "destinations"),
    [],
    "What single destinations are sent at most; the first that matches counts.",
  ),
  limits: section("limits", {
    messageOctets: withDefault("message_size", value.size, 50 * 2 ** 20, "Longest message, as announced by SIZE."),
    headerOctets: withDefault("header_size", value.size, 256 * 2 ** 10, "Longest header section of a message."),
    headerFields: withDefault("header_fields", value.count(100, 100_000), 1_000, "Fields in a header section."),
    recipients: withDefault("recipients", value.count(1, 100_000), 1_000, "Recipients of a message."),
    connections: withDefault("connections", value.count(1, 1_000_000), 2_000, "Connections at a time."),
    connectionsPerIp: withDefault("connections_per_ip", value.count(1, 1_000_000), 50, "Of these from one address."),
    freeSpace: withDefault(
      "free_space",
      value.freeSpace,
      { octets: 100 * 2 ** 20, percent: 2 },
      "Refuse new mail while the disk has less; 0: never. Default: 100MiB or 2%, whichever is less.",
    ),
  }, "Bounds for clients."),
  reports: section("reports", {
    dmarc: section("dmarc", {
      send: withDefault(
        "send",
        value.yesOrNo,
        false,
        "Tell domains daily what became of mail in their name, where they ask for it.",
      ),
    }, "Aggregate reports of DMARC."),
    tls: section("tls", {
      send: withDefault(
        "send",
        value.yesOrNo,
        false,
        "Tell domains daily how TLS with their servers went, where they ask for it.",
      ),
    }, "TLS reports."),
    from: optional(
      "from",
      located(value.ourMailbox),
      "The sender of reports. Default: postmaster of the domain that hostname is in, or of the first domain.",
    ),
    organization: optional(
      "organization",
      value.matching(/^[\x20-\x7e]{1,100}$/, "a name in US-ASCII of up to 100 characters"),
      "Our name in reports. Default: hostname.",
    ),
    receive: withDefault(
      "receive",
      listOf(located(value.ourMailbox), "mailboxes"),
      [],
      "Addresses of ours that reports of others come to: they are delivered, and read for `posthorn reports`.",
    ),
    keepMs: withDefault("keep", value.duration, 90 * DAY, "How long what they say is kept."),
  }, "Reports about mail in somebody's name, and about TLS."),
  dns: section("dns", {
    servers: withDefault("servers", listOf(value.dnsServer, "DNS servers"), [], "Default: those of /etc/resolv.conf."),
    validating: optional(
      "validating",
      value.yesOrNo,
      "The servers validate DNSSEC, and the way to them is safe. Default: true where all are on this machine.",
    ),
  }, "Name lookup."),
  log: section("log", {
    level: withDefault("level", value.oneOf("debug", "info", "warning", "error"), "info", "The least that is logged."),
    format: withDefault("format", value.oneOf("text", "json"), "text", "Lines for people or for programs."),
  }, "Log lines go to standard error."),
  admin: section("admin", {
    bind: optional(
      "bind",
      located(adminBind),
      "Socket for the queue commands while the server runs, in the data folder; off: none. Default: unix:admin.sock.",
    ),
    http: unavailable("http", "Console, metrics and health."),
  }, "Control socket."),
  quickStart: optional(
    "quick_start",
    located(value.ourMailbox),
    "Where the accounts file does not exist yet: make this mailbox with a random password, and say how to try it.",
  ),
});

/** The path of every key of the file that this version knows, e.g. `limits.message_size`. */
export const CONFIG_KEYS: readonly string[] = keyPaths(configType);
