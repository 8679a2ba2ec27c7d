import { assertEquals } from "@std/assert";
import { type Filter, matches } from "../../../../lib/cli/queue/filter.ts";
import { applyEvent, initialStates } from "../../../../lib/queue/journal.ts";
import type { QueuedMessage, SpoolEvent } from "../../../../lib/queue/spool.ts";
import { memoryContent } from "../../../../lib/mail/content.ts";
import { sampleEnvelope } from "../../../support/queue_samples.ts";

const NOW = Date.parse("2026-01-01T05:00:00Z");

function attempt(
  index: number,
  action: "delayed" | "failed" | "relayed",
  text: string,
  replyClass?: "greylisting",
): SpoolEvent {
  const status = action === "delayed" ? "4.0.0" : action === "failed" ? "5.0.0" : "2.0.0";
  return {
    event: "attempt",
    at: "2026-01-01T00:01:00.000Z",
    recipients: [index],
    outcome: { action, status, text, isRemoteReply: true, ...(replyClass && { replyClass }) },
    ...(action === "delayed" && { nextAttempt: "2026-01-01T06:00:00.000Z" }),
  };
}

/** Five hours old, from alice@example.net: bob is greylisted, eve failed, dan was relayed. */
function message(isHeld = false, reversePath = "Alice@example.net"): QueuedMessage {
  const envelope = sampleEnvelope(["Bob@x.example", "eve@a.y.example", "dan@z.example"], { reversePath });
  const made: QueuedMessage = {
    queueId: "2tb1k9q7x0m2had4",
    envelope,
    content: memoryContent(new Uint8Array(10)),
    recipients: initialStates(envelope),
    isHeld,
  };
  applyEvent(made, attempt(0, "delayed", "451 4.7.1 Greylisted, come back", "greylisting"));
  applyEvent(made, attempt(1, "failed", "550 5.1.1 No such user"));
  applyEvent(made, attempt(2, "relayed", "250 2.0.0 Fine"));
  return made;
}

const destinationOf = (address: string): string | undefined => address.endsWith("@x.example") ? "google" : undefined;

const cases: readonly [filter: Filter, isMatch: boolean][] = [
  [{}, true],
  [{ domain: "x.example" }, true],
  [{ domain: "example" }, false],
  [{ domain: "*.y.example" }, true],
  [{ domain: "*.a.y.example" }, false],
  [{ recipient: "bob@x.example" }, true],
  [{ recipient: "@z.example" }, true],
  [{ recipient: "ob@x.example" }, false],
  [{ sender: "alice@EXAMPLE.net" }, true],
  [{ sender: "@example.net" }, true],
  [{ sender: "" }, false],
  [{ state: "waiting" }, true],
  [{ state: "held" }, false],
  [{ state: "failed" }, true],
  [{ state: "delivered" }, false],
  [{ state: "failed", domain: "x.example" }, false],
  [{ state: "failed", domain: "a.y.example" }, true],
  [{ reply: "greyLISTED" }, true],
  [{ reply: "greylisted", domain: "z.example" }, false],
  [{ replyClass: "greylisting" }, true],
  [{ replyClass: "block" }, false],
  [{ destination: "Google" }, true],
  [{ destination: "google", state: "failed" }, false],
  [{ destination: "outlook" }, false],
  [{ olderThanMs: 4 * 3_600_000 }, true],
  [{ olderThanMs: 6 * 3_600_000 }, false],
  [{ newerThanMs: 6 * 3_600_000 }, true],
  [{ newerThanMs: 4 * 3_600_000 }, false],
];
for (const [filter, isMatch] of cases) {
  Deno.test(`${JSON.stringify(filter)} ${isMatch ? "takes" : "does not take"} the message`, () => {
    assertEquals(matches(message(), filter, NOW, destinationOf), isMatch);
  });
}

Deno.test("a held message is held, not waiting; its recipients that failed have failed all the same", () => {
  const states = ["held", "waiting", "failed"] as const;
  assertEquals(states.map((state) => matches(message(true), { state }, NOW, destinationOf)), [true, false, true]);
});

Deno.test("the null reverse-path is found by its empty text, and by no domain", () => {
  assertEquals(matches(message(false, ""), { sender: "" }, NOW, destinationOf), true);
  assertEquals(matches(message(false, ""), { sender: "@example.net" }, NOW, destinationOf), false);
});
