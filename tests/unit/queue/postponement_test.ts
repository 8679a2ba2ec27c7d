import { assertEquals } from "@std/assert";
import { newDestination } from "../../../lib/queue/destination.ts";
import { postponementOf } from "../../../lib/queue/postponement.ts";
import { outcome } from "../../support/queue_samples.ts";

Deno.test("mail for a closed destination waits for its time, and for a minute more while a probe is under way", () => {
  const reason = outcome("delayed", "4.4.1", "Connection timed out");
  const state = newDestination({ concurrency: 20, initial: 5 });
  state.closure = { untilMs: 90_000, closedMs: 0, isPause: false, sinceMs: 0, reason };
  const waits = [0, 89_999, 90_000, 100_000].map((nowMs) => postponementOf("mx.example.org", state, nowMs).waitMs);
  assertEquals(waits, [90_000, 1, 60_000, 60_000]);
});
