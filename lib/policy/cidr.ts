/**
 * IP addresses and CIDR blocks (RFC 4632, RFC 4291 §2.3). An IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) is the IPv4
 * address: that is how a client of a dual-stack socket shows up.
 */

import { parseIpAddress as parseOctets, unmapped } from "../dns/ip_address.ts";

/** A block of addresses of one family. */
export interface CidrBlock {
  /** 4 octets (IPv4) or 16 (IPv6), the bits behind the prefix zero. */
  readonly octets: Uint8Array;
  /** 0 to 32 or 0 to 128. */
  readonly prefixBits: number;
}

/**
 * Reads an address into its octets: 4 for IPv4 and IPv4-mapped IPv6, 16 for other IPv6.
 *
 * @param text Without brackets and port; a zone (`%eth0`, RFC 4007 §11) is ignored.
 * @returns Undefined where it is no address.
 */
export function parseIpAddress(text: string): Uint8Array | undefined {
  const octets = parseOctets(text);
  return octets === undefined ? undefined : unmapped(octets);
}

/**
 * Reads `192.0.2.0/24`, `2001:db8::/32`, or a bare address as a block of one.
 *
 * @returns Undefined where it is no block, or has bits set behind its prefix (`192.0.2.1/24` is most likely a mistake).
 */
export function parseCidr(text: string): CidrBlock | undefined {
  const parts = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text);
  const address = parts?.[1];
  if (address === undefined) return undefined;
  const octets = parseIpAddress(address);
  if (octets === undefined) return undefined;
  const written = address.includes(":") ? 128 : 32;
  const prefixBits = Number(parts?.[2] ?? written) - (written - octets.length * 8);
  // A mapped block shorter than /96 would mix the two families.
  if (prefixBits < 0 || prefixBits > octets.length * 8) return undefined;
  return octets.every((octet, i) => (octet & ~maskOctet(prefixBits, i)) === 0) ? { octets, prefixBits } : undefined;
}

/** True where the address lies in the block; never across families. */
export function isInBlock(address: Uint8Array, block: CidrBlock): boolean {
  if (address.length !== block.octets.length) return false;
  for (let i = 0; i * 8 < block.prefixBits; i++) {
    if (((address[i] ?? 0) & maskOctet(block.prefixBits, i)) !== block.octets[i]) return false;
  }
  return true;
}

/** The network mask's octet at an index. */
function maskOctet(prefixBits: number, index: number): number {
  const bits = Math.min(8, Math.max(0, prefixBits - index * 8));
  return (0xff00 >> bits) & 0xff;
}
