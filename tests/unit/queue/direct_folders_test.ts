import { assert, assertEquals } from "@std/assert";
import { memoryContent } from "../../../lib/mail/content.ts";
import { directDelivery } from "../../../lib/queue/direct_delivery.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { catchLog, outcome, sampleContent, sampleEnvelope } from "../../support/queue_samples.ts";

Deno.test("of recipients that lead to several folders of one mailbox, only those whose folder took it are done", async () => {
  await using log = await catchLog();
  const envelope = sampleEnvelope(["a+broken@here.example", "a@here.example", "a+x@here.example"]);
  const delivered = outcome("delivered", "2.0.0", "delivered to mailbox");
  const direct = directDelivery({
    openMailbox: () => Promise.resolve(undefined),
    route: () => ({ kind: "hop", hop: { kind: "maildir", account: "a@here.example", key: "maildir:a@here.example" } }),
    deliver: ({ recipients }) =>
      Promise.resolve(
        recipients.map(({ address }) => address.includes("broken") ? outcome("delayed", "4.3.0") : delivered),
      ),
    clock: new FakeClock("2026-01-01T00:00:02Z"),
    logger: log.logger,
    signal: new AbortController().signal,
  });
  const result = await direct.deliver({ queueId: "Q1", envelope, content: memoryContent(sampleContent(100)) });
  assert(result.kind === "left");
  assertEquals(result.envelope.recipients.map(({ address }) => address), ["a+broken@here.example"]);
  result.announce();
  assertEquals(log.lines, [
    "Q1: delivered to a@here.example, a+x@here.example via maildir:a@here.example after 2s, status 2.0.0: delivered to mailbox",
  ]);
});
