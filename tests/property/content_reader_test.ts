import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { type BareLf, ContentReader } from "../../lib/smtp/content_reader.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

interface Result {
  readonly content: string;
  readonly used: number;
  readonly isDone: boolean;
  readonly problem: string;
}

/** Reads `wire` cut at the given places. */
function read(wire: Uint8Array, cuts: readonly number[], bareLf?: BareLf): Result {
  const reader = new ContentReader(bareLf);
  let content = "";
  let used = 0;
  const places = [...new Set(cuts.map((cut) => cut % (wire.length + 1)))].sort((a, b) => a - b);
  let from = 0;
  for (const to of [...places, wire.length]) {
    used += reader.push(wire.slice(from, to), (octets) => content += decoder.decode(octets));
    from = to;
    if (reader.isDone) break;
  }
  const problem = reader.problem === undefined ? "" : `${reader.problem.kind} ${reader.problem.offset}`;
  return { content, used, isDone: reader.isDone, problem };
}

const cuts = fc.array(fc.nat(200), { maxLength: 6 });

Deno.test("content comes out the same wherever TCP cuts the stream", () => {
  const octet = fc.constantFrom(...encoder.encode("\r\n.a\0\r\n.\r\n"));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.array(octet, { maxLength: 60 }), cuts, (noise, tricky, cuts) => {
      for (const wire of [noise, Uint8Array.from(tricky)]) {
        const whole = read(wire, []);
        const cut = read(wire, cuts);
        if (whole.problem === "") assertEquals(cut, whole);
        else assertEquals({ ...cut, content: "" }, { ...whole, content: "" });
      }
    }),
    { numRuns: 5000 },
  );
});

Deno.test("content that was dot-stuffed comes out as it was", () => {
  const line = fc.stringMatching(/^[.a-z ]{0,12}$/);
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), cuts, fc.string({ maxLength: 5 }), (lines, cuts, after) => {
      const content = lines.map((line) => `${line}\r\n`).join("");
      const stuffed = lines.map((line) => `${line.startsWith(".") ? "." : ""}${line}\r\n`).join("");
      const wire = encoder.encode(`${stuffed}.\r\n${after}`);
      assertEquals(read(wire, cuts), {
        content,
        used: stuffed.length + 3,
        isDone: true,
        problem: "",
      });
    }),
    { numRuns: 5000 },
  );
});

Deno.test("no combination of CR and LF around a dot but CRLF.CRLF ends the content", () => {
  const ends = ["\r\n", "\n", "\r", "\r\r\n", "\n\n", "\r\r", "\0\r\n", "\n\r"];
  for (const before of ends) {
    for (const after of ends) {
      const smuggled = `line${before}.${after}MAIL FROM:<evil@example.org>\r\n`;
      const wire = encoder.encode(`${smuggled}end\r\n.\r\n`);
      const result = read(wire, []);
      if (before.endsWith("\r\n") && after === "\r\n") continue;
      assertEquals(result.used, wire.length, JSON.stringify([before, after]));
      assertEquals(result.isDone, true);
      assertEquals(result.problem === "", false, JSON.stringify([before, after]));
      for (let i = 0; i <= wire.length; i++) assertEquals(read(wire, [i]).problem, result.problem);
    }
  }
});

Deno.test("the problem names the octet that is wrong", () => {
  const problem = (text: string): string => read(encoder.encode(text), []).problem;
  assertEquals(problem("ab\ncd\r\n.\r\n"), "bareLf 2");
  assertEquals(problem("ab\rcd\r\n.\r\n"), "bareCr 2");
  assertEquals(problem("a\0b\r\n.\r\n"), "nul 1");
  assertEquals(problem("a\r\n.\rb\r\n.\r\n"), "bareCr 4");
  assertEquals(problem("\n.\r\n"), "bareLf 0");
});

Deno.test("a repaired LF is a line end, and the dot behind it was stuffed; only CRLF.CRLF ends the content", () => {
  const content = (text: string): string => {
    const wire = encoder.encode(`${text}\r\n.\r\nQUIT\r\n`);
    const { content, isDone, used, problem } = read(wire, [], "repair");
    assertEquals([isDone, used, problem], [true, wire.length - 6, ""], JSON.stringify(text));
    for (let i = 0; i <= wire.length; i++) assertEquals(read(wire, [i], "repair").content, content);
    return content;
  };
  assertEquals(content("a\nb"), "a\r\nb\r\n");
  assertEquals(content("\n\n"), "\r\n\r\n\r\n");
  assertEquals(content("a\n..b\n.c"), "a\r\n.b\r\nc\r\n");
  assertEquals(content("a\n.\nb"), "a\r\n\r\nb\r\n");
  assertEquals(content("a\n.\r\nb"), "a\r\n\r\nb\r\n");
  assertEquals(content("a\r\n.\nb"), "a\r\n\r\nb\r\n");
  assertEquals(content(".\nb"), "\r\nb\r\n");
  assertEquals(content("\n\r\n..\n"), "\r\n\r\n.\r\n\r\n");
  const problem = (text: string): string => read(encoder.encode(text), [], "repair").problem;
  assertEquals(problem("a\nb\rc\r\n.\r\n"), "bareCr 3");
  assertEquals(problem("a\r\n.\rb\r\n.\r\n"), "bareCr 4");
  assertEquals(problem("a\n\0\r\n.\r\n"), "nul 2");
});
