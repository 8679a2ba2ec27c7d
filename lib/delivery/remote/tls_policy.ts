/** Decides how TLS is used towards a host. What a domain publishes about it (DANE, MTA-STS) is to be asked for here. */

import type { NextHop, TlsUse } from "../next_hop.ts";

/** A next hop that is reached over the network. */
export type RemoteHop = Extract<NextHop, { kind: "mx" | "smarthost" }>;

/** How to treat one connection. */
export interface TlsPolicy {
  /** `required`: TLS with a certificate that is valid for the host's name, or no delivery. */
  readonly use: TlsUse;
  /** TLS from the first octet (RFC 8314 §3.3) instead of STARTTLS. */
  readonly isImplicit: boolean;
}

/**
 * Decides for a next hop.
 *
 * @param defaultUse The policy towards MX hosts.
 */
export function tlsPolicy(hop: RemoteHop, defaultUse: TlsUse): TlsPolicy {
  if (hop.kind === "mx") return { use: defaultUse, isImplicit: false };
  const { scheme, tls, socketPath } = hop.smarthost;
  // A Unix socket has no name to prove, and nobody on the way.
  if (socketPath !== undefined) return { use: "off", isImplicit: false };
  return { use: tls, isImplicit: scheme === "smtps" };
}
