import { assert, assertEquals } from "@std/assert";
import type { Spool } from "../../../lib/queue/spool.ts";
import { QueueRunner } from "../../../lib/queue/runner.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { diskFull, MemoryFiles } from "../../support/memory_files.ts";
import { PATH_SETTINGS } from "../../support/mail_path.ts";
import { catchLog, openSpool, outcome, put, recoverAll, sampleEnvelope } from "../../support/queue_samples.ts";

/** A queue on a spool whose operations a test may hold up. */
async function start(change: (spool: Spool) => Partial<Spool>): Promise<
  AsyncDisposable & {
    readonly clock: FakeClock;
    readonly files: MemoryFiles;
    readonly spool: Spool;
    readonly runner: QueueRunner;
    readonly lines: string[];
  }
> {
  const log = await catchLog();
  const files = new MemoryFiles();
  const clock = new FakeClock(undefined, true);
  const real = await openSpool(files, { clock });
  const spool: Spool = {
    receive: () => real.receive(),
    load: (queueId) => real.load(queueId),
    append: (queueId, events) => real.append(queueId, events),
    remove: (queueId) => real.remove(queueId),
    recover: (unreadable) => real.recover(unreadable),
    [Symbol.asyncDispose]: () => real[Symbol.asyncDispose](),
    ...change(real),
  };
  const runner = new QueueRunner({
    spool,
    clock,
    logger: log.logger,
    route: () => ({ kind: "hop", hop: { kind: "mx", domain: "x.example", key: "mx:x.example" } }),
    deliver: ({ recipients }) =>
      Promise.resolve(
        recipients.map(({ address }) =>
          address.startsWith("later") ? outcome("delayed", "4.2.0") : outcome("relayed", "2.0.0")
        ),
      ),
    reporter: { report: () => Promise.resolve(undefined) },
    settings: PATH_SETTINGS,
    random: () => 0,
  });
  return {
    clock,
    files,
    spool: real,
    runner,
    lines: log.lines,
    [Symbol.asyncDispose]: async () => {
      await runner[Symbol.asyncDispose]();
      await real[Symbol.asyncDispose]();
      await log[Symbol.asyncDispose]();
    },
  };
}

Deno.test("drain waits for an outcome that is being recorded just then, also at a later try", async () => {
  const gate = Promise.withResolvers<void>();
  let appends = 0;
  await using lab = await start((real) => ({
    append: async (queueId, events) => {
      if (++appends === 1) throw diskFull();
      await gate.promise;
      await real.append(queueId, events);
    },
  }));
  lab.runner.enqueue(await put(lab.spool, sampleEnvelope(["ann@x.example", "later@x.example"])));
  await lab.clock.advance(1_000);
  assertEquals(appends, 2);
  let isDrained = false;
  const draining = lab.runner.drain(0).then(() => isDrained = true);
  await lab.clock.advance(10_000);
  assert(!isDrained, "the process would end in the middle of the record");
  gate.resolve();
  await draining;
  const [message] = (await recoverAll(lab.spool)).values();
  assertEquals(message?.recipients.map(({ lastOutcome }) => lastOutcome?.action), ["relayed", "delayed"]);
  assertEquals(appends, 2);
});

Deno.test("where a message cannot be removed, its journal says that it was delivered: a crash brings no second copy", async () => {
  await using lab = await start(() => ({
    remove: () => Promise.reject(new Error("Input/output error (os error 5)")),
  }));
  lab.runner.enqueue(await put(lab.spool, sampleEnvelope(["ann@x.example"])));
  await lab.clock.advance(1);
  const crashed = lab.files.afterCrash(() => false);
  await using spool = await openSpool(crashed);
  const [message] = (await recoverAll(spool)).values();
  assertEquals(message?.recipients[0]?.lastOutcome?.action, "relayed");
});
