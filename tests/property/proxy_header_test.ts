import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatIpAddress, unmapped } from "../../lib/dns/ip_address.ts";
import { ProxyHeaderParser, type ProxyProgress } from "../../lib/smtp/proxy_header.ts";

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

const encoder = new TextEncoder();
const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 });
const port = fc.nat(65_535);
const addressPair = fc.oneof(fc.tuple(ipv4, ipv4), fc.tuple(ipv6, ipv6));

/** Octets that begin like a header, and octets that do not. */
const octets = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.uint8Array({ maxLength: 200 }).map((rest) => Uint8Array.from([...encoder.encode("PROXY "), ...rest])),
  fc.uint8Array({ maxLength: 200 }).map((rest) => Uint8Array.from([...SIGNATURE, ...rest])),
  fc.tuple(
    fc.constantFrom(0x20, 0x21, 0x22, 0x11),
    fc.constantFrom(0, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32, 0x10, 0xff),
    fc.nat(80),
    fc.uint8Array({ maxLength: 100 }),
  ).map(([command, family, length, rest]) => Uint8Array.from([...SIGNATURE, command, family, 0, length, ...rest])),
  fc.stringMatching(/^PROXY (TCP4|TCP6|UNKNOWN)( [0-9a-f.:]{0,20}){0,5}\r?\nEHLO$/).map((text) => encoder.encode(text)),
);

/** Feeds the pieces until there is a result; `consumed` counts from the first octet. */
function parse(pieces: readonly Uint8Array[]): ProxyProgress {
  const parser = new ProxyHeaderParser();
  let before = 0;
  for (const piece of pieces) {
    const progress = parser.push(piece);
    if (progress.kind === "complete") return { ...progress, consumed: before + progress.consumed };
    if (progress.kind === "invalid") return progress;
    before += piece.length;
  }
  return { kind: "incomplete" };
}

function cutAt(whole: Uint8Array, places: readonly number[]): Uint8Array[] {
  const cuts = [...places.map((place) => place % (whole.length + 1)), 0, whole.length].sort((a, b) => a - b);
  return cuts.slice(1).map((end, i) => whole.subarray(cuts[i], end));
}

Deno.test("A PROXY header gives the same result wherever its octets are cut, and nothing makes the parser throw", () => {
  fc.assert(
    fc.property(octets, fc.array(fc.nat(), { maxLength: 8 }), (whole, places) => {
      const result = parse([whole]);
      assertEquals(parse(cutAt(whole, places)), result);
      assertEquals(parse(Array.from(whole, (octet) => Uint8Array.of(octet))), result);
      if (result.kind === "complete") assert(result.consumed > 0 && result.consumed <= whole.length);
      if (result.kind === "invalid") assert(/^[\x20-\x7e]+$/.test(result.reason));
    }),
    { numRuns: 3000 },
  );
});

Deno.test("Every line of version 1 for TCP names its source, and leaves what follows to the client", () => {
  fc.assert(fc.property(addressPair, port, port, fc.uint8Array(), ([source, destination], from, to, after) => {
    const line = `PROXY TCP${source.length === 4 ? 4 : 6} ${formatIpAddress(source)} ${formatIpAddress(destination)}` +
      ` ${from} ${to}\r\n`;
    const client = { host: formatIpAddress(unmapped(source)), port: from };
    const whole = Uint8Array.from([...encoder.encode(line), ...after]);
    assertEquals(parse([whole]), { kind: "complete", client, consumed: line.length });
    assertEquals(parse([whole.subarray(0, line.length - 1)]), { kind: "incomplete" });
  }));
});

Deno.test("Every header of version 2 for TCP names its source, whatever TLVs follow, and leaves the rest to the client", () => {
  const tlvs = fc.uint8Array({ maxLength: 3000 });
  fc.assert(
    fc.property(addressPair, port, port, tlvs, fc.uint8Array(), ([source, destination], from, to, tlv, after) => {
      const length = source.length * 2 + 4 + tlv.length;
      const header = [
        ...[...SIGNATURE, 0x21, source.length === 4 ? 0x11 : 0x21, length >> 8, length & 0xff],
        ...[...source, ...destination, from >> 8, from & 0xff, to >> 8, to & 0xff, ...tlv],
      ];
      const client = { host: formatIpAddress(unmapped(source)), port: from };
      const whole = Uint8Array.from([...header, ...after]);
      assertEquals(parse([whole]), { kind: "complete", client, consumed: header.length });
      assertEquals(parse([whole.subarray(0, header.length - 1)]), { kind: "incomplete" });
    }),
  );
});

Deno.test("A header of version 2 without a client is complete after the octets it announces", () => {
  const kind = fc.oneof(
    fc.constant([0x21, 0x00]),
    fc.nat(255).map((family) => [0x20, family]), // LOCAL: the family is ignored.
  );
  fc.assert(fc.property(kind, fc.uint8Array({ maxLength: 300 }), fc.uint8Array(), (start, block, after) => {
    const header = [...SIGNATURE, ...start, block.length >> 8, block.length & 0xff, ...block];
    assertEquals(parse([Uint8Array.from([...header, ...after])]), {
      kind: "complete",
      client: undefined,
      consumed: header.length,
    });
  }));
});
