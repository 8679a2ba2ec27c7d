import { assert, assertEquals, assertMatch } from "@std/assert";
import { forwarded } from "../../../lib/delivery/forwarded.ts";
import type { DeliveryRequest } from "../../../lib/delivery/target.ts";
import { memoryContent } from "../../../lib/mail/content.ts";
import type { EnvelopeRecipient } from "../../../lib/mail/envelope.ts";
import type { Outcome } from "../../../lib/mail/outcome.ts";
import { LogLines } from "../../support/log_lines.ts";
import { sampleEnvelope } from "../../support/queue_samples.ts";

const TAKEN: Outcome = { action: "relayed", status: "2.0.0", text: "250 taken", isRemoteReply: true, stage: "dot" };
const REFUSED: Outcome = {
  action: "failed",
  status: "5.1.7",
  text: "501 5.1.7 Bad sender address syntax",
  isRemoteReply: true,
  stage: "mail",
};
const SRS = "SRS0=hashhash=AB=sender.example=bob@example.org";
const LONG_SRS = `SRS0=hashhash=AB=sender.example=${"b".repeat(60)}@example.org`;
const MESSAGE = "DKIM-Signature: v=1; a=rsa-sha256; b=abc\r\nSubject:  x\r\n\r\nbare 8-bit \u00e9 text \r\n";

/** Delivers through the wrapper; returns what the target behind it saw. */
async function deliver(
  recipient: Partial<EnvelopeRecipient>,
  options: {
    readonly text?: string;
    readonly arcSeal?: string;
    readonly answer?: (reversePath: string) => Outcome;
  } = {},
): Promise<
  { readonly seen: readonly DeliveryRequest[]; readonly outcomes: readonly Outcome[]; readonly log: string[] }
> {
  const { text = MESSAGE, arcSeal, answer = () => TAKEN } = options;
  const logger = new LogLines();
  const seen: DeliveryRequest[] = [];
  const recipients = ["carol@elsewhere.example", "dave@elsewhere.example"].map((address) => ({
    address,
    ...recipient,
  }));
  const envelope = sampleEnvelope([], {
    reversePath: "bob@sender.example",
    recipients: [{ address: "alice@example.org" }, ...recipients],
    envid: "envelope-1",
    ret: "HDRS",
    ...(arcSeal !== undefined && { arcSeal }),
  });
  const outcomes = await forwarded((request) => {
    seen.push(request);
    return Promise.resolve(request.recipients.map(() => answer(request.envelope.reversePath)));
  }, logger)({
    queueId: "q1",
    envelope,
    content: memoryContent(new TextEncoder().encode(text)),
    hop: { kind: "mx", domain: "elsewhere.example", key: "mx:elsewhere.example" },
    recipients,
    signal: new AbortController().signal,
  });
  return { seen, outcomes, log: logger.lines };
}

Deno.test("a message that nobody forwards is delivered as it is", async () => {
  const { seen: [request] } = await deliver({});
  assertEquals(request?.envelope.reversePath, "bob@sender.example");
  assertMatch(request?.envelope.trace ?? "", /^Received:/);
});

Deno.test("a forwarded message goes with the rewritten sender and a mark in front, and is the same otherwise", async () => {
  const { seen: [request], outcomes } = await deliver({
    reversePath: SRS,
    forwardedBy: "team@example.org",
    notify: ["failure"],
    orcpt: "rfc822;team@example.org",
  });
  assert(request !== undefined);
  assertEquals(request.envelope.reversePath, SRS);
  assertMatch(request.envelope.trace, /^Delivered-To: team@example\.org\r\nReceived:/);
  assertEquals(new TextDecoder().decode(request.content.inMemory), MESSAGE);
  // RFC 3461: what the sender asked for goes along.
  assertEquals([request.envelope.envid, request.envelope.ret], ["envelope-1", "HDRS"]);
  assertEquals(request.recipients.map(({ notify, orcpt }) => [notify, orcpt]), [
    [["failure"], "rfc822;team@example.org"],
    [["failure"], "rfc822;team@example.org"],
  ]);
  assertEquals(outcomes, [TAKEN, TAKEN]);
});

Deno.test("the ARC set of a message stands above all else where it is sent on, and nowhere where it is not", async () => {
  const arcSeal = "ARC-Seal: i=1; cv=none\r\nARC-Message-Signature: i=1\r\nARC-Authentication-Results: i=1; mx\r\n";
  const answer = (reversePath: string): Outcome => reversePath === LONG_SRS ? REFUSED : TAKEN;
  const forward = { reversePath: LONG_SRS, forwardedBy: "team@example.org" };
  const { seen } = await deliver(forward, { arcSeal, answer });
  assertEquals(
    seen.map(({ envelope }) => envelope.trace.startsWith(`${arcSeal}Delivered-To: team@example.org\r\nReceived:`)),
    [true, true],
  );
  for (const recipient of [{}, { reversePath: "owner-list@example.org", list: "member" } as const]) {
    const { seen: [request] } = await deliver(recipient, { arcSeal });
    assertMatch(request?.envelope.trace ?? "", /^Received:/);
  }
});

Deno.test("a member of a list gets the message from the owner, and no mark where nobody forwards", async () => {
  const { seen: [request] } = await deliver({ reversePath: "owner-list@example.org", list: "member" });
  assertEquals(request?.envelope.reversePath, "owner-list@example.org");
  assertMatch(request?.envelope.trace ?? "", /^Received:/);
});

Deno.test("a message that comes back to the address that forwards it fails as a loop", async () => {
  for (const field of ["Delivered-To: team@example.org", "delivered-to:\r\n <Team@Example.org>"]) {
    const text = `Received: from elsewhere\r\n${field}\r\n${MESSAGE}`;
    const { seen, outcomes } = await deliver({ forwardedBy: "team@example.org" }, { text });
    assertEquals(seen, []);
    assertEquals(outcomes.map(({ action, status }) => `${action} ${status}`), ["failed 5.4.6", "failed 5.4.6"]);
  }
});

Deno.test("marks of others, and a mark in the body, are no loop", async () => {
  const text = `Delivered-To: team@example.com\r\nSubject: x\r\n\r\nDelivered-To: team@example.org\r\n`;
  const { seen } = await deliver({ forwardedBy: "team@example.org" }, { text });
  assertEquals(seen.length, 1);
});

Deno.test("a server that refuses the rewritten sender because it is long gets the message from the sender itself", async () => {
  const answer = (reversePath: string): Outcome => reversePath === LONG_SRS ? REFUSED : TAKEN;
  const { seen, outcomes, log } = await deliver({ reversePath: LONG_SRS, forwardedBy: "team@example.org" }, { answer });
  assertEquals(seen.map(({ envelope }) => envelope.reversePath), [LONG_SRS, "bob@sender.example"]);
  assertMatch(seen[1]?.envelope.trace ?? "", /^Delivered-To: team@example\.org\r\nReceived:/);
  assertEquals(outcomes, [TAKEN, TAKEN]);
  assertMatch(
    log.join(),
    /^info: q1: rewritten sender <SRS0=.*> is refused as it is, once more with <bob@sender\.example>/,
  );
});

Deno.test("no other refusal is answered with the sender itself", async () => {
  const once = async (recipient: Partial<EnvelopeRecipient>, outcome: Outcome): Promise<void> => {
    const { seen } = await deliver({ forwardedBy: "team@example.org", ...recipient }, { answer: () => outcome });
    assertEquals(seen.length, 1);
  };
  await once({ reversePath: SRS }, REFUSED);
  await once({ reversePath: LONG_SRS }, { ...REFUSED, stage: "rcpt" });
  await once({ reversePath: LONG_SRS }, { ...REFUSED, action: "delayed", status: "4.1.7" });
  await once({ reversePath: `${"o".repeat(70)}@example.org`, list: "member" }, REFUSED);
});
