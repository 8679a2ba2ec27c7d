import { assert, assertEquals, assertFalse } from "@std/assert";
import {
  formatChange,
  formatMaildirsize,
  isBelievedWhenOver,
  isDefinitionOf,
  parseMaildirsize,
} from "../../../../lib/delivery/quota/maildirsize.ts";

Deno.test("The sum of a quota file is that of its lines, whoever wrote them", () => {
  const text = "2147483648S,100000C\n    31337   12\n2048 1\n-2048 -1\n1000 1      \n+5 +1\n 1  0\n";
  assertEquals(parseMaildirsize(text), {
    definition: { octets: 2_147_483_648, messages: 100_000 },
    usage: { octets: 32_343, messages: 14 },
    lines: 6,
  });
});

Deno.test("A line that is still being written is not looked at", () => {
  assertEquals(parseMaildirsize("0S\n10 1\n20 1\n99")?.usage, { octets: 30, messages: 2 });
});

Deno.test("A quota file without sense is no quota file", () => {
  for (
    const text of [
      "",
      "1000S",
      "1000S\n",
      "1000S\nx\n",
      "1000S\n1\n",
      "1000S\n1 1 1\n",
      "1000S\n\n",
      "1000S\n1 1\n-2 -1\n",
      "1000S\n1 1\n-1 -2\n",
      "1000S\n1.5 1\n",
      "1000S\n\0\0\0 1\n",
      `1000S\n${"9".repeat(30)} 1\n`,
    ]
  ) assertEquals(parseMaildirsize(text), undefined, JSON.stringify(text));
});

Deno.test("The first line tells for which limits the file was made", () => {
  const made = (first: string): ReturnType<typeof parseMaildirsize> => parseMaildirsize(`${first}\n0 0\n`);
  assert(isDefinitionOf({ octets: 1000, messages: 10 }, made("1000S,10C")?.definition));
  assert(isDefinitionOf({ octets: 1000, messages: 10 }, made("10C,1000S")?.definition));
  assert(isDefinitionOf({ octets: 1000 }, made("1000S,0C")?.definition));
  assert(isDefinitionOf({ messages: 10 }, made("10C")?.definition));
  assertFalse(isDefinitionOf({ octets: 1000 }, made("1000S,10C")?.definition));
  for (const first of ["NOQUOTA", "", "1000", "1000S,x", "1000X"]) {
    assertEquals(made(first)?.definition, undefined, first);
    assertEquals(made(first)?.usage, { octets: 0, messages: 0 });
  }
});

Deno.test("A new quota file is what Dovecot would write, with lines of 14 octets as Courier's", () => {
  assertEquals(
    formatMaildirsize({ octets: 1000, messages: 10 }, { octets: 5, messages: 2 }),
    "1000S,10C\n          5 2\n",
  );
  assertEquals(formatMaildirsize({ octets: 1000 }, { octets: 0, messages: 0 }), "1000S\n          0 0\n");
  assertEquals(formatMaildirsize({ messages: 10 }, { octets: 0, messages: 0 }), "10C\n          0 0\n");
  assertEquals(formatChange({ octets: -2048, messages: -1 }), "     -2048 -1\n");
  assertEquals(formatChange({ octets: 123_456_789_012, messages: 1 }), "123456789012 1\n", "longer ones are not cut");
});

Deno.test("That a mailbox is full is believed of a file that has just been made, and of no other", () => {
  assert(isBelievedWhenOver(1, 899_999));
  assertFalse(isBelievedWhenOver(2, 0));
  assertFalse(isBelievedWhenOver(1, 900_000));
});
