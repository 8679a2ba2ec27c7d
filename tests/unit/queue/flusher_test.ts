import { assertEquals } from "@std/assert";
import { Flusher } from "../../../lib/queue/flusher.ts";
import type { QueuedMessage } from "../../../lib/queue/spool.ts";
import { initialStates } from "../../../lib/queue/journal.ts";
import type { Envelope } from "../../../lib/mail/envelope.ts";
import { memoryContent } from "../../../lib/mail/content.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { catchLog, outcome, sampleEnvelope } from "../../support/queue_samples.ts";

function queued(queueId: string, ...recipients: string[]): QueuedMessage {
  return queuedAs(queueId, sampleEnvelope(recipients));
}

function queuedAs(queueId: string, envelope: Envelope): QueuedMessage {
  return {
    queueId,
    envelope,
    content: memoryContent(new Uint8Array()),
    recipients: initialStates(envelope),
    isHeld: false,
  };
}

Deno.test("what waits for a domain is tried, with those below it only where they were asked for", async () => {
  const clock = new FakeClock();
  const { logger, lines } = await catchLog();
  const done = queued("done", "a@branch.test");
  for (const state of done.recipients) state.lastOutcome = outcome("delivered", "2.0.0");
  const messages = [
    queued("one", "a@branch.test"),
    queued("two", "a@elsewhere.test", "b@branch.test"),
    queued("below", "a@x.y.branch.test"),
    queued("other", "a@otherbranch.test"),
    queued("literal", "a@[192.0.2.1]"),
    // RFC 4865 §4: nobody but an operator hurries what its sender wants held.
    queuedAs("held", sampleEnvelope(["a@branch.test"], { holdUntil: new Date(clock.now() + 30_000).toISOString() })),
    done,
  ];
  let readings = 0;
  const retried: string[] = [];
  const stop = new AbortController();
  const flusher = new Flusher({
    spool: {
      async *recover(): AsyncGenerator<QueuedMessage> {
        readings++;
        for (const message of messages) yield await Promise.resolve(message);
      },
    },
    clock,
    logger,
    retry: (queueId) => Promise.resolve(retried.push(queueId) > 0),
    stop: stop.signal,
  });
  flusher.flush("branch.test", false);
  await clock.advance(1_000);
  assertEquals(retried.splice(0), ["one", "two"]);
  for (let count = 0; count < 50; count++) flusher.flush("branch.test", true);
  flusher.flush("elsewhere.test", false);
  await clock.advance(58_000);
  assertEquals(readings, 1, "the queue is read once a minute at most");
  await clock.advance(2_000);
  assertEquals(retried.splice(0), ["one", "two", "below", "held"]);
  await clock.advance(600_000);
  assertEquals(readings, 2);
  assertEquals(lines.some((line) => line.includes("Trying 4 message(s) for .branch.test")), true, lines.join("\n"));
  stop.abort();
});
