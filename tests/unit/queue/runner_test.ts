import { assert, assertEquals, assertMatch } from "@std/assert";
import type { RouteDecision } from "../../../lib/delivery/next_hop.ts";
import type { EnvelopeRecipient } from "../../../lib/mail/envelope.ts";
import type { Outcome } from "../../../lib/mail/outcome.ts";
import type { QueuedMessage } from "../../../lib/queue/spool.ts";
import { diskFull, MemoryFiles } from "../../support/memory_files.ts";
import { DELIVERED, HOUR, LATER, MINUTE, NEVER, QueueLab, routeByDomain, settle } from "../../support/queue_lab.ts";
import { outcome, put, readContent, sampleContent, sampleEnvelope } from "../../support/queue_samples.ts";

Deno.test("a message is delivered at once from memory, logged in one line, and gone", async () => {
  await using lab = await QueueLab.open();
  const content = sampleContent(700);
  const { queueId } = await lab.accept(sampleEnvelope(["bob@local.example"]), content);
  await settle();
  const [request] = lab.requests;
  assert(request !== undefined);
  assertEquals(request.content.inMemory, content);
  assertEquals([request.queueId, request.hop.key], [queueId, "maildir:bob@local.example"]);
  assertEquals(await lab.onDisk(), []);
  assertEquals(lab.log.lines, [
    `${queueId}: delivered to bob@local.example via maildir:bob@local.example after 0s, status 2.0.0: stored`,
  ]);
  assertEquals(lab.runner.size, { active: 0, scheduled: 0 });
});

Deno.test("recipients with the same next hop share one delivery", async () => {
  await using lab = await QueueLab.open();
  await lab.accept(sampleEnvelope(["a@x.example", "b@y.example", "c@x.example"]));
  await settle();
  assertEquals(lab.requests.map(({ recipients }) => recipients.map(({ address }) => address)), [
    ["a@x.example", "c@x.example"],
    ["b@y.example"],
  ]);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("a delayed recipient is tried again by the schedule, and the delivered one is not", async () => {
  await using lab = await QueueLab.open();
  let tries = 0;
  lab.answer = (address) => address.startsWith("a") && ++tries < 4 ? LATER : DELIVERED;
  await lab.accept(sampleEnvelope(["a@x.example", "b@x.example", "c@y.example"]));
  await lab.advance(3 * HOUR);
  assertEquals(lab.attempts.slice(0, 3).sort(), ["a@x.example 0", "b@x.example 0", "c@y.example 0"]);
  assertEquals(lab.attempts.slice(3), [
    "a@x.example 5",
    "a@x.example 15",
    "a@x.example 75",
  ]);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("after a restart the journal says who is to be tried, and when", async () => {
  const files = new MemoryFiles();
  {
    await using lab = await QueueLab.open({}, files);
    lab.answer = (address) => address.startsWith("a") ? LATER : DELIVERED;
    await lab.accept(sampleEnvelope(["a@x.example", "b@x.example"]));
    await settle();
  }
  const crashed = files.afterCrash(() => false);
  await using lab = await QueueLab.open({}, crashed, "2026-01-01T00:02:00Z");
  await lab.runner.start();
  await settle();
  assertEquals(lab.attempts, []);
  await lab.advance(4 * MINUTE);
  assertEquals(lab.attempts, ["a@x.example 3"]);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("mail that is accepted while the spool is being read is delivered once", async () => {
  const files = new MemoryFiles();
  {
    await using lab = await QueueLab.open({}, files);
    await lab.runner.drain(0);
    for (let i = 0; i < 30; i++) await lab.accept(sampleEnvelope([`old${i}@x.example`]));
  }
  await using lab = await QueueLab.open({}, files);
  const gate = Promise.withResolvers<Outcome>();
  lab.answer = (address) => address.startsWith("new") ? gate.promise : DELIVERED;
  const accepted = await Promise.all(
    Array.from({ length: 30 }, (_, i) => put(lab.spool, sampleEnvelope([`new${i}@y${i}.example`]))),
  );
  const starting = lab.runner.start();
  for (const message of accepted) lab.runner.enqueue(message);
  await starting;
  await lab.advance(1_000);
  gate.resolve(DELIVERED);
  for (let i = 0; i < 60 && (await lab.onDisk()).length > 0; i++) await lab.advance(1);
  assertEquals(lab.attempts.length, 60);
  assertEquals(new Set(lab.attempts).size, 60);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("a queue that cannot be read at the start is read again, and nothing in it is lost or sent twice", async () => {
  const files = new MemoryFiles();
  {
    await using lab = await QueueLab.open({}, files);
    await lab.runner.drain(0);
    for (let i = 0; i < 3; i++) {
      await lab.accept(sampleEnvelope([`old${i}@x.example`]));
      // The next folder of the spool.
      await lab.clock.advance(10_000);
    }
  }
  await using lab = await QueueLab.open({}, files, "2026-01-02T00:00:00Z");
  let lists = 0;
  files.fault = ({ name }): void => {
    // The list of folders and the first of them can be read, the second cannot.
    if (name === "list" && ++lists === 3) throw new Error("Too many open files (os error 24)");
  };
  const starting = lab.runner.start();
  await lab.advance(1);
  await lab.accept(sampleEnvelope(["new@x.example"]));
  await lab.advance(5 * MINUTE);
  await starting;
  await lab.advance(1);
  assertEquals(
    lab.attempts.map((attempt) => attempt.replace(/@.*/, "")).sort(),
    ["new", "old0", "old1", "old2"],
  );
  assertMatch(lab.log.lines.join("\n"), /Cannot read the queue: .*Too many open files/);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("a permanent failure is reported to the sender, and the report is on disk before the message is gone", async () => {
  await using lab = await QueueLab.open();
  lab.answer = (address) => address.startsWith("alice") ? LATER : NEVER;
  const removed: string[] = [];
  lab.files.fault = ({ name, path }) => {
    if (name === "remove" && lab.reports.length === 0) removed.push(path);
  };
  const { queueId } = await lab.accept(sampleEnvelope(["bob@x.example", "carl@x.example"]));
  await settle();
  assertEquals(lab.reports, [{ kind: "failed", recipients: ["bob@x.example", "carl@x.example"], queueId }]);
  assertEquals(removed, []);
  const left = await lab.onDisk();
  assertEquals(left.length, 1);
  assert(left[0] !== queueId);
  assertEquals(lab.attempts.at(-1), "alice@example.net 0");
});

Deno.test("a crash between failure and report makes the next start report", async () => {
  const files = new MemoryFiles();
  {
    await using lab = await QueueLab.open({}, files);
    lab.answer = () => NEVER;
    lab.reportFault = diskFull();
    await lab.accept(sampleEnvelope(["bob@x.example"]));
    await settle();
    assertMatch(lab.log.lines.join("\n"), /cannot report to alice@example.net, will try again/);
  }
  await using lab = await QueueLab.open({}, files.afterCrash(() => false));
  await lab.runner.start();
  await lab.advance(1_000);
  assertEquals(lab.reports.map(({ kind }) => kind), ["failed"]);
  assertEquals(lab.attempts, ["alice@example.net 0"], "only the report is delivered");
});

Deno.test("a report that cannot be made is made later, without another delivery", async () => {
  await using lab = await QueueLab.open();
  lab.answer = (address) => address.startsWith("alice") ? DELIVERED : NEVER;
  lab.reportFault = diskFull();
  await lab.accept(sampleEnvelope(["bob@x.example"]));
  await lab.advance(3 * MINUTE);
  assertEquals(lab.reports, []);
  lab.reportFault = undefined;
  await lab.advance(5 * MINUTE);
  assertEquals(lab.reports.length, 1);
  assertEquals(lab.attempts, ["bob@x.example 0", "alice@example.net 5"]);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("a failed message with the null reverse-path ends in the log", async () => {
  await using lab = await QueueLab.open();
  lab.answer = () => NEVER;
  const { queueId } = await lab.accept(sampleEnvelope(["bob@x.example"], { reversePath: "" }));
  await settle();
  assertEquals(lab.reports, []);
  assertEquals(await lab.onDisk(), []);
  assert(lab.log.lines.some((line) => line.startsWith(`${queueId}: double bounce`)));
});

Deno.test("NOTIFY=NEVER is honoured: the failure ends in the log", async () => {
  await using lab = await QueueLab.open();
  lab.answer = () => NEVER;
  await lab.accept(sampleEnvelope([], { recipients: [{ address: "bob@x.example", notify: "never" }] }));
  await settle();
  assertEquals(lab.reports, []);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("a held message is tried when its time comes and not before, also after a restart, and ages from then", async () => {
  const files = new MemoryFiles();
  const holdUntil = new Date(Date.parse("2026-01-01T00:00:00Z") + 50 * HOUR).toISOString();
  {
    await using lab = await QueueLab.open({}, files, "2026-01-01T00:00:00Z");
    await lab.accept(sampleEnvelope(["bob@x.example"], { holdUntil }));
    await lab.advance(20 * HOUR);
    assertEquals(lab.attempts, []);
    assertEquals(lab.runner.size, { active: 0, scheduled: 1 });
  }
  await using lab = await QueueLab.open({}, files, "2026-01-01T20:00:00Z");
  lab.answer = (address) => address.startsWith("alice") ? DELIVERED : LATER;
  await lab.runner.start();
  await lab.advance(29 * HOUR);
  assertEquals(lab.attempts, []);
  await lab.advance(HOUR);
  assertEquals(lab.attempts, ["bob@x.example 1800"]);
  assertEquals(lab.reports, []);
  await lab.advance(23 * HOUR);
  assertEquals(lab.reports.map(({ kind }) => kind), ["delayed"]);
  await lab.advance(HOUR);
  assertEquals(lab.reports.map(({ kind }) => kind), ["delayed", "failed"]);
});

Deno.test("an operator's retry releases a held message", async () => {
  await using lab = await QueueLab.open();
  const holdUntil = new Date(lab.clock.now() + HOUR).toISOString();
  const { queueId } = await lab.accept(sampleEnvelope(["bob@x.example"], { holdUntil }));
  assert(await lab.runner.retry(queueId));
  await lab.advance(1);
  assertEquals(lab.attempts, ["bob@x.example 0"]);
});

Deno.test("a message that must arrive in time goes back when the time is over, without another attempt", async () => {
  await using lab = await QueueLab.open();
  lab.answer = (address) => address.startsWith("alice") ? DELIVERED : LATER;
  const until = new Date(lab.clock.now() + 7 * MINUTE).toISOString();
  const { queueId } = await lab.accept(
    sampleEnvelope(["bob@x.example"], { deliverBy: { until, mode: "return", isTraced: false } }),
  );
  await lab.advance(6 * MINUTE);
  assertEquals(lab.reports, []);
  await lab.advance(MINUTE);
  assertEquals(lab.reports, [{ kind: "failed", recipients: ["bob@x.example"], queueId }]);
  assertEquals(lab.attempts, ["bob@x.example 0", "bob@x.example 5", "alice@example.net 7"]);
  assert(lab.log.lines.some((line) => line.includes("5.4.7")), lab.log.lines.join("\n"));
});

Deno.test("a sender who set a time hears of the delay then, and delivery goes on", async () => {
  await using lab = await QueueLab.open();
  lab.answer = (address) => address.startsWith("alice") ? DELIVERED : LATER;
  const until = new Date(lab.clock.now() + 7 * MINUTE).toISOString();
  const { queueId } = await lab.accept(
    sampleEnvelope(["bob@x.example"], { deliverBy: { until, mode: "notify", isTraced: false } }),
  );
  await lab.advance(7 * MINUTE);
  const warning = { kind: "delayed" as const, recipients: ["bob@x.example"], queueId };
  assertEquals(lab.reports, [warning]);
  await lab.advance(8 * HOUR);
  assertEquals(lab.reports, [warning], "one warning, not two");
});

Deno.test("messages of a higher priority go first to a destination that is busy", async () => {
  await using lab = await QueueLab.open();
  const first = Promise.withResolvers<Outcome>();
  lab.answer = (address) => address.startsWith("busy") ? first.promise : DELIVERED;
  for (const name of ["busy1", "busy2"]) await lab.accept(sampleEnvelope([`${name}@x.example`]));
  for (const [name, priority] of [["low", -2], ["plain", 0], ["high", 4], ["second", 4]] as const) {
    await lab.accept(sampleEnvelope([`${name}@x.example`], { priority }));
  }
  first.resolve(DELIVERED);
  await settle();
  assertEquals(lab.attempts.map((attempt) => attempt.split("@")[0]), [
    "busy1",
    "busy2",
    "high",
    "second",
    "plain",
    "low",
  ]);
});

Deno.test("success is reported where it was asked for and the next hop does not do it, once, and then all is done", async () => {
  await using lab = await QueueLab.open();
  lab.answer = (address) => {
    if (address.startsWith("alice")) return DELIVERED;
    if (address.startsWith("later")) return lab.clock.monotonic() === 0 ? LATER : DELIVERED;
    return address.startsWith("passed") ? { ...DELIVERED, action: "relayed", isDsnPassedOn: true } : DELIVERED;
  };
  const recipients: EnvelopeRecipient[] = ["bob", "passed", "later"].map((name) => ({
    address: `${name}@x.example`,
    notify: ["success"],
  }));
  recipients.push({ address: "quiet@x.example" });
  recipients.push({ address: "team@x.example", notify: ["success"], isExpanded: true });
  const { queueId } = await lab.accept(sampleEnvelope([], { recipients }));
  await settle();
  const first = { kind: "succeeded" as const, recipients: ["bob@x.example", "team@x.example"], queueId };
  assertEquals(lab.reports, [first]);
  await lab.advance(5 * MINUTE);
  assertEquals(lab.reports, [first, { ...first, recipients: ["later@x.example"] }]);
  assertEquals(lab.attempts.filter((attempt) => attempt.startsWith("team")), []);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("an expanded address of a message from the null reverse-path is not reported", async () => {
  await using lab = await QueueLab.open();
  const recipients: EnvelopeRecipient[] = [
    { address: "bob@x.example" },
    { address: "team@x.example", notify: ["success"], isExpanded: true },
  ];
  await lab.accept(sampleEnvelope([], { reversePath: "", recipients }));
  await settle();
  assertEquals(lab.reports, []);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("the sender is warned once, and told at expiry with status 4.4.7 and the last reply", async () => {
  await using lab = await QueueLab.open();
  lab.answer = (address) => address.startsWith("alice") ? DELIVERED : LATER;
  const { queueId } = await lab.accept(sampleEnvelope(["bob@x.example"]));
  await lab.advance(23 * HOUR);
  assertEquals(lab.reports, [{ kind: "delayed", recipients: ["bob@x.example"], queueId }]);
  const last = (await lab.spool.load(queueId))?.recipients[0]?.lastOutcome;
  assertEquals(last?.action, "delayed");
  await lab.advance(HOUR);
  assertEquals(lab.reports.map(({ kind }) => kind), ["delayed", "failed"]);
  assert(lab.attempts.includes("bob@x.example 1440"), "the last attempt is made at expiry");
  assertMatch(
    lab.log.lines.join("\n"),
    /failed for bob@x.example via mx:x.example after 86400s, status 4.4.7: 450 later/,
  );
  assertEquals(await lab.onDisk(), []);
});

Deno.test("a recipient without a route fails at once, and the others are delivered", async () => {
  await using lab = await QueueLab.open();
  await lab.accept(sampleEnvelope(["a@nowhere.example", "b@x.example"]));
  await settle();
  assertEquals(lab.reports.map(({ recipients }) => recipients), [["a@nowhere.example"]]);
  assertEquals(lab.attempts, ["b@x.example 0", "alice@example.net 0"]);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("a target or a routing that throws delays the message, with the error in the log only", async () => {
  let isBroken = true;
  const route = (address: string): RouteDecision => {
    if (isBroken && address.startsWith("r")) throw new Error("secret of routing");
    return routeByDomain(address);
  };
  await using lab = await QueueLab.open({ route });
  lab.answer = () => {
    if (isBroken) throw new Error("secret of delivery");
    return DELIVERED;
  };
  const { queueId } = await lab.accept(sampleEnvelope(["a@x.example", "r@x.example"]));
  await settle();
  const message = await lab.spool.load(queueId);
  for (const state of message?.recipients ?? []) {
    assertEquals(state.lastOutcome, outcome("delayed", "4.3.0", "Local problem of the mail system"));
  }
  for (const secret of ["secret of routing", "secret of delivery"]) {
    assertEquals(lab.log.lines.filter((line) => line.includes(secret)).length, 1);
  }
  isBroken = false;
  await lab.advance(6 * MINUTE);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("a slow destination holds up nobody else, and its own limit is kept", async () => {
  await using lab = await QueueLab.open();
  const release = Promise.withResolvers<Outcome>();
  lab.answer = (address) => address.endsWith("@slow.example") ? release.promise : DELIVERED;
  for (let i = 0; i < 50; i++) await lab.accept(sampleEnvelope([`s${i}@slow.example`]));
  await lab.accept(sampleEnvelope(["a@quick.example", "b@local.example", "c@slow.example"]));
  await settle();
  assertEquals(lab.attempts.filter((attempt) => attempt.includes("slow")).length, 2);
  assert(lab.attempts.includes("a@quick.example 0") && lab.attempts.includes("b@local.example 0"));
  assertEquals((await lab.onDisk()).length, 51);
  release.resolve(DELIVERED);
  for (let i = 0; i < 60 && (await lab.onDisk()).length > 0; i++) await settle();
  assertEquals(await lab.onDisk(), []);
  assertEquals(lab.attempts.length, 53);
});

Deno.test("deliveries into mailboxes have a limit of their own, not that of a destination", async () => {
  await using lab = await QueueLab.open({ localConcurrency: 7 });
  const release = Promise.withResolvers<Outcome>();
  lab.answer = () => release.promise;
  for (let i = 0; i < 20; i++) await lab.accept(sampleEnvelope(["bob@local.example"]));
  await settle();
  assertEquals(lab.running, 7);
  release.resolve(DELIVERED);
  for (let i = 0; i < 30; i++) await settle();
  assertEquals(await lab.onDisk(), []);
});

Deno.test("messages that wait beyond the memory bound are read back, with the same content", async () => {
  await using lab = await QueueLab.open({ memoryOctets: 20_000 });
  const gates = [Promise.withResolvers<Outcome>()];
  const contents: Map<string, Uint8Array> = new Map();
  lab.answer = async (_address, { queueId, content }) => {
    const read = await readContent({ queueId, content } as QueuedMessage);
    assertEquals(read, contents.get(queueId));
    return await gates[0]?.promise ?? DELIVERED;
  };
  for (let i = 0; i < 30; i++) {
    const content = sampleContent(4_000, i);
    const { queueId } = await lab.accept(sampleEnvelope(["a@slow.example"]), content);
    contents.set(queueId, content);
  }
  gates[0]?.resolve(DELIVERED);
  for (let i = 0; i < 60 && (await lab.onDisk()).length > 0; i++) await settle();
  assertEquals(await lab.onDisk(), []);
  assertEquals(lab.attempts.length, 30);
  assert(
    lab.requests.some(({ content }) => content.inMemory === undefined || content.inMemory.buffer.byteLength > 16_000),
  );
});

Deno.test("while the outcome cannot be recorded nothing is delivered twice, and it is recorded when the disk recovers", async () => {
  await using lab = await QueueLab.open();
  lab.answer = (address) => address.startsWith("a") ? LATER : DELIVERED;
  const { queueId } = await lab.accept(sampleEnvelope(["a@x.example", "b@x.example"]));
  lab.files.fault = ({ name }) => {
    if (name === "write") throw diskFull();
  };
  await lab.advance(20 * MINUTE);
  assertEquals(lab.attempts, ["a@x.example 0", "b@x.example 0"]);
  assertMatch(lab.log.lines.join("\n"), /cannot record the outcome, will try again in 1s/);
  lab.files.fault = undefined;
  await lab.advance(5 * MINUTE);
  assertEquals((await lab.spool.load(queueId))?.recipients[1]?.lastOutcome?.action, "delivered");
  assertEquals(lab.attempts.filter((attempt) => attempt.startsWith("b")).length, 1);
  assert(lab.attempts.filter((attempt) => attempt.startsWith("a")).length >= 2, "and goes on");
});

Deno.test("a message that cannot be removed is not delivered again", async () => {
  await using lab = await QueueLab.open();
  lab.files.fault = ({ name }) => {
    if (name === "remove") throw new Error("Input/output error (os error 5)");
  };
  await lab.accept(sampleEnvelope(["a@x.example"]));
  await lab.advance(HOUR);
  assertEquals(lab.attempts, ["a@x.example 0"]);
  lab.files.fault = undefined;
  await lab.advance(HOUR);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("drain waits for what runs, starts nothing more, and leaves the rest for the next start", async () => {
  await using lab = await QueueLab.open();
  const gate = Promise.withResolvers<Outcome>();
  lab.answer = () => gate.promise;
  for (let i = 0; i < 5; i++) await lab.accept(sampleEnvelope([`r${i}@x.example`]));
  await settle();
  const draining = lab.runner.drain(10_000);
  await lab.accept(sampleEnvelope(["late@y.example"]));
  gate.resolve(DELIVERED);
  await draining;
  assertEquals(lab.attempts, ["r0@x.example 0", "r1@x.example 0"]);
  assertEquals((await lab.onDisk()).length, 4);
});

Deno.test("drain aborts what takes too long: final outcomes are recorded, given-up attempts do not count", async () => {
  await using lab = await QueueLab.open();
  lab.answer = (address, { signal }) =>
    new Promise((resolve) =>
      signal.addEventListener("abort", () => resolve(address.startsWith("d") ? DELIVERED : LATER))
    );
  const { queueId } = await lab.accept(sampleEnvelope(["a@x.example", "d@y.example"]));
  await settle();
  const draining = lab.runner.drain(5_000);
  await lab.advance(5_000);
  await draining;
  const states = (await lab.spool.load(queueId))?.recipients;
  assertEquals(states?.map(({ attempts }) => attempts), [0, 1]);
  assertEquals(states?.[1]?.lastOutcome?.action, "delivered");
});

Deno.test("a wall clock that is set back does not stop the retries", async () => {
  await using lab = await QueueLab.open();
  let tries = 0;
  lab.answer = () => ++tries < 3 ? LATER : DELIVERED;
  await lab.accept(sampleEnvelope(["a@x.example"]));
  await settle();
  lab.clock.setWall("2025-01-01T00:00:00Z");
  await lab.advance(2 * HOUR);
  assertEquals(lab.attempts.length, 3);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("a wall clock that was ahead before the restart delays by no more than the longest wait", async () => {
  const files = new MemoryFiles();
  {
    await using lab = await QueueLab.open({}, files, "2030-01-01T00:00:00Z");
    lab.answer = () => LATER;
    await lab.accept(sampleEnvelope(["a@x.example"]));
    await settle();
  }
  await using lab = await QueueLab.open({}, files, "2026-01-01T00:00:00Z");
  await lab.runner.start();
  await lab.advance(2 * HOUR);
  assertEquals(lab.attempts, ["a@x.example 66"]);
});

Deno.test("an operator's retry makes a message due at once", async () => {
  await using lab = await QueueLab.open();
  let tries = 0;
  lab.answer = () => ++tries < 2 ? LATER : DELIVERED;
  const { queueId } = await lab.accept(sampleEnvelope(["a@x.example"]));
  await settle();
  assertEquals(await lab.runner.retry("0000000000000000"), false);
  assertEquals(await lab.runner.retry(queueId), true);
  await lab.advance(1);
  assertEquals(lab.attempts, ["a@x.example 0", "a@x.example 0"]);
  assertEquals(await lab.onDisk(), []);
});

Deno.test("a message that an operator removed from disk is forgotten", async () => {
  await using lab = await QueueLab.open();
  lab.answer = () => LATER;
  const { queueId } = await lab.accept(sampleEnvelope(["a@x.example"]));
  await settle();
  await lab.spool.remove(queueId);
  await lab.advance(HOUR);
  assertEquals(lab.attempts, ["a@x.example 0"]);
  assertEquals(lab.runner.size, { active: 0, scheduled: 0 });
});

Deno.test("hundreds of messages with every kind of outcome all come to an end", async () => {
  await using lab = await QueueLab.open();
  let turn = 0;
  lab.answer = (address) => {
    if (address.startsWith("alice")) return DELIVERED;
    return [DELIVERED, LATER, NEVER, LATER, outcome("relayed", "2.0.0")][++turn % 5] ?? DELIVERED;
  };
  const envelopes = Array.from(
    { length: 200 },
    (_, i) => sampleEnvelope([`a@d${i % 7}.example`, `b@d${i % 11}.example`, `c@local.example`]),
  );
  await Promise.all(envelopes.map((envelope) => lab.accept(envelope)));
  for (let i = 0; i < 60 && (i === 0 || (await lab.onDisk()).length > 0); i++) await lab.advance(HOUR);
  assertEquals(await lab.onDisk(), []);
  assertEquals(lab.runner.size, { active: 0, scheduled: 0 });
});

Deno.test("a list with more members than the runtime takes arguments is delivered", async () => {
  await using lab = await QueueLab.open({ route: () => ({ kind: "hop", hop: { kind: "mx", domain: "x", key: "x" } }) });
  lab.answer = () => LATER;
  const members = Array.from({ length: 200_000 }, (_, i) => ({ address: `m${i}@x` }));
  await lab.accept(sampleEnvelope([], { recipients: members }));
  await lab.advance(1);
  assertEquals(lab.attempts.length, 200_000);
  assertEquals(lab.runner.size, { active: 0, scheduled: 1 });
});
