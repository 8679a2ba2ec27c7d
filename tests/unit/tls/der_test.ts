import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { derElements, derObjectIdentifier } from "../../../lib/tls/der.ts";

function hex(text: string): Uint8Array {
  return Uint8Array.fromHex(text.replaceAll(" ", ""));
}

Deno.test("elements are split by their lengths, short and long", () => {
  assertEquals(derElements(hex("05 00 02 01 07")), [
    { tag: 0x05, content: new Uint8Array() },
    { tag: 0x02, content: Uint8Array.of(7) },
  ]);
  for (const [header, length] of [["04 81 80", 128], ["04 82 01 00", 256], ["04 83 01 00 00", 65_536]] as const) {
    const octets = new Uint8Array([...hex(header), ...new Uint8Array(length)]);
    assertEquals(derElements(octets).map(({ content }) => content.length), [length]);
  }
});

Deno.test("an element that is cut off, has no length, or a tag of several octets is refused", () => {
  for (const broken of ["30", "30 05 00", "30 80 00 00", "30 85 01 00 00 00 00", "1f 81 01 00", "30 82 01"]) {
    assertThrows(() => derElements(hex(broken)), RangeError, "Cannot read DER");
  }
});

Deno.test("object identifiers are read as X.690 §8.19 writes them", () => {
  assertEquals(derObjectIdentifier(hex("2a 86 48 ce 3d 04 03 02")), "1.2.840.10045.4.3.2");
  assertEquals(derObjectIdentifier(hex("55 1d 25")), "2.5.29.37");
  assertEquals(derObjectIdentifier(hex("88 37 03")), "2.999.3");
  assertThrows(() => derObjectIdentifier(hex("2a ff ff ff ff ff ff ff ff 7f")), RangeError);
});

Deno.test("whatever the octets, reading DER ends, and throws nothing but RangeError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (octets) => {
    try {
      derElements(octets).map(({ content }) => derObjectIdentifier(content));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }));
});
