/** Destinations as the queue treats them: what is down is one thing, what is slow holds up nobody else. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Outcome } from "../../../lib/mail/outcome.ts";
import type { QueueSettings } from "../../../lib/queue/queue_settings.ts";
import { DELIVERED, HOUR, LATER, MINUTE, QueueLab, settle } from "../../support/queue_lab.ts";
import { outcome, sampleEnvelope } from "../../support/queue_samples.ts";

const REFUSED: Outcome = {
  ...outcome("delayed", "4.4.1", "Cannot connect to mx.dead.example (192.0.2.1:25): connection refused"),
  remoteMta: "mx.dead.example",
  destination: "down",
};

/** Attempts of a domain, by minute. */
function attemptsOf(lab: QueueLab, domain: string): string[] {
  return lab.attempts.filter((attempt) => attempt.includes(`@${domain} `));
}

async function acceptMany(lab: QueueLab, count: number, domain: string): Promise<void> {
  for (let i = 0; i < count; i++) await lab.accept(sampleEnvelope([`u${i}@${domain}`]));
}

async function untilEmpty(lab: QueueLab): Promise<void> {
  for (let i = 0; i < 200 && (await lab.onDisk()).length > 0; i++) await settle();
}

Deno.test("a destination that is down is tried by one message now and then, and by all soon after it is back", async () => {
  await using lab = await QueueLab.open();
  let isDown = true;
  lab.answer = (address) => isDown && address.endsWith("@dead.example") ? REFUSED : DELIVERED;
  await acceptMany(lab, 200, "dead.example");
  await settle();
  const atFirst = attemptsOf(lab, "dead.example").length;
  assert(atFirst <= 2, `${atFirst} attempts before it was known to be down`);
  await lab.advance(3 * HOUR);
  // 1, 2, 4, 8, 16, then every 30 minutes: ten probes in three hours.
  const probes = attemptsOf(lab, "dead.example").length - atFirst;
  assert(probes >= 8 && probes <= 11, `${probes} probes`);
  await lab.accept(sampleEnvelope(["quick@alive.example"]));
  await settle();
  assertEquals(attemptsOf(lab, "alive.example").length, 1, "others go on");
  isDown = false;
  await lab.advance(31 * MINUTE);
  await untilEmpty(lab);
  assertEquals(await lab.onDisk(), [], "all were delivered with the probe");
  assertEquals(
    lab.log.lines.filter((line) => line.includes("takes no mail, one message will look")).length,
    probes + 1,
  );
  assertMatch(lab.log.lines.join("\n"), /Destination "?mx:dead\.example"? takes mail again/);
});

Deno.test("mail that is not tried says so in the log and its journal, counts no attempt, and is warned of and expires", async () => {
  await using lab = await QueueLab.open();
  lab.answer = () => REFUSED;
  await acceptMany(lab, 5, "dead.example");
  await settle();
  const states = (await Promise.all((await lab.onDisk()).map((id) => lab.spool.load(id)))).map((m) => m?.recipients[0]);
  assertEquals(states.filter((state) => state?.attempts === 0).length, 4, "one was tried");
  assert(states.every((state) => state?.lastOutcome?.action === "delayed"));
  assertMatch(lab.log.lines.join("\n"), /not tried for u4@dead\.example.*connection refused/);
  await lab.advance(4 * HOUR + MINUTE);
  assertEquals(lab.reports.filter(({ kind }) => kind === "delayed").length, 5, "each sender is warned");
  await lab.advance(21 * HOUR);
  assertEquals(lab.reports.filter(({ kind }) => kind === "failed").length, 5, "each sender hears of the end");
  assertMatch(lab.log.lines.join("\n"), /failed for u4@dead\.example.*4\.4\.7/);
});

Deno.test("hops that lead to one destination share its limits and its fate", async () => {
  await using lab = await QueueLab.open({ destinationOf: () => "provider" });
  const held = Promise.withResolvers<Outcome>();
  lab.answer = () => held.promise;
  for (let i = 0; i < 6; i++) await lab.accept(sampleEnvelope([`a@customer${i}.example`]));
  await settle();
  assertEquals(lab.running, 2);
  held.resolve(REFUSED);
  lab.answer = () => REFUSED;
  await lab.advance(30_000);
  assertEquals(lab.attempts.length, 2, "the other four were not tried");
});

Deno.test("a destination found by a look into DNS is waited for, and what is known of it counts at once later", async () => {
  let asked = 0;
  await using lab = await QueueLab.open({
    destinationOf: async (hop) => {
      asked++;
      await settle();
      return hop.key.includes("one") ? "site" : hop.key;
    },
  });
  await lab.accept(sampleEnvelope(["a@one.example", "b@two.example"]));
  for (let i = 0; i < 10; i++) await settle();
  assertEquals(await lab.onDisk(), []);
  assertEquals([asked, lab.attempts.length, lab.runner.control.destinationOf("x@one.example")], [2, 2, "site"]);
});

Deno.test("a destination that answers nothing holds its share for 30 s, and then others have the whole limit again", async () => {
  await using lab = await QueueLab.open({ settings: settings({ concurrency: 4, perDestination: 2 }) });
  const end = Promise.withResolvers<Outcome>();
  lab.answer = (address) => address.includes("hung") ? end.promise : DELIVERED;
  for (const domain of ["hung1.example", "hung2.example"]) await acceptMany(lab, 3, domain);
  await lab.accept(sampleEnvelope(["a@quick.example"]));
  await settle();
  assertEquals([lab.running, attemptsOf(lab, "quick.example").length], [4, 0]);
  await lab.advance(31_000);
  assertEquals(attemptsOf(lab, "quick.example").length, 1);
  await acceptMany(lab, 10, "quick2.example");
  await lab.advance(1_000);
  assertEquals(attemptsOf(lab, "quick2.example").length, 10);
  assert(lab.mostRunning <= 8, "hung ones are counted apart, but counted");
  end.resolve(DELIVERED);
  await untilEmpty(lab);
});

Deno.test("mail that was tried before keeps no new mail waiting, nor the other way round", async () => {
  await using lab = await QueueLab.open({ settings: settings({ concurrency: 4, perDestination: 1 }) });
  lab.answer = (address) => address.startsWith("u") && lab.clock.monotonic() < MINUTE ? LATER : DELIVERED;
  await acceptMany(lab, 20, "busy.example");
  for (let i = 0; i < 200 && lab.attempts.length < 20; i++) await settle();
  const gate = Promise.withResolvers<Outcome>();
  lab.answer = () => gate.promise;
  await lab.advance(6 * MINUTE);
  for (let i = 0; i < 20; i++) await lab.accept(sampleEnvelope([`new${i}@busy.example`]));
  lab.attempts.splice(0);
  lab.answer = () => DELIVERED;
  gate.resolve(DELIVERED);
  await untilEmpty(lab);
  const order = lab.attempts.map((attempt) => attempt.startsWith("new") ? "n" : "o").join("");
  assert(order.slice(0, 8).includes("o") && order.indexOf("nnn") < 4, order);
  assertEquals(order.length, 39);
});

Deno.test("only so many messages are worked on at a time when a long outage of ours ends", async () => {
  const lab1 = await QueueLab.open();
  lab1.answer = () => LATER;
  await acceptMany(lab1, 80, "x.example");
  for (let i = 0; i < 500 && lab1.attempts.length < 80; i++) await settle();
  const { files } = lab1;
  await lab1[Symbol.asyncDispose]();
  await using lab = await QueueLab.open({ maxActive: 20 }, files, "2026-01-01T02:00:00Z");
  let most = 0;
  lab.answer = async () => {
    most = Math.max(most, lab.runner.size.active);
    await settle();
    return DELIVERED;
  };
  await lab.runner.start();
  for (let i = 0; i < 200 && (await lab.onDisk()).length > 0; i++) await lab.advance(1_000);
  assertEquals(await lab.onDisk(), []);
  assert(most > 5 && most <= 20, `${most} at a time`);
});

function settings(
  { concurrency, perDestination }: { concurrency: number; perDestination: number },
): QueueSettings {
  return {
    retryMs: [5 * MINUTE, HOUR],
    warnAfterMs: 4 * HOUR,
    expireAfterMs: 24 * HOUR,
    concurrency,
    limitsOf: () => ({ concurrency: perDestination, initial: perDestination }),
  };
}
