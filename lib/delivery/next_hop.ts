/** Where a recipient goes next. Routing decides it at each attempt; delivery carries it out. */

import type { ReplyClass } from "../mail/outcome.ts";

/** How TLS is used towards a remote server. */
export type TlsUse = "opportunistic" | "required" | "off";

/** Addresses of ours to connect from, in the spelling of RFC 5952 §4; absent: the system chooses. */
export interface SourceAddresses {
  /** For IPv4. */
  readonly v4?: string;
  /** For IPv6. */
  readonly v6?: string;
}

/** A configured server: the `via` of a route. */
export interface Smarthost {
  /** `smtps` is TLS from the first octet (RFC 8314 §3.3); `lmtp` answers for each recipient (RFC 2033 §4.2). */
  readonly scheme: "smtp" | "smtps" | "lmtp";
  /** Host name or address literal without brackets; empty where `socketPath` is given. */
  readonly host: string;
  /** 1 to 65535; without meaning where `socketPath` is given. */
  readonly port: number;
  /** Unix socket of an LMTP server (`lmtp://unix:/path`). */
  readonly socketPath?: string;
  /** For AUTH (RFC 4954); absent: we do not log in. */
  readonly username?: string;
  /** Present exactly where `username` is. Must never reach a log line. */
  readonly password?: string;
  /** `required`: without TLS nothing is sent, and the mail waits. */
  readonly tls: TlsUse;
  /** Absent: as for all other destinations. */
  readonly source?: SourceAddresses;
  /** The server, where it offers XCLIENT, is told whom the message came from. Never together with `username`. */
  readonly isToldClient?: true;
}

/** An application that takes mail by HTTP POST: the `via` of a route or of accounts. */
export interface Webhook {
  /** Of the URL; `http` towards this machine and private networks only. */
  readonly scheme: "https" | "http";
  /** Without user name, query and fragment: it stands in log lines. */
  readonly url: string;
  /** One or more with white space between, for signatures. Must never reach a log line. */
  readonly secret: string;
}

/** One next hop. Recipients of a message with the same `key` share a transaction. */
export type NextHop =
  | { readonly kind: "maildir"; /** The account's mailbox address. */ readonly account: string; readonly key: string }
  | { readonly kind: "smarthost"; readonly smarthost: Smarthost; readonly key: string }
  | {
    readonly kind: "mx"; /** A-label, lower case; or an address literal in brackets. */
    readonly domain: string;
    readonly key: string;
  }
  | { readonly kind: "webhook"; readonly webhook: Webhook; /** The URL. */ readonly key: string };

/** Another way for mail that the next hop keeps refusing. */
export interface Fallback {
  /** The `key` of the hop, for log and journal. */
  readonly key: string;
  /** Refusals after which a recipient takes it; one that is permanent is enough. */
  readonly after: number;
  /** Only refusals of these classes count. */
  readonly classes: readonly ReplyClass[];
}

/** What became of a recipient so far, as far as routing needs it. */
export interface RouteHistory {
  /** Earlier attempts led to its fallback: it goes there for good. */
  readonly isOnFallback: boolean;
}

/** The decision for one recipient: a next hop, or at once the reason why there is none. */
export type RouteDecision =
  | { readonly kind: "hop"; readonly hop: NextHop; /** Where the hop has one. */ readonly fallback?: Fallback }
  | { readonly kind: "refused"; readonly status: string; readonly text: string };
