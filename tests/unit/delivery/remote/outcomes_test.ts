import { assertEquals } from "@std/assert";
import { refusalOutcome, replyOutcome } from "../../../../lib/delivery/remote/outcomes.ts";
import type { ReplyStage } from "../../../../lib/mail/outcome.ts";
import type { Reply } from "../../../../lib/smtp/reply.ts";

const peer = { host: { name: "mx1.example.net", address: { host: "192.0.2.25", port: 25 } } };

function reply(text: string): Reply {
  const [, code = "", enhanced, line = ""] = /^(\d{3}) (?:([245]\.\d\.\d{1,3}) )?(.*)$/.exec(text) ?? [];
  return { code: Number(code), ...(enhanced === undefined ? {} : { enhanced }), lines: [line] };
}

Deno.test("a refused recipient has the stage, the class and the lines of the reply", () => {
  const said: Reply = {
    code: 550,
    enhanced: "5.1.1",
    lines: ["The email account that you tried to", "reach does not exist."],
  };
  assertEquals(replyOutcome({ stage: "rcpt", reply: said }, "relayed", peer), {
    action: "failed",
    status: "5.1.1",
    text: "550 5.1.1 The email account that you tried to reach does not exist.",
    isRemoteReply: true,
    remoteMta: "mx1.example.net",
    remoteAddress: "192.0.2.25:25",
    stage: "rcpt",
    replyLines: ["550-5.1.1 The email account that you tried to", "550 5.1.1 reach does not exist."],
    replyClass: "unknownUser",
  });
});

Deno.test("a success has neither class nor transcript", () => {
  const outcome = replyOutcome(
    { stage: "dot", reply: reply("250 2.0.0 queued, try again later, spam") },
    "relayed",
    peer,
  );
  assertEquals([outcome.action, outcome.replyClass, outcome.stage], ["relayed", undefined, undefined]);
});

Deno.test("an endless reply is kept with 20 lines of 500 characters, without control characters", () => {
  const lines = Array.from({ length: 100 }, () => "x\u0007\ty".repeat(400));
  const { replyLines = [] } = refusalOutcome({ code: 450, lines }, peer, "mail");
  assertEquals([replyLines.length, replyLines[0]?.length], [20, 500]);
  assertEquals(replyLines.some((line) => /\p{Cc}/u.test(line)), false);
});

Deno.test("552 to RCPT is transient, unless it says that the mailbox is full", () => {
  const actions = [
    "552 Too many recipients",
    "552 5.5.3 Too many",
    "552 5.2.2 Quota exceeded (mailbox for user is full)",
  ]
    .map((text) => replyOutcome({ stage: "rcpt", reply: reply(text) }, "delivered", peer))
    .map(({ action, status }) => `${action} ${status}`);
  assertEquals(actions, ["delayed 4.0.0", "delayed 4.5.3", "failed 5.2.2"]);
});

const PUSHBACK: readonly (readonly [string, ReplyStage, boolean])[] = [
  ["421 4.3.2 closing", "rcpt", true],
  ["421 4.7.1 Greylisting in action", "rcpt", false],
  ["450 4.7.1 Error: too much mail from 192.0.2.1", "mail", true],
  ["450 4.2.1 Mailbox busy", "rcpt", false],
  ["450 4.7.1 Greylisted", "rcpt", false],
  ["452 4.2.2 Over quota", "rcpt", false],
  ["451 4.7.850 Access denied, please try again later", "mail", false],
  ["451 4.3.0 Not now", "greeting", true],
  ["450 4.3.0 Not now", "hello", true],
  ["554 5.7.1 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1", "greeting", true],
  ["554 5.3.2 No SMTP here", "greeting", true],
  ["550 5.7.1 Your name is not welcome", "hello", false],
];

for (const [text, stage, isPushback] of PUSHBACK) {
  Deno.test(`"${text}" at the stage ${stage} ${isPushback ? "asks for less mail" : "is about this message only"}`, () => {
    assertEquals(refusalOutcome(reply(text), peer, stage).destination, isPushback ? "pushback" : undefined);
  });
}

Deno.test("a permanent refusal says nothing about the destination", () => {
  const outcome = replyOutcome(
    { stage: "rcpt", reply: reply("550 5.7.0 Too many messages, slow down") },
    "relayed",
    peer,
  );
  assertEquals([outcome.action, outcome.replyClass, outcome.destination], ["failed", "rate", undefined]);
});
