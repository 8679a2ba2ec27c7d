/** Whatever happens to the one that was to wake them: messages that wait are never forgotten, nor looked at without a pause. */

import { assert, assertEquals } from "@std/assert";
import type { Outcome } from "../../../lib/mail/outcome.ts";
import { DELIVERED, HOUR, LATER, MINUTE, QueueLab, settle } from "../../support/queue_lab.ts";
import { outcome, sampleEnvelope } from "../../support/queue_samples.ts";

const REFUSED: Outcome = { ...outcome("delayed", "4.4.1", "connection refused"), destination: "down" };

async function acceptMany(lab: QueueLab, count: number, domain: string): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.push((await lab.accept(sampleEnvelope([`u${i}@${domain}`]))).queueId);
  await settle();
  return ids;
}

function attemptsOf(lab: QueueLab, domain: string): string[] {
  return lab.attempts.filter((attempt) => attempt.includes(`@${domain} `));
}

Deno.test("a message that cannot be read when an operator changes it stays in the queue", async () => {
  await using lab = await QueueLab.open();
  lab.answer = () => LATER;
  const [queueId = ""] = await acceptMany(lab, 1, "x.example");
  lab.answer = () => DELIVERED;
  lab.files.fault = ({ name }): void => {
    if (name === "open") throw new Error("EIO");
  };
  const failure = await lab.runner.control.release(queueId).catch(() => "failed");
  assertEquals([failure, lab.runner.size.scheduled], ["failed", 1]);
  lab.files.fault = undefined;
  await lab.advance(6 * MINUTE);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("when the message that was to look at a closed destination does not come, another one does", async () => {
  await using lab = await QueueLab.open();
  lab.answer = () => REFUSED;
  const ids = await acceptMany(lab, 6, "dead.example");
  lab.answer = () => DELIVERED;
  // All but the last are removed by hand, whichever is asked for first.
  for (const id of ids.slice(0, 5)) await lab.spool.remove(id);
  await lab.advance(3 * MINUTE);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("where memory is short, a closed destination is looked at all the same", async () => {
  await using lab = await QueueLab.open({ memoryOctets: 0 });
  lab.answer = () => REFUSED;
  await acceptMany(lab, 6, "dead.example");
  lab.answer = () => DELIVERED;
  await lab.advance(3 * MINUTE);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("a message released after the rest of its destination is over looks whether that is back", async () => {
  await using lab = await QueueLab.open();
  lab.answer = () => REFUSED;
  const [queueId = ""] = await acceptMany(lab, 1, "dead.example");
  assertEquals(await lab.runner.control.hold(queueId), "done");
  await lab.advance(2 * MINUTE);
  lab.answer = () => DELIVERED;
  assertEquals(await lab.runner.control.release(queueId), "done");
  await lab.advance(MINUTE);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("mail that waits for a closed destination goes when its domain has moved, whoever noticed that", async () => {
  let site: string | Promise<string> = "old";
  await using lab = await QueueLab.open({ destinationOf: () => site });
  lab.answer = () => REFUSED;
  const [first = ""] = await acceptMany(lab, 3, "moved.example");
  const lookup = Promise.withResolvers<string>();
  site = lookup.promise;
  await lab.runner.control.retry(first);
  assertEquals(await lab.runner.control.remove(first), "done", "while DNS is asked");
  lab.answer = () => DELIVERED;
  site = "new";
  lookup.resolve(site);
  await lab.advance(30_000);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("a message whose sender asks for a notice before it is released is not read again and again until then", async () => {
  await using lab = await QueueLab.open();
  const holdUntil = new Date(lab.clock.now() + HOUR).toISOString();
  const until = new Date(lab.clock.now() + MINUTE).toISOString();
  const deliverBy = { mode: "notify", until, isTraced: false } as const;
  let reads = 0;
  await lab.accept(sampleEnvelope(["bob@x.example"], { holdUntil, deliverBy }));
  lab.files.fault = ({ name }): void => {
    if (name === "open" && ++reads > 50) throw new Error("enough");
  };
  await lab.clock.advance(30 * MINUTE);
  assert(reads < 5, `${reads} reads`);
  await lab.advance(31 * MINUTE);
  assertEquals(lab.attempts, ["bob@x.example 60"]);
});

Deno.test("new mail that waits for one destination takes no place from mail on disk for another", async () => {
  await using lab = await QueueLab.open({ maxActive: 2 });
  lab.answer = () => LATER;
  await acceptMany(lab, 1, "alive.example");
  const gate = Promise.withResolvers<Outcome>();
  lab.answer = (address) => address.endsWith("@slow.example") ? gate.promise : DELIVERED;
  await acceptMany(lab, 5, "slow.example");
  await lab.advance(6 * MINUTE);
  gate.resolve(DELIVERED);
  assertEquals(attemptsOf(lab, "alive.example"), [
    "u0@alive.example 0",
    "u0@alive.example 5",
  ]);
});

Deno.test("when a message that was worked on is removed by an operator, the next one has its place", async () => {
  await using lab = await QueueLab.open({ maxActive: 1 });
  lab.answer = () => LATER;
  const [first = ""] = await acceptMany(lab, 1, "slow.example");
  await lab.advance(MINUTE);
  await acceptMany(lab, 1, "alive.example");
  const gate = Promise.withResolvers<Outcome>();
  lab.answer = (address) => address.endsWith("@slow.example") ? gate.promise : DELIVERED;
  await acceptMany(lab, 2, "slow.example");
  await lab.advance(10 * MINUTE);
  assertEquals(attemptsOf(lab, "alive.example").length, 1, "there is no place");
  assertEquals(await lab.runner.control.remove(first), "done");
  await lab.advance(MINUTE);
  gate.resolve(DELIVERED);
  assertEquals(attemptsOf(lab, "alive.example").length, 2);
});

Deno.test("a retry of all that waits for a slow destination does not bring it into memory", async () => {
  const limits = { concurrency: 2, initial: 2, rate: { count: 1, perMs: HOUR } };
  await using lab = await QueueLab.open({
    settings: {
      retryMs: [5 * MINUTE],
      warnAfterMs: 4 * HOUR,
      expireAfterMs: 24 * HOUR,
      concurrency: 20,
      limitsOf: () => limits,
    },
  });
  const ids = await acceptMany(lab, 6, "slow.example");
  for (const id of ids) await lab.runner.control.retry(id);
  await settle();
  assert(lab.runner.size.active <= 2, `${lab.runner.size.active} in memory`);
  await lab.advance(5 * HOUR + MINUTE);
  assertEquals(attemptsOf(lab, "slow.example").length, 6);
});

Deno.test("of mail for a destination with a rate, no more is in memory than goes soon: its senders are warned in time", async () => {
  const limits = { concurrency: 2, initial: 2, rate: { count: 6, perMs: MINUTE } };
  await using lab = await QueueLab.open({
    settings: {
      retryMs: [5 * MINUTE],
      warnAfterMs: 2 * MINUTE,
      expireAfterMs: 24 * HOUR,
      concurrency: 20,
      limitsOf: () => limits,
    },
  });
  await acceptMany(lab, 30, "slow.example");
  assert(lab.runner.size.active <= 6, `${lab.runner.size.active} in memory`);
  await lab.advance(3 * MINUTE);
  const attempts = attemptsOf(lab, "slow.example").length;
  assert(attempts >= 18, `${attempts} attempts`);
  // Those that were due in the minute since are among both.
  const warned = lab.reports.filter(({ kind }) => kind === "delayed").length;
  assert(warned >= 30 - attempts && warned <= 18, `${warned} warnings`);
  await lab.advance(2 * MINUTE);
  assertEquals(attemptsOf(lab, "slow.example").length, 30);
});

Deno.test("the domains of one destination take turns in looking whether it is back", async () => {
  await using lab = await QueueLab.open({ destinationOf: () => "provider" });
  lab.answer = () => REFUSED;
  for (let i = 0; i < 4; i++) {
    await acceptMany(lab, 1, `customer${i}.example`);
    await acceptMany(lab, 1, `customer${i}.example`);
  }
  await lab.advance(2 * HOUR);
  const domains = lab.attempts.slice(1).map((attempt) => attempt.slice(3, attempt.indexOf(" ")));
  assertEquals(new Set(domains.slice(0, 5)).size, 4, domains.join(" "));
});

Deno.test("mail that waits for hours in memory, because each delivery takes long, is warned of like all other", async () => {
  await using lab = await QueueLab.open();
  const end = Promise.withResolvers<void>();
  lab.answer = async (address) => {
    if (address.endsWith("@slow.example")) await Promise.race([lab.clock.sleep(HOUR), end.promise]);
    return DELIVERED;
  };
  await acceptMany(lab, 30, "slow.example");
  await lab.advance(3.5 * HOUR);
  const reports = lab.reports.length;
  await lab.advance(2 * HOUR);
  const attempts = attemptsOf(lab, "slow.example").length;
  const warned = lab.reports.filter(({ kind }) => kind === "delayed").length;
  end.resolve();
  assertEquals([reports, attempts], [0, 12]);
  assert(warned >= 20, `${warned} warnings`);
});
