/** Sizes as people read them. */

const UNITS: readonly (readonly [name: string, octets: number])[] = [
  ["GiB", 2 ** 30],
  ["MiB", 2 ** 20],
  ["KiB", 2 ** 10],
];

/** Formats a size in the largest unit that it fills, with two digits behind the point at most: `1.5 GiB`, `300 octets`. */
export function formatOctets(octets: number): string {
  for (const [name, unit] of UNITS) {
    if (octets >= unit) return `${Math.floor(octets * 100 / unit) / 100} ${name}`;
  }
  return octets === 1 ? "1 octet" : `${octets} octets`;
}

/** Formats a number of messages: `12 messages`. */
export function formatMessages(messages: number): string {
  return messages === 1 ? "1 message" : `${messages} messages`;
}
