import { assert, assertEquals } from "@std/assert";
import type { NextHop, RouteDecision } from "../../../lib/delivery/next_hop.ts";
import type { DeliveryRequest } from "../../../lib/delivery/target.ts";
import { memoryContent } from "../../../lib/mail/content.ts";
import type { Envelope } from "../../../lib/mail/envelope.ts";
import type { Outcome } from "../../../lib/mail/outcome.ts";
import { directDelivery, type DirectResult } from "../../../lib/queue/direct_delivery.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { catchLog, outcome, sampleContent, sampleEnvelope } from "../../support/queue_samples.ts";

const DELIVERED = outcome("delivered", "2.0.0", "delivered to mailbox");

/** `…@here.example` has a mailbox here, but `nobody`; all others are elsewhere. */
function route(address: string): RouteDecision {
  if (address.startsWith("nobody")) return { kind: "refused", status: "5.1.1", text: "No such mailbox" };
  const account = address.replace(/\+[^@]*/, "");
  const hop: NextHop = address.endsWith("@here.example")
    ? { kind: "maildir", account, key: `maildir:${account}` }
    : { kind: "mx", domain: "x.example", key: "mx:x.example" };
  return { kind: "hop", hop };
}

interface Course {
  readonly result: DirectResult;
  readonly requests: readonly DeliveryRequest[];
  readonly lines: readonly string[];
}

async function deliver(
  envelope: Envelope,
  outcomeOf: (account: string) => Outcome = () => DELIVERED,
): Promise<Course> {
  await using log = await catchLog();
  const requests: DeliveryRequest[] = [];
  const direct = directDelivery({
    route,
    openMailbox: () => Promise.resolve(undefined),
    deliver: (request) => {
      requests.push(request);
      const outcome = outcomeOf(request.hop.kind === "maildir" ? request.hop.account : "");
      return Promise.resolve(request.recipients.map(() => outcome));
    },
    clock: new FakeClock("2026-01-01T00:00:02Z"),
    logger: log.logger,
    signal: new AbortController().signal,
  });
  const result = await direct.deliver({ queueId: "Q1", envelope, content: memoryContent(sampleContent(100)) });
  if (result.kind !== "refused") result.announce();
  return { result, requests, lines: [...log.lines] };
}

function left(result: DirectResult): readonly string[] {
  assert(result.kind === "left");
  return result.envelope.recipients.map(({ address }) => address);
}

Deno.test("mail for mailboxes here is written once for each, and says so in the log as the queue does", async () => {
  const { result, requests, lines } = await deliver(
    sampleEnvelope(["a@here.example", "b@here.example", "a+x@here.example"]),
  );
  assertEquals(result.kind, "delivered");
  assertEquals(requests.map(({ recipients }) => recipients.map(({ address }) => address)), [
    ["a@here.example", "a+x@here.example"],
    ["b@here.example"],
  ]);
  assertEquals(lines, [
    "Q1: delivered to a@here.example, a+x@here.example via maildir:a@here.example after 2s, status 2.0.0: delivered to mailbox",
    "Q1: delivered to b@here.example via maildir:b@here.example after 2s, status 2.0.0: delivered to mailbox",
  ]);
});

const FOR_THE_QUEUE: readonly (readonly [string, Envelope])[] = [
  ["a recipient elsewhere", sampleEnvelope(["a@here.example", "b@x.example"])],
  ["a recipient whose mailbox is gone", sampleEnvelope(["a@here.example", "nobody@here.example"])],
  ["a wish to hear of success", {
    ...sampleEnvelope(),
    recipients: [{ address: "a@here.example", notify: ["success"] }],
  }],
  ["an address that was expanded", {
    ...sampleEnvelope(),
    recipients: [{ address: "a@here.example" }, { address: "all@here.example", isExpanded: true }],
  }],
  ["HOLDUNTIL", sampleEnvelope(["a@here.example"], { holdUntil: "2026-01-02T00:00:00.000Z" })],
  ["BY", {
    ...sampleEnvelope(["a@here.example"]),
    deliverBy: { until: "2026-01-02T00:00:00.000Z", mode: "return", isTraced: false },
  }],
  ["seventeen mailboxes", sampleEnvelope(Array.from({ length: 17 }, (_, i) => `u${i}@here.example`))],
];

for (const [what, envelope] of FOR_THE_QUEUE) {
  Deno.test(`a message with ${what} is left to the queue as it is`, async () => {
    const { result, requests } = await deliver(envelope);
    assertEquals(requests, []);
    assertEquals(left(result), envelope.recipients.map(({ address }) => address));
  });
}

Deno.test("where one mailbox cannot be written, only its recipients are left to the queue", async () => {
  const { result, lines } = await deliver(
    sampleEnvelope(["a@here.example", "b@here.example"]),
    (account) => account.startsWith("a") ? outcome("delayed", "4.3.0") : DELIVERED,
  );
  assertEquals(left(result), ["a@here.example"]);
  assertEquals(lines.length, 1, "the queue logs what it tries itself");
});

Deno.test("a message that no mailbox takes is refused, and nobody has to be told later", async () => {
  const full = outcome("failed", "5.2.2", "mailbox full");
  const { result } = await deliver(sampleEnvelope(["a@here.example", "b@here.example"]), () => full);
  assertEquals(result, { kind: "refused", outcome: full });
});

Deno.test("a message that some mailboxes refuse for good goes to the queue for these, which reports", async () => {
  const { result } = await deliver(
    sampleEnvelope(["a@here.example", "b@here.example"]),
    (account) => account.startsWith("a") ? outcome("failed", "5.2.2") : DELIVERED,
  );
  assertEquals(left(result), ["a@here.example"]);
});

Deno.test("a mailbox that throws is left to the queue", async () => {
  const { result } = await deliver(sampleEnvelope(["a@here.example"]), () => {
    throw new Error("surprise");
  });
  assertEquals(left(result), ["a@here.example"]);
});

Deno.test("the members of a list and a recipient of the same mailbox are delivered with reverse-paths of their own", async () => {
  const { requests } = await deliver({
    ...sampleEnvelope(),
    recipients: [{ address: "a@here.example" }, { address: "a+l@here.example", reversePath: "owner@here.example" }],
  });
  assertEquals(requests.map(({ recipients: [first] }) => first?.reversePath), [undefined, "owner@here.example"]);
});
