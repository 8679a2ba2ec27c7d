import { assertEquals, assertNotEquals } from "@std/assert";
import type { NextHop } from "../../../lib/delivery/next_hop.ts";
import type { EnvelopeRecipient } from "../../../lib/mail/envelope.ts";
import { transactionKey } from "../../../lib/queue/attempt.ts";

const HOP: NextHop = { kind: "mx", domain: "x.example", key: "mx:x.example" };

function keyOf(recipient: Partial<EnvelopeRecipient> = {}): string {
  return transactionKey(HOP, { address: "a@x.example", ...recipient });
}

Deno.test("Recipients of one hop share a transaction but for what stands in front of their content, or for their sender", () => {
  const forwardedBy = "team@here.example";
  const reversePath = "owner@here.example";
  assertEquals(keyOf(), HOP.key);
  assertEquals(keyOf({ forwardedBy }), keyOf({ address: "b@x.example", forwardedBy }));
  const keys = [{}, { forwardedBy }, { forwardedBy: "other@here.example" }, { reversePath }, {
    reversePath,
    forwardedBy,
  }]
    .map(keyOf);
  for (const [at, key] of keys.entries()) for (const other of keys.slice(at + 1)) assertNotEquals(key, other);
});
