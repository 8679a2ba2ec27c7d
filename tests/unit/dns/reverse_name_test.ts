import { assertEquals, assertThrows } from "@std/assert";
import { formatIpAddress, networkKey, parseIpAddress } from "../../../lib/dns/ip_address.ts";
import { reverseName } from "../../../lib/dns/reverse_name.ts";

Deno.test("An address becomes its name below in-addr.arpa or ip6.arpa", () => {
  assertEquals(reverseName("192.0.2.1"), "1.2.0.192.in-addr.arpa");
  assertEquals(reverseName("::ffff:192.0.2.1"), "1.2.0.192.in-addr.arpa");
  // The example of RFC 3596 §2.5.
  assertEquals(
    reverseName("4321:0:1:2:3:4:567:89ab"),
    "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa",
  );
  assertEquals(reverseName("fe80::1%eth0"), `1.${"0.".repeat(28)}8.e.f.ip6.arpa`);
  assertThrows(() => reverseName("mx.example.org"), RangeError, 'reverse name of "mx.example.org": not an IP address');
});

Deno.test("IPv6 addresses are written in the one form of RFC 5952", () => {
  const forms = {
    "2001:0DB8:0:0:0:0:0:1": "2001:db8::1",
    "2001:db8:0:1:1:1:1:1": "2001:db8:0:1:1:1:1:1",
    "2001:0:0:1:0:0:0:1": "2001:0:0:1::1",
    "2001:db8:0:0:1:0:0:1": "2001:db8::1:0:0:1",
    "::": "::",
    "1::": "1::",
    "::1": "::1",
    "::ffff:192.0.2.1": "::ffff:c000:201",
    "192.0.2.1": "192.0.2.1",
  };
  for (const [text, form] of Object.entries(forms)) {
    assertEquals(formatIpAddress(parseIpAddress(text) ?? new Uint8Array()), form);
  }
  for (const text of ["", "1.2.3", "::1::", "example", "[::1]"]) assertEquals(parseIpAddress(text), undefined);
});

Deno.test("an IPv4 address counts by itself, an IPv6 address by its /64", () => {
  assertEquals(networkKey("192.0.2.1"), "192.0.2.1");
  assertEquals(networkKey("::ffff:192.0.2.1"), "192.0.2.1");
  assertEquals(networkKey("2001:DB8:0:0:ffff::2"), networkKey("2001:db8::1"));
  assertEquals(networkKey("2001:db8:0:1::1"), "2001:db8:0:1::");
  assertEquals(networkKey("fe80::1%eth0"), "fe80::");
  assertEquals(networkKey("unix"), "unix");
});
