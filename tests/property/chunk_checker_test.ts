import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { ChunkChecker } from "../../lib/smtp/chunk_checker.ts";
import type { BareLf } from "../../lib/smtp/content_reader.ts";

interface Checked {
  readonly problem: string;
  readonly content: string;
}

/** What octets that arrive cut at the given places are. */
function check(octets: Uint8Array, cuts: readonly number[], bareLf?: BareLf): Checked {
  const checker = new ChunkChecker(bareLf);
  let content = "";
  const places = cuts.map((cut) => cut % (octets.length + 1)).sort((a, b) => a - b);
  let from = 0;
  for (const to of [...places, octets.length]) {
    checker.push(octets.subarray(from, to), (piece) => content += String.fromCharCode(...piece));
    from = to;
  }
  checker.end();
  const problem = checker.problem === undefined ? "" : `${checker.problem.kind} ${checker.problem.offset}`;
  return { problem, content };
}

/** The same, slowly and all at once. */
function problemOf(text: string, bareLf?: BareLf): string {
  const found = (bareLf === "repair" ? /\r(?!\n)|\0/ : /\r(?!\n)|(?<!\r)\n|\0/).exec(text);
  if (found === null) return "";
  return `${{ "\r": "bareCr", "\n": "bareLf", "\0": "nul" }[found[0]]} ${found.index}`;
}

Deno.test("the first bare CR, bare LF or NUL is found at its place, wherever chunks are cut", () => {
  const tricky = fc.array(fc.constantFrom("\r\n", "\r\n", "\r\n", "a", ".", "\t", "\r", "\n", "\0"), { maxLength: 30 })
    .map((tokens) => new TextEncoder().encode(tokens.join("")));
  const octets = fc.oneof(tricky, fc.uint8Array({ maxLength: 40 }));
  fc.assert(
    fc.property(octets, fc.array(fc.nat(100), { maxLength: 6 }), (octets, cuts) => {
      const text = String.fromCharCode(...octets);
      for (const bareLf of ["refuse", "repair"] as const) {
        const problem = problemOf(text, bareLf);
        const checked = check(octets, cuts, bareLf);
        assertEquals(checked.problem, problem);
        if (problem !== "") continue;
        assertEquals(checked.content, bareLf === "repair" ? text.replace(/\r?\n/g, "\r\n") : text);
      }
    }),
    { numRuns: 20_000 },
  );
});
