import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { explain } from "../../../lib/dsn/explain.ts";
import { replyHint } from "../../../lib/dsn/reply_hints.ts";
import { BY_CLASS } from "../../../lib/dsn/class_meaning.ts";
import type { Outcome, ReplyClass } from "../../../lib/mail/outcome.ts";
import { REPLY_RULES } from "../../../lib/delivery/reply_classes/classify.ts";

function refused(text: string, replyClass?: ReplyClass): Outcome {
  const more = replyClass === undefined ? {} : { replyClass };
  return { action: "failed", status: "5.7.1", text, isRemoteReply: true, ...more };
}

Deno.test("a block by a public list names the list and where to be taken off it", () => {
  const text = "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org";
  const { meaning, advice, forAdmin = "" } = explain(refused(text, "block"), "5.7.1");
  assertMatch(meaning, /block list/);
  assertMatch(advice, /your own mail administrator/);
  assertStringIncludes(forAdmin, "Spamhaus: look up and remove at https://check.spamhaus.org/");
});

const HINTS: readonly (readonly [string, string | undefined])[] = [
  [
    "550 5.7.1 blocked using rbl.example.net; see https://rbl.example.net/why?ip=192.0.2.1.",
    "The list is rbl.example.net; the reply points to https://rbl.example.net/why?ip=192.0.2.1",
  ],
  ["550 5.7.1 Rejected, listed in bl.example.net", "The list is bl.example.net."],
  ["550 5.7.1 blacklisted: http://example.net/x", "The reply names no list; the reply points to http://example.net/x"],
  ["550 5.7.1 You are blacklisted", undefined],
  ["550 javascript:alert(1) ftp://example.net/x", undefined],
];

for (const [text, hint] of HINTS) {
  Deno.test(`for "${text}" an administrator reads ${hint ?? "nothing more"}`, () => {
    assertEquals(replyHint(text, true), hint);
  });
}

Deno.test("the big receivers have a hint of their own", () => {
  const hints: Readonly<Record<string, RegExp>> = {
    "550 5.7.26 Your email has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate with either SPF or DKIM. - gsmtp":
      /Google wants SPF or DKIM to pass.*DMARC/,
    "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140).":
      /Microsoft.*olcsupport\.office\.com/,
    "550 5.7.606 Access denied, banned sending IP [192.0.2.1].": /sender\.office\.com/,
    "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred": /senders\.yahooinc\.com/,
    "554 IP=192.0.2.1 - None/bad reputation. Ask your postmaster for help or to contact tobr@rx.t-online.de":
      /T-Online/,
  };
  for (const [text, hint] of Object.entries(hints)) assertMatch(replyHint(text, true) ?? "", hint);
});

Deno.test("a code that says more than the class is explained, and a class that says more than the code", () => {
  assertMatch(explain(refused("550 5.7.26 x", "authentication"), "5.7.26").meaning, /SPF, DKIM, DMARC/);
  assertMatch(explain(refused("550 5.1.1 x", "block"), "5.1.1").meaning, /block list/);
  assertMatch(explain(refused("550 5.7.1 x", "unknownUser"), "5.7.1").meaning, /no mailbox of this name/);
  assertMatch(explain(refused("550 5.1.10 x"), "5.1.10").meaning, /takes no mail/);
});

Deno.test("where the time was over, the last reply is explained too", () => {
  const { meaning, advice } = explain(refused("452 4.2.2 Over quota", "mailboxFull"), "4.4.7");
  assertEquals(
    meaning,
    "The message could not be delivered within the time allowed. The last reply: the mailbox is full.",
  );
  assertMatch(advice, /again later/);
});

Deno.test("every sample reply is explained in a few whole sentences", () => {
  for (const { samples, replyClass } of REPLY_RULES) {
    for (const text of samples) {
      const { meaning, advice, forAdmin = "." } = explain(refused(text, replyClass), "5.0.0");
      for (const words of [meaning, advice]) assert(/^[A-Z].{15,250}\.$/.test(words), words);
      assert(forAdmin.length < 450, forAdmin);
    }
  }
  assertEquals(new Set(REPLY_RULES.map((rule) => rule.replyClass)).size, Object.keys(BY_CLASS).length);
});
