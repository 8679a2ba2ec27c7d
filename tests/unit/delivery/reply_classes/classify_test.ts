import { assert, assertEquals } from "@std/assert";
import { classifyReply, findReplyRule, REPLY_RULES } from "../../../../lib/delivery/reply_classes/classify.ts";

const receivers = [...new Set(REPLY_RULES.map(({ receiver }) => receiver))];

for (const receiver of receivers) {
  Deno.test(`each sample reply of ${receiver} is known by its own rule`, () => {
    const wrong: string[] = [];
    for (const rule of REPLY_RULES.filter((one) => one.receiver === receiver)) {
      for (const sample of rule.samples) {
        const found = findReplyRule(sample);
        if (found === rule) continue;
        wrong.push(
          `${sample}\n  is for ${rule.replyClass} ${rule.pattern}\n  but ${found?.receiver} ${found?.pattern}`,
        );
      }
    }
    assertEquals(wrong, []);
  });
}

Deno.test("no rule is without a sample, no sample stands twice, and there are at least 150", () => {
  const samples = REPLY_RULES.flatMap((rule) => rule.samples);
  assertEquals(REPLY_RULES.filter((rule) => rule.samples.length === 0), []);
  assertEquals(samples.filter((sample, at) => samples.indexOf(sample) !== at), []);
  assert(samples.length >= 150, `${samples.length} samples`);
  assertEquals(samples.filter((sample) => !/^[45]\d\d \S/.test(sample)), []);
});

/** Takes out of a pattern what may stand for a repetition but is none. */
function bare(source: string): string {
  return source.replace(/\\./g, "x").replace(/\[[^\]]*\]/g, "x").replace(/\(\?[:=!]/g, "(");
}

Deno.test("no pattern repeats without a bound, or repeats a group", () => {
  const wrong = REPLY_RULES.map(({ pattern }) => pattern).filter((pattern) => {
    const source = bare(pattern.source);
    const bounds = Array.from(source.matchAll(/\{(\d+),?(\d*)\}/g), ([text, from, to]) => {
      return text.endsWith(",}") ? Infinity : Number(to || from);
    });
    return /[*+]|\)\{/.test(source) || bounds.some((most) => most > 300) || pattern.global || pattern.sticky;
  });
  assertEquals(wrong.map(String), []);
});

Deno.test("an address in a reply does not decide what the reply is about", () => {
  assertEquals(
    classifyReply("550 5.1.1 <greylist@spamhaus.example>: Recipient address rejected: User unknown"),
    "unknownUser",
  );
  assertEquals(classifyReply("450 4.2.0 <virus@dkim.example> try later"), undefined);
});

const CODES: readonly (readonly [string, string | undefined])[] = [
  ["550 5.1.1 Nope", "unknownUser"],
  ["550 5.2.2 Nope", "mailboxFull"],
  ["452 4.2.2 Nope", "mailboxFull"],
  ["550 5.2.1 Nope", "inactiveUser"],
  ["554 5.6.0 Nope", "content"],
  ["554 5.7.1 Nope", "policy"],
  ["550 5.7.26 Nope", "authentication"],
  ["550 #5.7.25 Nope", "authentication"],
  ["452 4.5.3 Nope", "rate"],
  ["535 5.7.8 Nope", "relaying"],
  ["550-5.1.1 Nope", "unknownUser"],
  ["552 Nope", "mailboxFull"],
  ["421 Nope", "system"],
  ["550 Nope", undefined],
  ["554 5.0.0 Nope", undefined],
  ["250 2.0.0 User unknown", undefined],
  ["User unknown", undefined],
  ["", undefined],
];

for (const [text, replyClass] of CODES) {
  Deno.test(`"${text}" is classified by its codes as ${replyClass}`, () =>
    assertEquals(classifyReply(text), replyClass));
}
