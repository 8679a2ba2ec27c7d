import { assertEquals } from "@std/assert";
import { BinaryChecker } from "../../../lib/smtp/binary_checker.ts";

const encoder = new TextEncoder();

const CASES: readonly [string, string, string | undefined][] = [
  ["a binary body", "Subject: x\r\n\r\n\0\n\r\r\n\r", undefined],
  ["an empty header section", "\r\n\n", undefined],
  ["a bare LF in the header section", "A: b\nC: d\r\n\r\n", "bareLf 4"],
  ["an empty line of bare LF", "A: b\r\n\nbody", "bareLf 6"],
  ["an empty line of bare CR", "A: b\r\n\rbody", "bareCr 6"],
  ["CR CR LF in front of the body", "A: b\r\r\n\r\nbody", "bareCr 4"],
  ["a NUL in the header section", "A: \0\r\n\r\n", "nul 3"],
  ["no body, and a CR at the end", "A: b\r\n\r", "bareCr 6"],
  ["nothing", "", undefined],
];

for (const [what, text, expected] of CASES) {
  Deno.test(`binary content with ${what}, in one piece and cut at every octet`, () => {
    const octets = encoder.encode(text);
    for (let cut = 0; cut <= octets.length; cut++) {
      const checker = new BinaryChecker();
      checker.push(octets.subarray(0, cut), () => {});
      checker.push(octets.subarray(cut), () => {});
      checker.end();
      const { problem } = checker;
      assertEquals(problem && `${problem.kind} ${problem.offset}`, expected, `cut at ${cut}`);
    }
  });
}
