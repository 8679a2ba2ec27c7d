/** The octets of a message as they were sent, from a file in which its lines end with LF alone. */

const CR = 0x0d;
const LF = 0x0a;

/** Puts a CR in front of each LF that has none. What has CRLF already stays as it is. */
export function withCrlf(octets: Uint8Array): Uint8Array<ArrayBuffer> {
  let missing = 0;
  for (let at = octets.indexOf(LF); at >= 0; at = octets.indexOf(LF, at + 1)) if (octets[at - 1] !== CR) missing++;
  const result = new Uint8Array(octets.length + missing);
  let to = 0;
  for (let from = 0; from < octets.length; from++) {
    const octet = octets[from] as number;
    if (octet === LF && octets[from - 1] !== CR) result[to++] = CR;
    result[to++] = octet;
  }
  return result;
}
