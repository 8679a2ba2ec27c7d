import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { LfConverter } from "../../../lib/delivery/line_endings.ts";
import { withCrlf } from "../../support/crlf.ts";

const encoder = new TextEncoder();

/** Converts content that comes in these pieces. */
function converted(pieces: readonly Uint8Array[]): Uint8Array {
  const converter = new LfConverter();
  const into = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 1));
  let at = 0;
  for (const piece of pieces) {
    const room = into.subarray(0, at + piece.length + 1);
    at = converter.convert(piece, room, at);
  }
  return Uint8Array.from([...into.subarray(0, at), ...converter.end()]);
}

/** Lines of any octets but CR and LF; the last one may lack its CRLF. */
const content = fc.tuple(
  fc.array(fc.uint8Array({ maxLength: 12 }).map((line) => line.filter((octet) => octet !== 10 && octet !== 13))),
  fc.boolean(),
).map(([lines, isEnded]) => {
  const octets = lines.flatMap((line) => [...line, 13, 10]);
  return Uint8Array.from(isEnded ? octets : octets.slice(0, -2));
});

function cut(octets: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = cuts.map((place) => place % (octets.length + 1)).sort((a, b) => a - b);
  return [...places, octets.length].map((end, index) => octets.subarray(places[index - 1] ?? 0, end));
}

Deno.test("Content of ours, cut anywhere, loses its CRs and nothing else, and comes back octet for octet", () => {
  fc.assert(fc.property(content, fc.array(fc.nat(), { maxLength: 8 }), (octets, cuts) => {
    const file = converted(cut(octets, cuts));
    assert(!file.includes(13));
    assertEquals(file.length, octets.length - octets.filter((octet) => octet === 13).length);
    assertEquals(withCrlf(file), octets);
  }));
});

Deno.test("Any octets, cut anywhere, are converted as if they came at once", () => {
  const anyOctets = fc.array(fc.constantFrom(13, 10, 65, 0), { maxLength: 30 }).map((octets) =>
    Uint8Array.from(octets)
  );
  fc.assert(fc.property(anyOctets, fc.array(fc.nat(), { maxLength: 8 }), (octets, cuts) => {
    const expected = new TextDecoder("latin1").decode(octets).replaceAll("\r\n", "\n");
    assertEquals(new TextDecoder("latin1").decode(converted(cut(octets, cuts))), expected);
  }));
});

Deno.test("A CR that stands alone stays, also at the very end", () => {
  for (const text of ["a\rb", "\r", "\r\r", "a\r", "\r\ra"]) {
    assertEquals(converted([encoder.encode(text)]), encoder.encode(text));
    assertEquals(converted([...encoder.encode(text)].map((octet) => Uint8Array.of(octet))), encoder.encode(text));
  }
});
