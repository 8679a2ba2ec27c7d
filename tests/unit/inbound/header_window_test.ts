import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { HeaderWindow, SharedMemory } from "../../../lib/inbound/header_window.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What a window says of content that comes in pieces, cut at some places. */
function look(content: string, cuts: readonly number[] = []): Record<string, unknown> {
  const window = new HeaderWindow(new SharedMemory(1_000_000), 100_000);
  const octets = encoder.encode(content);
  let from = 0;
  for (const to of [...cuts.map((cut) => cut % (octets.length + 1)).sort((a, b) => a - b), octets.length]) {
    window.push(octets.subarray(from, to));
    from = to;
  }
  const { octetCount, fieldCount, isCut } = window;
  return { octetCount, fieldCount, isCut, text: decoder.decode(window.octets()) };
}

Deno.test("A header section ends before the first empty line; continuation lines are no fields", () => {
  const text = "Subject: a\r\n b\r\n\tc\r\nTo: d\r\n";
  assertEquals(look(`${text}\r\nX: body\r\n`), { octetCount: text.length, fieldCount: 2, isCut: false, text });
  assertEquals(look("\r\nX: body\r\n"), { octetCount: 0, fieldCount: 0, isCut: false, text: "" });
  assertEquals(look("A: b\r\nno field"), { octetCount: 14, fieldCount: 2, isCut: false, text: "A: b\r\nno field" });
  assertEquals(look(""), { octetCount: 0, fieldCount: 0, isCut: false, text: "" });
});

Deno.test("A header section is the same wherever it is cut", () => {
  const line = fc.constantFrom("A: b", " c", "\td", "", "e", ":", "\r", "\0");
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), fc.array(fc.nat(100), { maxLength: 8 }), (lines, cuts) => {
      const content = lines.map((text) => `${text}\r\n`).join("");
      const whole = look(content);
      const end = content.startsWith("\r\n") ? 0 : content.indexOf("\r\n\r\n") + 2;
      if (!content.includes("\r\r")) assertEquals(whole["octetCount"], end === 1 ? content.length : end);
      assertEquals(look(content, cuts), whole);
    }),
    { numRuns: 5000 },
  );
});

Deno.test("Of a header section without an end a part is kept, within the memory that all share, and all of it is counted", () => {
  const memory = new SharedMemory(150_000);
  const piece = encoder.encode("Field: value\r\n".repeat(1000));
  const windows = [1, 2].map(() => new HeaderWindow(memory, 100_000));
  for (let i = 0; i < 1000; i++) windows.forEach((window) => window.push(piece));
  for (const { octetCount, fieldCount, isCut } of windows) {
    assertEquals([octetCount, fieldCount, isCut], [14_000_000, 1_000_000, true]);
  }
  assertEquals(windows.map((window) => window.octets().length), [100_000, 65_536]);
  windows[0]?.[Symbol.dispose]();
  assert(memory.reserve(150_000), "the memory is given back");
});

Deno.test("What is behind a header section begins with the empty line, wherever content is cut", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(40), { maxLength: 6 }), (cuts) => {
      const window = new HeaderWindow(new SharedMemory(0), 1000);
      const octets = encoder.encode("A: b\r\n c\r\n\r\nbody\r\n\r\nmore\r\n");
      let rest = "";
      let from = 0;
      for (const to of [...cuts.map((cut) => cut % octets.length).sort((a, b) => a - b), octets.length]) {
        rest += decoder.decode(window.push(octets.subarray(from, to)));
        from = to;
      }
      assertEquals([decoder.decode(window.octets()), rest], ["A: b\r\n c\r\n", "\r\nbody\r\n\r\nmore\r\n"]);
    }),
  );
});

Deno.test("a long header section is kept whole in pieces of any size, also where one ends at the usual size", () => {
  for (const size of [1, 1000, 4096, 65_535, 65_536, 65_537, 200_000]) {
    const window = new HeaderWindow(new SharedMemory(100_000), 100_000);
    const octets = encoder.encode(`X: ${"a".repeat(70_000)}\r\n\r\nbody`);
    for (let from = 0; from < octets.length; from += size) window.push(octets.subarray(from, from + size));
    assertEquals([window.isCut, window.octetCount, window.octets().length], [false, 70_005, 70_005], `${size}`);
  }
});
