import { assertEquals, assertRejects } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import { readMessage } from "../../../lib/queue/list_spool.ts";
import { openStoppedQueue, type StoppedQueue } from "../../../lib/queue/stopped_queue.ts";
import { isPending, isUnreported } from "../../../lib/queue/journal.ts";
import type { QueuedMessage } from "../../../lib/queue/spool.ts";
import { SpoolInUseError } from "../../../lib/queue/spool_lock.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { diskFull, MemoryFiles } from "../../support/memory_files.ts";
import { delayedEvent, openSpool, put, recoverAll, sampleEnvelope } from "../../support/queue_samples.ts";

const folder = "/data/spool";
const NOW = "2026-01-01T06:00:00.000Z";

function open(files: MemoryFiles): Promise<StoppedQueue> {
  const logger = getLogger(["test"]);
  return openStoppedQueue({ folder, files, clock: new FakeClock(NOW), logger, processId: 4712 });
}

/** A spool with one message to two recipients, both delayed once. */
async function withMessage(): Promise<{ files: MemoryFiles; id: string }> {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  const { queueId } = await put(spool, sampleEnvelope(["bob@x.example", "eve@y.example"]));
  await spool.append(queueId, [delayedEvent("450 4.2.0 later", [0, 1])]);
  return { files, id: queueId };
}

async function read(files: MemoryFiles, id: string): Promise<QueuedMessage> {
  const found = await readMessage(files, folder, id);
  if (found === undefined) throw new Error("the message is gone");
  return found.message;
}

Deno.test("hold stops a message, release lets it go and makes it due", async () => {
  const { files, id } = await withMessage();
  using queue = await open(files);
  assertEquals(await queue.hold(id), "done");
  assertEquals(await queue.hold(id), "done");
  assertEquals((await read(files, id)).isHeld, true);
  assertEquals(await queue.release(id), "done");
  const { isHeld, recipients } = await read(files, id);
  assertEquals([isHeld, ...recipients.map(({ nextAttemptMs }) => nextAttemptMs)], [
    false,
    Date.parse(NOW),
    Date.parse(NOW),
  ]);
  const events = (await readMessage(files, folder, id))?.events.map(({ event }) => event);
  assertEquals(events, ["attempt", "held", "released"], "holding twice is written once");
});

Deno.test("retry makes a message due", async () => {
  const { files, id } = await withMessage();
  using queue = await open(files);
  assertEquals(await queue.retry(id), "done");
  assertEquals((await read(files, id)).recipients[1]?.nextAttemptMs, Date.parse(NOW));
});

Deno.test("fail leaves recipients that failed with the reason, for the next start to report; a held one is let go for that", async () => {
  const { files, id } = await withMessage();
  using queue = await open(files);
  await queue.hold(id);
  assertEquals(await queue.fail(id, "The server of x.example is no more"), "done");
  const message = await read(files, id);
  assertEquals(message.isHeld, false);
  assertEquals(message.recipients.filter(isUnreported).length, 2);
  assertEquals(message.recipients[0]?.lastOutcome, {
    action: "failed",
    status: "5.0.0",
    text: "The server of x.example is no more",
    isRemoteReply: false,
  });
});

Deno.test("fail changes only recipients that are still waiting", async () => {
  const { files, id } = await withMessage();
  {
    await using spool = await openSpool(files);
    const outcome = { action: "relayed", status: "2.0.0", text: "250 fine", isRemoteReply: true } as const;
    await spool.append(id, [{ event: "attempt", at: NOW, recipients: [0], outcome }]);
  }
  using queue = await open(files);
  await queue.fail(id, "enough");
  assertEquals((await read(files, id)).recipients.map(({ lastOutcome }) => lastOutcome?.action), ["relayed", "failed"]);
});

Deno.test("a removed message stays away after a power loss", async () => {
  const { files, id } = await withMessage();
  using queue = await open(files);
  assertEquals(await queue.remove(id), "done");
  assertEquals(await queue.remove(id), "unknown");
  assertEquals(await readMessage(files.afterCrash(() => false), folder, id), undefined);
});

Deno.test("what is not there is unknown to every change, and nothing is made", async () => {
  const { files } = await withMessage();
  using queue = await open(files);
  const before = [...files.tree(folder).keys()];
  for (const id of ["2tb1k9q7x0m2had4", "../../etc/passwd", ""]) {
    assertEquals(
      [
        await queue.hold(id),
        await queue.release(id),
        await queue.retry(id),
        await queue.remove(id),
        await queue.fail(id, "x"),
      ],
      ["unknown", "unknown", "unknown", "unknown", "unknown"],
    );
  }
  assertEquals([...files.tree(folder).keys()], before);
});

Deno.test("a suspension is kept for the next start", async () => {
  const { files } = await withMessage();
  {
    using queue = await open(files);
    assertEquals(await queue.suspend("x.example", "maintenance"), true);
  }
  using queue = await open(files);
  assertEquals(queue.suspensions().map(({ pattern, reason }) => [pattern, reason]), [["x.example", "maintenance"]]);
  assertEquals(await queue.resume("x.example"), true);
  assertEquals(queue.suspensions(), []);
});

/** The states in which a change may be found after a crash: as before, or as asked; for a held one that fails, between. */
const SEEN: Readonly<Record<string, readonly string[]>> = {
  hold: ["waiting", "held"],
  retry: ["waiting"],
  remove: ["waiting", "gone"],
  fail: ["waiting", "failed"],
  "fail of a held one": ["held", "failed held", "failed"],
};

function summary(message: QueuedMessage | undefined): string {
  if (message === undefined) return "gone";
  const isWaiting = message.recipients.every(isPending);
  if (isWaiting) return message.isHeld ? "held" : "waiting";
  return message.recipients.every(isUnreported) ? message.isHeld ? "failed held" : "failed" : "something between";
}

for (const [name, expected] of Object.entries(SEEN)) {
  Deno.test(`power loss at any step of ${name} leaves the message as before or as asked`, async () => {
    const seen = new Set<string>();
    for (let step = 1; step < 200; step++) {
      const { files, id } = await withMessage();
      if (name.endsWith("held one")) {
        using queue = await open(files);
        await queue.hold(id);
      }
      const start = files.operations;
      files.fault = ({ count }) => {
        if (count - start >= step) throw new Error("the power is gone");
      };
      const change = async (): Promise<void> => {
        using queue = await open(files);
        const action = name.startsWith("fail") ? "fail" : name;
        if (action === "fail") await queue.fail(id, "enough");
        else if (action === "hold" || action === "retry" || action === "remove") await queue[action](id);
      };
      const isDone = await change().then(() => true, () => false);
      let isOdd = false;
      for (const survives of [(): boolean => true, (): boolean => false, (): boolean => isOdd = !isOdd]) {
        const disk = files.afterCrash(survives);
        await using spool = await openSpool(disk);
        const state = summary((await recoverAll(spool)).get(id));
        seen.add(state);
        if (isDone) assertEquals(state, expected.at(-1), "what was done is done");
        else if (!expected.includes(state)) throw new Error(`step ${step} of ${name}: the message is ${state}`);
      }
      if (isDone) break;
    }
    assertEquals([...seen].filter((state) => !expected.includes(state)), []);
  });
}

Deno.test("a full disk is told, and the message stays as it was", async () => {
  const { files, id } = await withMessage();
  using queue = await open(files);
  files.fault = ({ name }) => {
    if (name === "write") throw diskFull();
  };
  await assertRejects(() => queue.hold(id), Error, "No space left");
  files.fault = undefined;
  assertEquals((await read(files, id)).isHeld, false);
});

Deno.test("while a server has the lock, the queue cannot be opened, and a failure to open gives the lock back", async () => {
  const path = await Deno.makeTempDir();
  try {
    const { systemFiles } = await import("../../../lib/system/files.ts");
    const options = { folder: path, files: systemFiles, clock: new FakeClock(), logger: getLogger(["test"]) };
    {
      using _first = await openStoppedQueue({ ...options, processId: 1 });
      await assertRejects(() => openStoppedQueue({ ...options, processId: 2 }), SpoolInUseError, "process 1");
    }
    await Deno.mkdir(`${path}/suspensions`);
    await assertRejects(() => openStoppedQueue({ ...options, processId: 3 }));
    await Deno.remove(`${path}/suspensions`);
    using _again = await openStoppedQueue({ ...options, processId: 4 });
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
