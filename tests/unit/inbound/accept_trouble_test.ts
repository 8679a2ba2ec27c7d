import { assertEquals, assertMatch } from "@std/assert";
import { AcceptTrouble } from "../../../lib/inbound/accept_trouble.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { catchLog } from "../../support/queue_samples.ts";

Deno.test("connections that cannot be accepted for long are told of in a line a minute, and one when it is over", async () => {
  await using log = await catchLog();
  const clock = new FakeClock(undefined, true);
  const trouble = new AcceptTrouble(clock, log.logger, "0.0.0.0:25");
  for (let tries = 0; tries < 500; tries++) {
    trouble.failed("Too many open files (os error 24)");
    await clock.advance(200);
  }
  assertEquals(log.lines.length, 2);
  assertMatch(log.lines[0] ?? "", /^Cannot accept connections on 0\.0\.0\.0:25: Too many open files .* \(1 failure/);
  assertMatch(log.lines[1] ?? "", /\(300 failure/);
  // Descriptors come and go one by one: not a line each time.
  for (let turn = 0; turn < 50; turn++) {
    trouble.accepted();
    trouble.failed("Too many open files (os error 24)");
  }
  assertEquals(log.lines.slice(2), ["Connections on 0.0.0.0:25 are accepted again"]);
});
