/** IP addresses as octets and as text. */

import { isIPv4, isIPv6 } from "node:net";

/** The 4 or 16 octets of an address, without its scope (`%eth0`); undefined for any other text. */
export function parseIpAddress(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (isIPv4(text)) {
    const octets = new Uint8Array(4);
    for (const [index, part] of text.split(".").entries()) octets[index] = Number(part);
    return octets;
  }
  if (!isIPv6(text)) return undefined;
  const [head = [], tail] = text.replace(/%.*$/s, "").split("::").map(groupsOf);
  const octets = new Uint8Array(16);
  octets.set(head);
  if (tail !== undefined) octets.set(tail, 16 - tail.length);
  return octets;
}

/** The octets of colon-separated groups, the last of which may be a dotted quad (RFC 4291 §2.2). */
function groupsOf(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const value = parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

/** The 4 octets of an IPv4 address that is mapped into IPv6 (RFC 4291 §2.5.5.2); any other address as it is. */
export function unmapped(octets: Uint8Array): Uint8Array {
  const isMapped = octets.length === 16 && octets.every((octet, i) => i >= 12 || octet === (i < 10 ? 0 : 0xff));
  return isMapped ? octets.slice(12) : octets;
}

/**
 * What one customer has, as text to count by: an IPv4 address, also where it is mapped into IPv6, or the /64 of an IPv6
 * address (RFC 6177 §2). Text that is no address is itself.
 */
export function networkKey(text: string): string {
  const parsed = parseIpAddress(text);
  if (parsed === undefined) return text;
  const octets = unmapped(parsed);
  if (octets.length === 16) octets.fill(0, 8);
  return formatIpAddress(octets);
}

/** The text of 4 or 16 octets; for IPv6 the one form of RFC 5952 §4. */
export function formatIpAddress(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((octets[2 * i] ?? 0) << 8) | (octets[2 * i + 1] ?? 0));
  let best = { start: 0, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.length < 2) return hex.join(":");
  return `${hex.slice(0, best.start).join(":")}::${hex.slice(best.start + best.length).join(":")}`;
}
