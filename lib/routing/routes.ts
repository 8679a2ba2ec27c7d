/** The routes of the configuration, ready to be looked up by recipient domain. */

import type { RouteConfig } from "../config/config.ts";
import type { NextHop, Smarthost } from "../delivery/next_hop.ts";

/** A next hop that a route gives. */
export type SmarthostHop = Extract<NextHop, { kind: "smarthost" }>;

/** Next hops by domain. */
export interface Routes {
  /** For the domain itself. */
  readonly exact: ReadonlyMap<string, SmarthostHop>;
  /** For all subdomains of the domain. */
  readonly below: ReadonlyMap<string, SmarthostHop>;
  /** For every other domain. */
  readonly all: SmarthostHop | undefined;
}

/** Sorts the routes by kind. Where two have one domain, the first counts. */
export function buildRoutes(routes: readonly RouteConfig[]): Routes {
  const exact = new Map<string, SmarthostHop>();
  const below = new Map<string, SmarthostHop>();
  let all: SmarthostHop | undefined;
  for (const { domain, via } of routes) {
    const hop: SmarthostHop = { kind: "smarthost", smarthost: via, key: smarthostKey(via) };
    const [map, name] = domain.startsWith("*.") ? [below, domain.slice(2)] : [exact, domain];
    if (domain === "*") all ??= hop;
    else if (!map.has(name)) map.set(name, hop);
  }
  return { exact, below, all };
}

/** The route of a domain: its own, then the longest `*.domain` above it, then `*`. */
export function routeOf({ exact, below, all }: Routes, domain: string): SmarthostHop | undefined {
  const own = exact.get(domain);
  if (own !== undefined || domain.startsWith("[")) return own ?? all;
  for (let dot = domain.indexOf("."); dot >= 0; dot = domain.indexOf(".", dot + 1)) {
    const hop = below.get(domain.slice(dot + 1));
    if (hop !== undefined) return hop;
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
