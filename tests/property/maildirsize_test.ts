/** The quota file of Maildir++: what programs and accidents may make of it. */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { formatChange, formatMaildirsize, parseMaildirsize } from "../../lib/delivery/quota/maildirsize.ts";

const count = fc.integer({ min: -1_000_000_000, max: 1_000_000_000 });

Deno.test("no text makes the parser throw, and no sum of it is below 0", () => {
  const text = fc.oneof(
    fc.string(),
    fc.array(fc.constantFrom("0", "9", "-", "+", " ", "\t", "\n", "S", "C", ",", "\0", "\r", "x")).map((parts) =>
      parts.join("")
    ),
  );
  fc.assert(fc.property(text, (text) => {
    const { usage } = parseMaildirsize(text) ?? { usage: { octets: 0, messages: 0 } };
    assertEquals(usage.octets >= 0 && usage.messages >= 0, true);
  }));
});

Deno.test("the sum is right for any mix of lines, padded or not", () => {
  const line = fc.tuple(count, count, fc.constantFrom("", " ", "   "), fc.constantFrom(" ", "  ", "\t"));
  fc.assert(fc.property(fc.array(line, { minLength: 1, maxLength: 300 }), (lines) => {
    const text = `1000S\n${
      lines.map(([octets, messages, pad, gap], index) =>
        index % 2 === 0 ? `${pad}${octets}${gap}${messages}${pad}\n` : formatChange({ octets, messages })
      ).join("")
    }`;
    const octets = lines.reduce((sum, [octets]) => sum + octets, 0);
    const messages = lines.reduce((sum, [, messages]) => sum + messages, 0);
    const expected = octets < 0 || messages < 0
      ? undefined
      : { definition: { octets: 1000, messages: 0 }, usage: { octets, messages }, lines: lines.length };
    assertEquals(parseMaildirsize(text), expected);
  }));
});

Deno.test("what is written is read", () => {
  const natural = fc.integer({ min: 0, max: 2 ** 45 });
  fc.assert(fc.property(natural, natural, natural, natural, (octets, messages, used, held) => {
    assertEquals(parseMaildirsize(formatMaildirsize({ octets, messages }, { octets: used, messages: held })), {
      definition: { octets, messages },
      usage: { octets: used, messages: held },
      lines: 1,
    });
  }));
});
