import { assert } from "@std/assert";
import fc from "fast-check";
import { classifyReply, REPLY_RULES } from "../../lib/delivery/reply_classes/classify.ts";

const samples = REPLY_RULES.flatMap((rule) => rule.samples);

/** Text that looks like replies, rich in what patterns begin with, and in repetition. */
const text = fc.array(
  fc.oneof(
    fc.constantFrom(...samples),
    fc.constantFrom(...samples).chain((sample) =>
      fc.nat(sample.length).map((length) => sample.slice(0, length).repeat(1 + Math.floor(1500 / (length + 1))))
    ),
    fc.string({ unit: "binary" }),
    fc.constantFrom("550 ", "421-", "5.7.1", "@", "a@", "\r\n", "\0", "é", " ".repeat(500), "a".repeat(2000)),
  ),
  { maxLength: 6 },
).map((pieces) => pieces.join(""));

Deno.test("any text is classified, and none takes long", () => {
  const known = new Set(REPLY_RULES.map(({ replyClass }) => replyClass));
  let slowestMs = 0;
  fc.assert(
    fc.property(text, fc.constantFrom("", "550 ", "450 4.7.1 "), (rest, codes) => {
      const startMs = performance.now();
      const replyClass = classifyReply(codes + rest);
      slowestMs = Math.max(slowestMs, performance.now() - startMs);
      return replyClass === undefined || known.has(replyClass);
    }),
    { numRuns: 1500 },
  );
  // About 2 ms here; a pattern that tries again and again would take seconds.
  assert(slowestMs < 1000, `${slowestMs} ms`);
});

Deno.test("what repeats itself for a million characters takes no longer than a line", () => {
  for (const sample of samples) {
    const words = sample.split(" ").slice(2, 4).join(" ");
    const startMs = performance.now();
    classifyReply(`550 ${words.repeat(1_000_000 / (words.length + 1))}`);
    const ms = performance.now() - startMs;
    assert(ms < 1000, `${ms} ms for "${words}"`);
  }
});
