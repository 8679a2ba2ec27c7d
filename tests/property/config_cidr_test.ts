import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { isInBlock, parseCidr, parseIpAddress } from "../../lib/policy/cidr.ts";

const v4 = fc.ipV4();
// Mapped addresses are IPv4; the last property has them.
const v6 = fc.ipV6().filter((text) => parseIpAddress(text)?.length === 16);

/** The bits of an address, most significant first. */
function bitsOf(octets: Uint8Array): string {
  return [...octets].map((octet) => octet.toString(2).padStart(8, "0")).join("");
}

function textOf(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join(".");
  return [...octets].map((octet) => octet.toString(16).padStart(2, "0")).join("").replace(/(.{4})(?=.)/g, "$1:");
}

Deno.test("An address is in a block exactly when the first bits are equal", () => {
  fc.assert(fc.property(fc.oneof(v4, v6), fc.nat(128), fc.oneof(v4, v6), (base, bits, other) => {
    const address = parseIpAddress(base);
    const octets = parseIpAddress(other);
    assert(address !== undefined && octets !== undefined);
    const prefixBits = Math.min(bits, address.length * 8);
    const masked = bitsOf(address).slice(0, prefixBits).padEnd(address.length * 8, "0");
    const network = Uint8Array.from(masked.match(/.{8}/g) ?? [], (octet) => parseInt(octet, 2));
    const block = parseCidr(`${textOf(network)}/${prefixBits}`);
    assert(block !== undefined);
    assert(isInBlock(address, block));
    const isEqual = bitsOf(octets).startsWith(masked.slice(0, prefixBits));
    assertEquals(isInBlock(octets, block), octets.length === address.length && isEqual);
  }));
});

Deno.test("Every spelling of an IPv6 address gives the same octets", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (octets) => {
    const long = textOf(octets);
    const short = new URL(`http://[${long}]/`).hostname.slice(1, -1);
    assertEquals(parseIpAddress(short), parseIpAddress(long));
    assertEquals(parseIpAddress(long.toUpperCase()), parseIpAddress(long));
  }));
});

Deno.test("An IPv4 address and its mapped IPv6 spelling give the same octets", () => {
  fc.assert(fc.property(v4, (text) => {
    assertEquals(parseIpAddress(`::ffff:${text}`), parseIpAddress(text));
  }));
});

Deno.test("No text makes the parsers throw", () => {
  fc.assert(fc.property(fc.string(), (text) => {
    parseIpAddress(text);
    parseCidr(text);
  }));
  fc.assert(fc.property(fc.stringMatching(/^[0-9a-f:.\/%]{0,40}$/), (text) => {
    parseIpAddress(text);
    parseCidr(text);
  }));
});
