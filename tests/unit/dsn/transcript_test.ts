import { assert, assertEquals, assertNotMatch, assertStringIncludes } from "@std/assert";
import { composeDsn } from "../../../lib/dsn/compose.ts";
import type { Outcome, ReplyStage } from "../../../lib/mail/outcome.ts";
import { parseDsn, valueOf } from "./mime.ts";
import { sampleReport } from "./sample.ts";

async function wordsOf(outcome: Partial<Outcome>, recipient: { original?: string } = {}): Promise<string> {
  return parseDsn(await composeDsn(sampleReport({ outcome, recipient }))).words.text;
}

Deno.test("a report shows what was said: host, address, TLS, our command and all lines of the reply", async () => {
  const words = await wordsOf({
    stage: "rcpt",
    remoteAddress: "192.0.2.25:25",
    tls: "TLSv1.3 TLS_AES_256_GCM_SHA384",
    replyLines: ["550-5.1.1 The account that you tried to", "550 5.1.1 reach does not exist."],
  });
  assertStringIncludes(
    words,
    [
      "What was said, for administrators:",
      "mx1.example.net at 192.0.2.25:25, TLSv1.3 TLS_AES_256_GCM_SHA384",
      "  >>> RCPT TO:<bob@example.net>",
      "  <<< 550-5.1.1 The account that you tried to",
      "  <<< 550 5.1.1 reach does not exist.",
      "",
    ].join("\r\n"),
  );
});

const COMMANDS: readonly (readonly [ReplyStage, string])[] = [
  ["greeting", "(connected)"],
  ["hello", "EHLO mail.example.org"],
  ["startTls", "STARTTLS"],
  ["login", "AUTH"],
  ["mail", "MAIL FROM:<alice@example.org>"],
  ["rcpt", "RCPT TO:<bob@example.net>"],
  ["data", "DATA"],
  ["content", "(in the middle of the message)"],
  ["dot", "(end of the message)"],
];

for (const [stage, command] of COMMANDS) {
  Deno.test(`a reply at the stage ${stage} is shown as the answer to ${command}`, async () => {
    assertStringIncludes(await wordsOf({ stage }), `\r\n  >>> ${command}\r\n  <<< 550 5.1.1 No such user\r\n`);
  });
}

Deno.test("the transcript does not tell where an alias leads", async () => {
  assertStringIncludes(await wordsOf({ stage: "rcpt" }, { original: "sales@example.org" }), "\r\n  >>> RCPT\r\n");
});

Deno.test("our own words have no transcript, and neither has a success", async () => {
  assertNotMatch(await wordsOf({ isRemoteReply: false }), /What was said/);
  const success = sampleReport({ kind: "succeeded", outcome: { action: "relayed", status: "2.0.0", stage: "dot" } });
  assertNotMatch(parseDsn(await composeDsn(success)).words.text, /What was said/);
});

Deno.test("a warning has its transcript, too", async () => {
  const { words } = parseDsn(await composeDsn(sampleReport({ kind: "delayed", outcome: { stage: "dot" } })));
  assertStringIncludes(words.text, "  <<< 452 4.2.2 Mailbox full\r\n");
});

Deno.test("what is the same for many recipients is said once, and a long transcript is cut", async () => {
  const report = sampleReport();
  const [one] = report.recipients;
  assert(one !== undefined);
  const outcomes = (at: number): Outcome =>
    at < 60
      ? { ...one.outcome, text: "554 5.7.1 Looks like spam", replyClass: "content", stage: "dot" }
      : { ...one.outcome, text: `550 5.1.1 No user ${at}`, stage: "rcpt" };
  const recipients = Array.from({ length: 100 }, (_, at) => ({
    ...one,
    recipient: { address: `user${at}@example.net` },
    outcome: outcomes(at),
  }));
  const { words, groups } = parseDsn(await composeDsn({ ...report, recipients }));
  assertEquals(words.text.match(/said: 554 5\.7\.1/g)?.length, 1);
  assertEquals(words.text.match(/<<< 554 5\.7\.1/g)?.length, 1);
  assertEquals(words.text.match(/<<< 550 5\.1\.1/g)?.length, 19);
  assertStringIncludes(words.text, "\r\nThere were more.\r\n");
  assertStringIncludes(words.text, "<user58@example.net>\r\n<user59@example.net>\r\n    mx1.example.net said: 554");
  assertEquals(groups.length, 101);
  assertEquals(valueOf(groups[100] ?? [], "final-recipient"), "rfc822; user99@example.net");
});

Deno.test("a hostile reply adds no line of its own to the transcript", async () => {
  const words = await wordsOf({
    stage: "rcpt",
    replyLines: ["550 x\r\n>>> MAIL FROM:<eve@example.com>\r\n\r\nAction: delivered", "550 \u2028y" + "z".repeat(3000)],
  });
  assertNotMatch(words, /^\s*(>>> MAIL|Action:)/m);
});
