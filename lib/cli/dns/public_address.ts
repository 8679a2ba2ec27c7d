/** Which addresses of this machine others can reach. */

import { parseCidr } from "../../policy/cidr.ts";
import { isListed } from "../../policy/relay.ts";
import { formatIpAddress, parseIpAddress, unmapped } from "../../dns/ip_address.ts";

/** Blocks that are not routed in public (RFC 6890 §2.2), and what is no address of one host. */
const NOT_PUBLIC = [
  ..."0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 224.0.0.0/3".split(
    " ",
  ),
  ..."::/3 4000::/2 8000::/1".split(" "),
].flatMap((text) => parseCidr(text) ?? []);

/** The public ones of some addresses, each once and in its usual spelling, IPv4 first. */
export function publicAddresses(addresses: readonly string[]): readonly string[] {
  const spelled = addresses.flatMap((text) => {
    const octets = parseIpAddress(text);
    return octets === undefined ? [] : [formatIpAddress(unmapped(octets))];
  });
  const all = [...new Set(spelled)].filter((address) => !isListed(address, NOT_PUBLIC));
  return [...all.filter((address) => !address.includes(":")), ...all.filter((address) => address.includes(":"))];
}
