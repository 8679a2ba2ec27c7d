/** The routes of the configuration, ready to be looked up by recipient domain. */

import type { FallbackConfig, RouteConfig } from "../config/config.ts";
import type { NextHop, RouteDecision, RouteHistory, Smarthost, Webhook } from "../delivery/next_hop.ts";

/** A next hop that is a configured server. */
export type SmarthostHop = Extract<NextHop, { kind: "smarthost" }>;

/** A next hop that is configured: a server or an application. */
export type ConfiguredHop = Extract<NextHop, { kind: "smarthost" | "webhook" }>;

/** Where a route leads. */
export interface Route {
  /** A server, an application, or the MX hosts of each domain. */
  readonly via: ConfiguredHop | "mx";
  /** The server for mail that is refused there, and when it goes there. */
  readonly fallback?: { readonly hop: SmarthostHop } & Omit<FallbackConfig, "via">;
}

/** Routes by domain. */
export interface Routes {
  /** For the domain itself. */
  readonly exact: ReadonlyMap<string, Route>;
  /** For all subdomains of the domain. */
  readonly below: ReadonlyMap<string, Route>;
  /** For every other domain. */
  readonly all: Route | undefined;
}

/** The route of a domain that has none. */
export const MX_ROUTE: Route = { via: "mx" };

/** Sorts the routes by kind. Where two have one domain, the first counts. */
export function buildRoutes(routes: readonly RouteConfig[]): Routes {
  const exact = new Map<string, Route>();
  const below = new Map<string, Route>();
  let all: Route | undefined;
  for (const { domain, via, fallback } of routes) {
    const route: Route = {
      via: via === "mx" ? via : hopVia(via),
      ...(fallback === undefined ? {} : { fallback: { ...fallback, hop: smarthostHop(fallback.via) } }),
    };
    const [map, name] = domain.startsWith("*.") ? [below, domain.slice(2)] : [exact, domain];
    if (domain === "*") all ??= route;
    else if (!map.has(name)) map.set(name, route);
  }
  return { exact, below, all };
}

/** The next hop that a `via` names. */
export function hopVia(via: Smarthost | Webhook): ConfiguredHop {
  return "url" in via ? { kind: "webhook", webhook: via, key: via.url } : smarthostHop(via);
}

function smarthostHop(smarthost: Smarthost): SmarthostHop {
  return { kind: "smarthost", smarthost, key: smarthostKey(smarthost) };
}

/** The next hop on a route for a domain, after what became of the recipient so far. */
export function hopOn({ via, fallback }: Route, domain: string, { isOnFallback }: RouteHistory): RouteDecision {
  if (fallback !== undefined && isOnFallback) return { kind: "hop", hop: fallback.hop };
  const hop: NextHop = via === "mx" ? { kind: "mx", domain, key: `mx:${domain}` } : via;
  if (fallback === undefined) return { kind: "hop", hop };
  const { hop: { key }, after, classes } = fallback;
  return { kind: "hop", hop, fallback: { key, after, classes } };
}

/** The route of a domain: its own, then the longest `*.domain` above it, then `*`. */
export function routeOf({ exact, below, all }: Routes, domain: string): Route | undefined {
  const own = exact.get(domain);
  if (own !== undefined || domain.startsWith("[")) return own ?? all;
  for (let dot = domain.indexOf("."); dot >= 0; dot = domain.indexOf(".", dot + 1)) {
    const route = below.get(domain.slice(dot + 1));
    if (route !== undefined) return route;
  }
  return all;
}

/** Names a server and how it is used: mail with another login, TLS use or source address never shares a connection. */
function smarthostKey({ scheme, host, port, socketPath, username, tls, source, isToldClient }: Smarthost): string {
  const login = username === undefined ? "" : `${encodeURIComponent(username)}@`;
  const server = socketPath === undefined ? `${host.includes(":") ? `[${host}]` : host}:${port}` : `unix:${socketPath}`;
  const use = [
    ...(tls === "opportunistic" || socketPath !== undefined ? [] : [`;tls=${tls}`]),
    ...(source === undefined ? [] : [`;source=${[source.v4, source.v6].filter((address) => address).join(",")}`]),
    ...(isToldClient ? [";xclient"] : []),
  ];
  return `${scheme}:${login}${server}${use.join("")}`;
}
