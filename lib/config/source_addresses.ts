/** The value of `delivery.source` and `routes.source`: which of our own addresses to connect from. */

import type { SourceAddresses } from "../delivery/next_hop.ts";
import { formatIpAddress, parseIpAddress } from "../dns/ip_address.ts";
import { listOf, located, scalar, type Type } from "./schema.ts";
import { quote } from "./source.ts";

const ownAddress: Type<string> = scalar({
  expects: 'an address of this machine such as "192.0.2.7" or "2001:db8::7"',
  parse: (text) => {
    const octets = text.includes("%") ? undefined : parseIpAddress(text);
    return octets?.some((octet) => octet !== 0) ? formatIpAddress(octets) : undefined;
  },
});

const addresses = listOf(located(ownAddress), "addresses", 1);

/** One address of each family at most. */
export const sourceAddresses: Type<SourceAddresses> = {
  expects: addresses.expects,
  read: (node, source, path) => {
    const list = addresses.read(node, source, path);
    if (list === undefined) return undefined;
    const found: { v4?: string; v6?: string } = {};
    for (const { value, at } of list) {
      const family = value.includes(":") ? "v6" : "v4";
      const first = found[family];
      if (first === undefined) found[family] = value;
      else source.report(at, `${path}: expected one address of each family, found ${quote(first)} and ${quote(value)}`);
    }
    return found;
  },
};
