import { assertEquals, assertMatch } from "@std/assert";
import type { Content } from "../../../lib/mail/content.ts";
import { memoryContent } from "../../../lib/mail/content.ts";
import {
  countFields,
  fieldValue,
  formatDate,
  headerFields,
  headerSectionEnd,
  isFieldNamed,
  makeMessageId,
  readHeaderSection,
} from "../../../lib/mail/header.ts";

const encoder = new TextEncoder();
const octetsOf = (text: string): Uint8Array => encoder.encode(text);

function fieldsOf(text: string): [string, string][] {
  const octets = octetsOf(text);
  return [...headerFields(octets)].map((field) => [
    new TextDecoder().decode(octets.subarray(field.start, field.nameEnd)),
    fieldValue(octets, field),
  ]);
}

/** Content that is read in pieces of `size` octets from one buffer, as from a file. */
function piecewise(text: string, size: number, onRead: () => void = () => {}): Content {
  const octets = octetsOf(text);
  return {
    octets: octets.length,
    async *chunks(): AsyncGenerator<Uint8Array> {
      const buffer = new Uint8Array(size);
      for (let at = 0; at < octets.length; at += size) {
        onRead();
        const piece = octets.subarray(at, at + size);
        buffer.fill(0);
        buffer.set(piece);
        yield await Promise.resolve(buffer.subarray(0, piece.length));
      }
    },
  };
}

Deno.test("The header section ends before the empty line", () => {
  assertEquals(headerSectionEnd(octetsOf("A: 1\r\nB: 2\r\n\r\nbody\r\n\r\n")), 12);
  assertEquals(headerSectionEnd(octetsOf("\r\nbody")), 0);
  assertEquals(headerSectionEnd(octetsOf("A: 1\r\n")), undefined);
  assertEquals(headerSectionEnd(octetsOf("")), undefined);
});

Deno.test("Fields are unfolded, and the body holds none", () => {
  assertEquals(fieldsOf("Subject: one\r\n two\r\n\tthree\r\nX:\r\nOld : y \r\n\r\nBody: no\r\n"), [
    ["Subject", "one two\tthree"],
    ["X", ""],
    ["Old", "y"],
  ]);
});

Deno.test("Lines that are no fields are passed over", () => {
  assertEquals(fieldsOf("From alice Mon\r\nA: 1\r\n : 2\r\n: 3\r\nno colon\r\n folded: no\r\nB: 4"), [
    ["A", "1 : 2"],
    ["B", "4"],
  ]);
});

Deno.test("Names compare without case", () => {
  const octets = octetsOf("rEcEiVeD: x\r\nReceived-SPF: pass\r\nRECEIVED: y\r\n\r\nReceived: z\r\n");
  assertEquals(countFields(octets, "received"), 2);
  const first = headerFields(octets).next().value;
  assertEquals(first !== undefined && isFieldNamed(octets, first, "received"), true);
});

Deno.test("Reading the header section of streamed content stops with it, wherever the pieces are cut", async () => {
  const text = "A: 1\r\nB: 2\r\n\r\n" + "x".repeat(1000);
  for (const size of [1, 2, 3, 7, 13, 14, 15, 2000]) {
    let reads = 0;
    const section = await readHeaderSection(piecewise(text, size, () => reads++), 500);
    assertEquals(new TextDecoder().decode(section.octets), "A: 1\r\nB: 2\r\n");
    assertEquals(section.isComplete, true);
    assertEquals(reads, Math.ceil(14 / size));
  }
  assertEquals((await readHeaderSection(memoryContent(octetsOf(text)), 500)).octets.length, 12);
});

Deno.test("A header section beyond the bound is cut after a whole line", async () => {
  const text = "A: 1\r\nB: 22222222\r\n\r\nbody";
  for (const content of [memoryContent(octetsOf(text)), piecewise(text, 4)]) {
    const section = await readHeaderSection(content, 10);
    assertEquals(new TextDecoder().decode(section.octets), "A: 1\r\n");
    assertEquals(section.isComplete, false);
  }
});

Deno.test("A message without an empty line is all header section", async () => {
  for (const content of [memoryContent(octetsOf("A: 1\r\nB: 2")), piecewise("A: 1\r\nB: 2", 4)]) {
    const section = await readHeaderSection(content, 100);
    assertEquals(new TextDecoder().decode(section.octets), "A: 1\r\nB: 2");
    assertEquals(section.isComplete, true);
  }
});

Deno.test("Dates are those of RFC 5322 in UTC", () => {
  assertEquals(formatDate(Date.UTC(2026, 10, 3, 4, 5, 6, 789)), "Tue, 03 Nov 2026 04:05:06 +0000");
});

Deno.test("Message ids differ by time and by chance", () => {
  const random = new Uint8Array([0, 1, 254, 255, 16, 17, 18, 19]);
  const id = makeMessageId(1_800_000_000_000, random, "mail.example.org");
  assertMatch(id, /^<[0-9a-z]+\.0001feff10111213@mail\.example\.org>$/);
});
