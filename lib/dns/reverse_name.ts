/** The names below which the host name of an address is found. */

import { parseIpAddress } from "./ip_address.ts";

/**
 * The name to ask for the PTR record of an address: `1.2.0.192.in-addr.arpa`, or 32 nibbles below `ip6.arpa`.
 *
 * An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`), as a listener on `[::]` sees IPv4 clients, counts as IPv4.
 *
 * @throws {RangeError} When `address` is no IP address.
 * @see RFC 1035 §3.5, RFC 3596 §2.5
 */
export function reverseName(address: string): string {
  const octets = parseIpAddress(address);
  if (octets === undefined) throw new RangeError(`Cannot make a reverse name of "${address}": not an IP address`);
  const isMapped = octets.length === 16 && octets.every((octet, i) => i >= 12 || octet === (i < 10 ? 0 : 0xff));
  if (octets.length === 4 || isMapped) return `${octets.subarray(-4).toReversed().join(".")}.in-addr.arpa`;
  const nibbles = Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join("");
  return `${[...nibbles].reverse().join(".")}.ip6.arpa`;
}
