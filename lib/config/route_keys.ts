/** The schema of an entry of `routes`. */

import type { SourceAddresses, TlsUse } from "../delivery/next_hop.ts";
import { normalizeDomain } from "../mail/mailbox.ts";
import type { FallbackConfig } from "./config.ts";
import { listOf, type Located, located, object, optional, required, scalar, type Type, withDefault } from "./schema.ts";
import { sourceAddresses } from "./source_addresses.ts";
import * as value from "./values.ts";
import { routeVia, via, type ViaDraft } from "./via.ts";
import { type WebhookDraft, webhookSecret } from "./webhook.ts";

/** A server that a route names, as it stands in the file. */
export interface ServerDraft<V> {
  /** The server. */
  readonly via: V;
  /** For AUTH; with a password or not at all. */
  readonly username?: Located<string>;
  /** For AUTH. */
  readonly password?: Located<string>;
  /** Absent: what is usual for the server. */
  readonly tls?: Located<TlsUse>;
  /** Absent: as `delivery.source`. */
  readonly source?: Located<SourceAddresses>;
  /** Tell the server whom a message came from. */
  readonly xclient?: Located<boolean>;
}

/** An entry of `routes` as it stands in the file. */
export interface RouteDraft extends ServerDraft<ViaDraft | WebhookDraft | "mx"> {
  /** A domain, `*.domain` or `*`. */
  readonly domain: Located<string>;
  /** Of a webhook. */
  readonly secret?: Located<string>;
  /** Another way. */
  readonly fallback?: Located<FallbackDraft>;
}

/** The `fallback` of a route as it stands in the file. */
export interface FallbackDraft extends ServerDraft<ViaDraft>, Omit<FallbackConfig, "via"> {}

/** How TLS is used towards a server. */
export const tlsUse: Type<TlsUse> = value.oneOf("opportunistic", "required", "off");

const routeDomain = scalar({
  expects: 'a domain, "*.example.org" for its subdomains, or "*"',
  parse: (text) => {
    const [, star = "", rawName = ""] = /^(\*\.)?(.*)$/s.exec(text) ?? [];
    const name = normalizeDomain(rawName);
    return text === "*" ? text : name === undefined ? undefined : star + name;
  },
});

const credentials = {
  username: optional("username", located(value.text("a user name"), ""), "Logs in there."),
  password: optional(
    "password",
    located(value.secret("a password in quotes, or !file with its path"), ""),
    "Its password.",
  ),
  tls: optional(
    "tls",
    located(tlsUse),
    "Default: required with a user name, otherwise as delivery.tls; off for a socket.",
  ),
  source: optional("source", located(sourceAddresses), "Addresses to connect from. Default: delivery.source."),
  xclient: optional(
    "xclient",
    located(value.yesOrNo),
    "Tell the server by XCLIENT, where it offers that, which client a message came from. Default: false.",
  ),
};

/** Of other refusals, another server would hardly think better. */
const fallbackClass = value.oneOf(
  "block",
  "reputation",
  "rate",
  "authentication",
  "policy",
  "content",
  "greylisting",
  "relaying",
  "system",
);

const fallback: Type<FallbackDraft> = object({
  via: required("via", via, "The server, as for the route."),
  ...credentials,
  after: withDefault(
    "after",
    value.count(1, 1000),
    3,
    "Refusals after which a recipient goes there; a permanent one is enough.",
  ),
  classes: withDefault(
    "classes",
    listOf(fallbackClass, "classes of replies", 1),
    ["block", "reputation"],
    "What these refusals have to be about.",
  ),
});

/** An entry of `routes`. */
export const route: Type<RouteDraft> = object({
  domain: required(
    "domain",
    located(routeDomain),
    "Recipient domain, *.domain for its subdomains, or * for all others.",
  ),
  via: required(
    "via",
    routeVia,
    "The server: smtp://host:port, smtps://host:port, lmtp://host:port or lmtp://unix:path; or mx; or an application, https://….",
  ),
  ...credentials,
  secret: optional("secret", located(webhookSecret, ""), "Of an application: signs what is posted there."),
  fallback: optional("fallback", located(fallback), "The server for mail that is refused there."),
});
