/** Which addresses are our own: mail for a domain whose MX is one of them would come back (RFC 5321 §5.1). */

import type { ListenerConfig } from "../config/config.ts";
import { formatIpAddress, parseIpAddress, unmapped } from "../dns/ip_address.ts";

/** The addresses of the machine's interfaces. */
export type InterfaceAddresses = () => readonly string[];

/**
 * Tells whether we listen on an address and port.
 *
 * @param listeners Those on a wildcard address stand for every address of the machine.
 * @param host An IP address in any spelling. The unspecified one stands for loopback, as it does where one connects to it.
 */
export function isOwnAddress(
  listeners: readonly ListenerConfig[],
  interfaces: InterfaceAddresses,
  host: string,
  port: number,
): boolean {
  const reached = reachedAt(host);
  return listeners.some(({ bind }) => {
    if (bind.kind !== "tcp" || bind.port !== port) return false;
    if (reachedAt(bind.host) === reached) return true;
    // "::" takes IPv4 too; "0.0.0.0" does not take IPv6.
    const isWildcard = bind.host === "::" || (bind.host === "0.0.0.0" && !reached.includes(":"));
    return isWildcard && (reached === "::1" || reached.startsWith("127.") || interfaces().includes(reached));
  });
}

/** Where a connection to an address leads: IPv4 may be mapped into IPv6, and no address in particular is this machine. */
function reachedAt(host: string): string {
  const octets = parseIpAddress(host);
  if (octets === undefined) return host;
  const address = formatIpAddress(unmapped(octets));
  return address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
}
