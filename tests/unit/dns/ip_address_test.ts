import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { isIPv4 } from "node:net";
import { parseIpAddress } from "../../../lib/dns/ip_address.ts";

Deno.test("A dotted quad is read where node:net knows it for one, and nothing else is", () => {
  const part = fc.oneof(
    fc.nat(300).map(String),
    fc.constantFrom("", "00", "01", "0", "-1", "+1", "1e1", " 1", "1 ", "x"),
  );
  const parts = fc.array(part, { minLength: 3, maxLength: 5 });
  fc.assert(
    fc.property(fc.oneof(parts.map((each) => each.join(".")), fc.ipV4(), fc.string()), (text) => {
      const octets = parseIpAddress(text);
      assertEquals(octets?.length === 4, isIPv4(text), text);
      if (octets?.length === 4) assertEquals(octets.join("."), text);
    }),
    { numRuns: 2_000 },
  );
});
