import { assertEquals, assertStringIncludes } from "@std/assert";
import { memoryContent } from "../../../lib/mail/content.ts";
import type { Envelope } from "../../../lib/mail/envelope.ts";
import { dsnReporter } from "../../../lib/queue/reporter.ts";
import type { QueuedMessage } from "../../../lib/queue/spool.ts";
import { systemClock } from "../../../lib/system/clock.ts";
import { MemorySpool } from "../../support/memory_spool.ts";

const envelope: Envelope = {
  reversePath: "sales@example.org",
  arrived: "2026-11-23T12:00:00.000Z",
  body: "7BIT",
  smtpUtf8: false,
  trace: "Received: by mx.test\r\n",
  session: { service: "mx" },
  recipients: [{ address: "bob@elsewhere.test" }],
};
const message: QueuedMessage = {
  isHeld: false,
  queueId: "q0",
  envelope,
  content: memoryContent(new TextEncoder().encode("Subject: hi\r\n\r\n")),
  recipients: [{
    index: 0,
    attempts: 1,
    nextAttemptMs: 0,
    lastOutcome: { action: "failed", status: "5.1.1", text: "550 5.1.1 No such user", isRemoteReply: true },
    lastAttemptMs: 0,
    isWarned: false,
    isReported: false,
  }],
};

Deno.test("a sender that we rewrote gets the report under its own name, in To as in the envelope (RFC 3464 §2)", async () => {
  const spool = new MemorySpool();
  const rewritten = "SRS0=hash=GO=sender.test=bob@example.org";
  const reporter = dsnReporter({
    spool,
    clock: systemClock,
    hostname: "mx.test",
    randomOctets: (into) => void crypto.getRandomValues(into),
    expireAfterMs: () => 1000,
    senderBehind: (address) => address === rewritten ? "bob@sender.test" : address,
    expand: (address) => [{ address }],
  });
  const forwarded = { ...message, envelope: { ...envelope, reversePath: rewritten } };
  const report = await reporter.report(forwarded, message.recipients, "failed");
  assertEquals(report?.envelope.recipients, [{ address: "bob@sender.test", notify: "never" }]);
  const text = new TextDecoder().decode(report?.content.inMemory);
  assertStringIncludes(text, "\r\nTo: bob@sender.test\r\n");
});

Deno.test("a sender that is an alias of ours gets the report at the mailboxes it stands for", async () => {
  const spool = new MemorySpool();
  const reporter = dsnReporter({
    spool,
    clock: systemClock,
    hostname: "mx.test",
    randomOctets: (into) => void crypto.getRandomValues(into),
    expireAfterMs: () => 1000,
    expand: (address) =>
      address === "sales@example.org"
        ? [
          { address: "alice@example.org" },
          { address: "carol@other.test", forwardedBy: "sales@example.org" },
        ]
        : [{ address }],
  });
  const report = await reporter.report(message, message.recipients, "failed");
  assertEquals(report?.envelope.reversePath, "");
  assertEquals(report?.envelope.recipients, [
    { address: "alice@example.org", original: "sales@example.org", notify: "never" },
    { address: "carol@other.test", original: "sales@example.org", notify: "never", forwardedBy: "sales@example.org" },
  ]);
  assertStringIncludes(new TextDecoder().decode(report?.content.inMemory), "To: sales@example.org");
});
