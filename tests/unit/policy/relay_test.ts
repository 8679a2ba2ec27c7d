import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { isInBlock, parseCidr, parseIpAddress } from "../../../lib/policy/cidr.ts";
import { mayRelay, relayBlocks } from "../../../lib/policy/relay.ts";

function contains(block: string, address: string): boolean {
  const parsed = parseCidr(block);
  const octets = parseIpAddress(address);
  assert(parsed !== undefined && octets !== undefined, `${block} ${address}`);
  return isInBlock(octets, parsed);
}

Deno.test("An address is in a block when it has the block's prefix", () => {
  const cases: [string, string, boolean][] = [
    ["192.0.2.0/24", "192.0.2.255", true],
    ["192.0.2.0/24", "192.0.3.0", false],
    ["192.0.2.128/25", "192.0.2.127", false],
    ["192.0.2.128/25", "192.0.2.128", true],
    ["0.0.0.0/0", "203.0.113.9", true],
    ["192.0.2.7", "192.0.2.7", true],
    ["192.0.2.7", "192.0.2.6", false],
    ["2001:db8::/32", "2001:db8:ffff::1", true],
    ["2001:db8::/32", "2001:db9::1", false],
    ["2001:db8::/33", "2001:db8:8000::1", false],
    ["::1", "::1", true],
    ["fe80::/10", "fe80::1%eth0", true],
  ];
  for (const [block, address, isIn] of cases) assertEquals(contains(block, address), isIn, `${address} in ${block}`);
});

Deno.test("An IPv4-mapped address is its IPv4 address, and families never mix", () => {
  assert(contains("192.0.2.0/24", "::ffff:192.0.2.1"));
  assert(contains("192.0.2.0/24", "::FFFF:c000:0201"));
  assert(contains("::ffff:192.0.2.0/120", "192.0.2.1"));
  assertFalse(contains("::/0", "192.0.2.1"));
  assertFalse(contains("::/0", "::ffff:192.0.2.1"));
  assertFalse(contains("0.0.0.0/0", "::1"));
});

Deno.test("What is no block is refused", () => {
  const wrong = [
    ...["", "192.0.2", "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1", "192.0.2.0/24/8", "192.0.2.0/2 4"],
    ...["192.0.02.0/24", "0x7f.0.0.1", "2130706433", " 192.0.2.1", "2001:db8::/129", "2001:db8::1/64", "fe80::1%eth0"],
    ...["::ffff:0:0/95", "localhost", "[::1]", "::1::", "1:2:3:4:5:6:7:8:9"],
  ];
  for (const text of wrong) assertEquals(parseCidr(text), undefined, text);
});

Deno.test("Nobody may relay by default, not even a client on loopback or on a socket", () => {
  for (const client of ["127.0.0.1", "::1", "::ffff:127.0.0.1", undefined]) {
    assertFalse(mayRelay(client, undefined, []));
  }
});

Deno.test("A login or an address of relay_from may relay, everybody else not", () => {
  const blocks = relayBlocks(["192.0.2.0/24", "2001:db8::/32"]);
  assert(mayRelay("203.0.113.1", "alice@example.org", []));
  assert(mayRelay(undefined, "alice@example.org", blocks));
  assert(mayRelay("192.0.2.1", undefined, blocks));
  assert(mayRelay("::ffff:192.0.2.1", undefined, blocks));
  assert(mayRelay("2001:db8::25", undefined, blocks));
  for (const client of ["192.0.3.1", "2001:db9::1", "", "192.0.2.1:25", "mail.example.org", undefined]) {
    assertFalse(mayRelay(client, undefined, blocks), client ?? "socket");
  }
});

Deno.test("Text that is no block cannot become a rule", () => {
  assertThrows(() => relayBlocks(["192.0.2.1/24"]), RangeError, 'Cannot read CIDR block "192.0.2.1/24"');
});
