/**
 * The names of a client's address: what its PTR records say, and whether a name leads back to the address. Who owns the
 * address writes the PTR records, so nothing counts before it is confirmed, and only a few are looked at.
 *
 * @see RFC 8601 §3, RFC 7208 §5.5
 */

import { formatIpAddress, parseIpAddress, unmapped } from "../dns/ip_address.ts";
import type { Resolver } from "../dns/resolver.ts";
import { reverseName } from "../dns/reverse_name.ts";

/** How many names of an address are looked at (RFC 7208 §4.6.4); further ones are ignored. */
export const MAX_CLIENT_NAMES = 10;

/** What the PTR records of an address say. */
export type ClientNames =
  /** At least one, at most {@linkcode MAX_CLIENT_NAMES}; lower case, without final dot, not confirmed. */
  | { readonly kind: "found"; readonly names: readonly string[] }
  | { readonly kind: "none" }
  /** Try again later. */
  | { readonly kind: "failed" };

/** Looks up the names of an address; never throws. @param address 4 or 16 octets. */
export async function lookUpClientNames(
  address: Uint8Array,
  resolver: Resolver,
  signal?: AbortSignal,
): Promise<ClientNames> {
  const answer = await resolver.lookup(reverseName(formatIpAddress(address)), "PTR", signal);
  if (answer.kind === "failed") return { kind: "failed" };
  if (answer.kind !== "found") return { kind: "none" };
  // A name with an escape is no host name, and its text would not compare with what others write.
  const names = answer.records.slice(0, MAX_CLIENT_NAMES)
    .map((name) => name.toLowerCase().replace(/\.$/, ""))
    .filter((name) => name !== "" && !/[^\x21-\x7e]|\\/.test(name));
  return names.length === 0 ? { kind: "none" } : { kind: "found", names: [...new Set(names)] };
}

/** Whether an address is among those of a name; never throws. @param address 4 or 16 octets. */
export async function leadsBack(
  name: string,
  address: Uint8Array,
  resolver: Resolver,
  signal?: AbortSignal,
): Promise<"yes" | "no" | "failed"> {
  const answer = await resolver.lookup(name, address.length === 4 ? "A" : "AAAA", signal);
  if (answer.kind === "failed") return "failed";
  if (answer.kind !== "found") return "no";
  const text = formatIpAddress(address);
  // The resolver writes each address in the one form of RFC 5952; what others hand in may be written otherwise.
  return answer.records.some((record) => record === text || canonicalText(record) === text) ? "yes" : "no";
}

function canonicalText(address: string): string | undefined {
  const octets = parseIpAddress(address);
  return octets === undefined ? undefined : formatIpAddress(octets);
}

/**
 * The octets of a client's address: 4 for IPv4, also where it is mapped into IPv6 (RFC 7208 §5), else 16.
 *
 * @returns Undefined for any other text, as the path of a Unix socket.
 */
export function clientAddress(ip: string): Uint8Array | undefined {
  const octets = parseIpAddress(ip);
  return octets === undefined ? undefined : unmapped(octets);
}
