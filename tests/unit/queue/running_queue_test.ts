/** What operators ask of a running queue. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { Outcome } from "../../../lib/mail/outcome.ts";
import type { Suspension, SuspensionStore } from "../../../lib/queue/suspensions.ts";
import { DELIVERED, HOUR, LATER, MINUTE, QueueLab, settle } from "../../support/queue_lab.ts";
import { outcome, sampleEnvelope } from "../../support/queue_samples.ts";

/** Suspensions that no file keeps. */
function memorySuspensions(): SuspensionStore {
  const found: Map<string, Suspension> = new Map();
  return {
    list: () => [...found.values()],
    add: (pattern, reason) => {
      const isNew = !found.has(pattern);
      if (isNew) found.set(pattern, { pattern, reason, sinceMs: 0 });
      return Promise.resolve(isNew);
    },
    remove: (pattern) => Promise.resolve(found.delete(pattern)),
    matches: (destination, domain) => found.get(destination) ?? found.get(domain) ?? found.get("*"),
  };
}

async function acceptedLater(lab: QueueLab, address = "bob@x.example"): Promise<string> {
  lab.answer = () => LATER;
  const { queueId } = await lab.accept(sampleEnvelope([address]));
  await settle();
  lab.answer = () => DELIVERED;
  return queueId;
}

Deno.test("a held message rests beyond its retries and its expiry, also over a restart, until it is released", async () => {
  const lab = await QueueLab.open();
  const queueId = await acceptedLater(lab);
  const { control } = lab.runner;
  assertEquals(await control.hold(queueId), "done");
  assertEquals(await control.hold(queueId), "done", "once more changes nothing");
  await lab.advance(30 * HOUR);
  assertEquals([lab.attempts.length, lab.reports.length], [1, 0]);
  await lab[Symbol.asyncDispose]();

  await using again = await QueueLab.open({}, lab.files, "2026-01-02T06:00:00Z");
  await again.runner.start();
  await again.advance(HOUR);
  assertEquals([again.attempts.length, again.runner.size.scheduled], [0, 1]);
  assertEquals(await again.runner.control.release(queueId), "done");
  await again.advance(1_000);
  assertEquals(again.attempts.length, 1);
  assertEquals(await again.onDisk(), []);
});

Deno.test("a message that waits for its turn in memory can be held, removed and failed; one being delivered is busy", async () => {
  await using lab = await QueueLab.open();
  const end = Promise.withResolvers<Outcome>();
  lab.answer = () => end.promise;
  const ids: string[] = [];
  for (let i = 0; i < 6; i++) ids.push((await lab.accept(sampleEnvelope([`u${i}@x.example`]))).queueId);
  await settle();
  const { control } = lab.runner;
  const [running = "", , held = "", removed = "", failed = "", last = ""] = ids;
  assertEquals(await control.hold(running), "busy");
  assertEquals(await control.hold(held), "done");
  assertEquals(await control.remove(removed), "done");
  assertEquals(await control.fail(failed, "Sent by mistake"), "done");
  assertEquals(await control.retry("0000000000000000"), "unknown");
  end.resolve(DELIVERED);
  await lab.advance(1_000);
  assertEquals(lab.attempts.map((attempt) => attempt.split("@")[0]).filter((name) => name !== "alice"), [
    "u0",
    "u1",
    "u5",
  ]);
  assertEquals(lab.reports.map(({ kind, queueId }) => [kind, queueId]), [["failed", failed]]);
  assertMatch(lab.log.lines.join("\n"), /report of kind "?failed/);
  assertEquals(await lab.onDisk(), [held]);
  assert(!(await lab.onDisk()).includes(last));
});

Deno.test("a retry goes out at once, also to a destination that is down, and opens it where it was taken", async () => {
  await using lab = await QueueLab.open();
  const refused: Outcome = { ...outcome("delayed", "4.4.1", "connection refused"), destination: "down" };
  lab.answer = () => refused;
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) ids.push((await lab.accept(sampleEnvelope([`u${i}@x.example`]))).queueId);
  await settle();
  const [status] = lab.runner.control.destinations();
  assertEquals([status?.key, status?.state, status?.reason], ["mx:x.example", "down", "connection refused"]);
  lab.answer = () => DELIVERED;
  const before = lab.attempts.length;
  assertEquals(await lab.runner.control.retry(ids[4] ?? ""), "done");
  for (let i = 0; i < 50 && (await lab.onDisk()).length > 0; i++) await settle();
  assertEquals(lab.attempts[before], "u4@x.example 0");
  assertEquals(await lab.onDisk(), [], "the others follow at once");
  assertEquals(lab.runner.control.destinations()[0]?.state, "open");
});

Deno.test("a retry of a message that was not due does not make others due", async () => {
  await using lab = await QueueLab.open();
  const first = await acceptedLater(lab, "a@x.example");
  await acceptedLater(lab, "b@x.example");
  await lab.runner.control.retry(first);
  await lab.advance(MINUTE);
  assertEquals(lab.attempts, ["a@x.example 0", "b@x.example 0", "a@x.example 0"]);
});

Deno.test("a message that cannot be read when it is to be changed is tried again later", async () => {
  await using lab = await QueueLab.open();
  const queueId = await acceptedLater(lab);
  lab.files.fault = ({ name, path }): void => {
    if (name === "open" && path.endsWith(queueId)) throw new Error("too many open files");
  };
  await assertRejects(() => lab.runner.control.hold(queueId), Error, "too many open files");
  lab.files.fault = undefined;
  assertEquals(lab.runner.size.scheduled, 1);
  await lab.advance(HOUR);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("a release of a message that is not held, and a change that fails, leave its time as it was", async () => {
  await using lab = await QueueLab.open();
  const queueId = await acceptedLater(lab);
  assertEquals(await lab.runner.control.release(queueId), "done");
  lab.files.fault = ({ name }): void => {
    if (name === "write") throw new Error("EIO");
  };
  const failure = await lab.runner.control.hold(queueId).catch((error: Error) => error.message);
  assertEquals(failure, `Cannot append to "/data/spool/queue/${queueId.slice(-2)}/${queueId}": EIO`);
  lab.files.fault = undefined;
  await lab.advance(4 * MINUTE);
  assertEquals(lab.attempts.length, 1);
  await lab.advance(2 * MINUTE);
  assertEquals(lab.attempts.length, 2);
});

const PATTERNS = [["x.example", "domain"], ["mx:x.example", "destination"]] as const;

Deno.test("when all mail is resumed, that goes out which found all suspended when it came, and nothing that waits for another reason", async () => {
  await using lab = await QueueLab.open({ suspensions: memorySuspensions() });
  const greylisted = await acceptedLater(lab);
  const { control } = lab.runner;
  await control.suspend("*", "");
  await lab.accept(sampleEnvelope(["new@y.example"]));
  await lab.advance(MINUTE);
  await control.resume("*");
  await lab.advance(MINUTE);
  assertEquals(await lab.onDisk(), [greylisted]);
});

for (const [pattern, what] of PATTERNS) {
  Deno.test(`mail for a suspended ${what} waits, that under way in memory too, and goes out soon after it is resumed`, async () => {
    await using lab = await QueueLab.open({ suspensions: memorySuspensions() });
    const end = Promise.withResolvers<Outcome>();
    lab.answer = () => end.promise;
    for (let i = 0; i < 4; i++) await lab.accept(sampleEnvelope([`u${i}@x.example`]));
    await settle();
    const { control } = lab.runner;
    assertEquals(await control.suspend(pattern, "maintenance there"), true);
    await lab.accept(sampleEnvelope(["late@x.example", "other@y.example"]));
    end.resolve(DELIVERED);
    await lab.advance(20 * MINUTE);
    assertEquals(lab.attempts.map((attempt) => attempt.split(" ")[0]).sort(), [
      "other@y.example",
      "u0@x.example",
      "u1@x.example",
    ]);
    assertMatch(lab.log.lines.join("\n"), /u3@x\.example.*suspended by the administrator: maintenance there/);
    assertEquals(await control.resume(pattern), true);
    await lab.advance(MINUTE);
    assertEquals(await lab.onDisk(), []);
  });
}
