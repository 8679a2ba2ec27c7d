/** IP addresses as octets and as text. */

import { isIPv6 } from "node:net";

const DOT = 0x2e;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;

/** The 4 or 16 octets of an address, without its scope (`%eth0`); undefined for any other text. */
export function parseIpAddress(text: string): Uint8Array<ArrayBuffer> | undefined {
  const quad = parseDottedQuad(text);
  if (quad !== undefined) return quad;
  if (!isIPv6(text)) return undefined;
  const [head = [], tail] = text.replace(/%.*$/s, "").split("::").map(groupsOf);
  const octets = new Uint8Array(16);
  octets.set(head);
  if (tail !== undefined) octets.set(tail, 16 - tail.length);
  return octets;
}

/** Four numbers up to 255 without leading zeros. Not `isIPv4` of node:net, whose pattern takes ten times as long. */
function parseDottedQuad(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length > 15) return undefined;
  const octets = new Uint8Array(4);
  let [part, value, digits] = [0, 0, 0];
  for (let at = 0; at <= text.length; at++) {
    const code = at < text.length ? text.charCodeAt(at) : DOT;
    if (code === DOT) {
      if (digits === 0 || part > 3) return undefined;
      octets[part++] = value;
      value = digits = 0;
      continue;
    }
    if (code < DIGIT_0 || code > DIGIT_9 || (digits > 0 && value === 0)) return undefined;
    value = value * 10 + code - DIGIT_0;
    digits++;
    if (value > 255) return undefined;
  }
  return part === 4 ? octets : undefined;
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
