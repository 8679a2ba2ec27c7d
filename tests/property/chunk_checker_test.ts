import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { ChunkChecker } from "../../lib/smtp/chunk_checker.ts";

/** What is wrong with octets that arrive cut at the given places. */
function check(octets: Uint8Array, cuts: readonly number[]): string {
  const checker = new ChunkChecker();
  const places = cuts.map((cut) => cut % (octets.length + 1)).sort((a, b) => a - b);
  let from = 0;
  for (const to of [...places, octets.length]) {
    checker.push(octets.subarray(from, to));
    from = to;
  }
  checker.end();
  return checker.problem === undefined ? "" : `${checker.problem.kind} ${checker.problem.offset}`;
}

/** The same, slowly and all at once. */
function expected(octets: Uint8Array): string {
  const text = String.fromCharCode(...octets);
  const found = /\r(?!\n)|(?<!\r)\n|\0/.exec(text);
  if (found === null) return "";
  return `${{ "\r": "bareCr", "\n": "bareLf", "\0": "nul" }[found[0]]} ${found.index}`;
}

Deno.test("the first bare CR, bare LF or NUL is found at its place, wherever chunks are cut", () => {
  const tricky = fc.array(fc.constantFrom("\r\n", "\r\n", "\r\n", "a", ".", "\t", "\r", "\n", "\0"), { maxLength: 30 })
    .map((tokens) => new TextEncoder().encode(tokens.join("")));
  const octets = fc.oneof(tricky, fc.uint8Array({ maxLength: 40 }));
  fc.assert(
    fc.property(octets, fc.array(fc.nat(100), { maxLength: 6 }), (octets, cuts) => {
      assertEquals(check(octets, cuts), expected(octets));
    }),
    { numRuns: 20_000 },
  );
});
