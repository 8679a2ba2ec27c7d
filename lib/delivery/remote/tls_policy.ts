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
  /** The host must offer REQUIRETLS, and its name must come from a source that can be trusted (RFC 8689 §4.2.1). */
  readonly needsRequireTls: boolean;
}

/**
 * Decides for a next hop.
 *
 * @param defaultUse The policy towards MX hosts.
 * @param isRequired The message came with REQUIRETLS.
 */
export function tlsPolicy(hop: RemoteHop, defaultUse: TlsUse, isRequired: boolean): TlsPolicy {
  if (hop.kind === "mx") {
    return { use: isRequired ? "required" : defaultUse, isImplicit: false, needsRequireTls: isRequired };
  }
  const { scheme, tls, socketPath } = hop.smarthost;
  // A Unix socket has no name to prove, and nobody on the way.
  if (socketPath !== undefined) return { use: "off", isImplicit: false, needsRequireTls: false };
  // LMTP is the last hop: there is nobody whom the server would have to tell.
  const needsRequireTls = isRequired && scheme !== "lmtp";
  return { use: isRequired ? "required" : tls, isImplicit: scheme === "smtps", needsRequireTls };
}
