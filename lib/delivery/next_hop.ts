/** Where a recipient goes next. Routing decides it at each attempt; delivery carries it out. */

/** How TLS is used towards a remote server. */
export type TlsUse = "opportunistic" | "required" | "off";

/** A configured server: the `via` of a route. */
export interface Smarthost {
  readonly scheme: "smtp" | "smtps" | "lmtp";
  /** Host name or address literal without brackets; empty where `socketPath` is given. */
  readonly host: string;
  readonly port: number;
  /** Unix socket of an LMTP server (`lmtp://unix:/path`). */
  readonly socketPath?: string;
  readonly username?: string;
  readonly password?: string;
  readonly tls: TlsUse;
}

/** One next hop. Recipients of a message with the same `key` share a transaction. */
export type NextHop =
  | { readonly kind: "maildir"; /** The account's mailbox address. */ readonly account: string; readonly key: string }
  | { readonly kind: "smarthost"; readonly smarthost: Smarthost; readonly key: string }
  | {
    readonly kind: "mx"; /** A-label, lower case; or an address literal in brackets. */
    readonly domain: string;
    readonly key: string;
  };

/** The decision for one recipient: a next hop, or at once the reason why there is none. */
export type RouteDecision =
  | { readonly kind: "hop"; readonly hop: NextHop }
  | { readonly kind: "refused"; readonly status: string; readonly text: string };
