/** Which addresses are our own: mail for a domain whose MX is one of them would come back (RFC 5321 §5.1). */

import type { ListenerConfig } from "../config/config.ts";

/** The addresses of the machine's interfaces. */
export type InterfaceAddresses = () => readonly string[];

/**
 * Tells whether we listen on an address and port.
 *
 * @param listeners Those on a wildcard address stand for every address of the machine.
 */
export function isOwnAddress(
  listeners: readonly ListenerConfig[],
  interfaces: InterfaceAddresses,
  host: string,
  port: number,
): boolean {
  return listeners.some(({ bind }) => {
    if (bind.kind !== "tcp" || bind.port !== port) return false;
    if (bind.host === host) return true;
    // "::" takes IPv4 too; "0.0.0.0" does not take IPv6.
    const isWildcard = bind.host === "::" || (bind.host === "0.0.0.0" && !host.includes(":"));
    return isWildcard && (host === "::1" || host.startsWith("127.") || interfaces().includes(host));
  });
}
