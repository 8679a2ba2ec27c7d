/** What the queue makes of hands in its folders while it runs: files and folders removed, copied in, or not readable. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { FakeClock } from "../../support/fake_clock.ts";
import { folderTree, mailboxes, MailPath, Outside, type PathMessage, untilEmpty } from "../../support/mail_path.ts";
import { MemoryFiles } from "../../support/memory_files.ts";
import { catchLog, openSpool, put, recoverAll } from "../../support/queue_samples.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const QUEUE = "/data/spool/queue";

class Machine implements AsyncDisposable {
  private constructor(
    readonly files: MemoryFiles,
    readonly clock: FakeClock,
    readonly outside: Outside,
    readonly path: MailPath,
    readonly log: Awaited<ReturnType<typeof catchLog>>,
  ) {}

  static async start(files: MemoryFiles = new MemoryFiles(), outside: Outside = new Outside()): Promise<Machine> {
    const log = await catchLog();
    const clock = new FakeClock(undefined, true);
    const path = await MailPath.open({ files, clock, outside, logger: log.logger });
    path.runner.start();
    await clock.advance(1);
    return new Machine(files, clock, outside, path, log);
  }

  get queued(): string[] {
    return [...this.files.tree(QUEUE).keys()];
  }

  async accept(message: PathMessage): Promise<void> {
    await this.path.accept(message);
    await this.clock.advance(1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.path[Symbol.asyncDispose]();
    await this.log[Symbol.asyncDispose]();
  }
}

Deno.test("a message that waits and is removed by hand is forgotten, and nobody is told", async () => {
  await using machine = await Machine.start();
  await machine.accept({ name: "m", recipients: ["dead@x.example", "later@y.example"] });
  for (const path of machine.queued) await machine.files.remove(path);
  await machine.clock.advance(5 * HOUR);
  assertEquals([machine.outside.taken, machine.outside.reports], [[], []]);
  assertEquals(machine.path.runner.size, { active: 0, scheduled: 0 });
});

Deno.test("a message that is removed by hand while its outcome is recorded ends with one line, its report is sent", async () => {
  await using machine = await Machine.start();
  const { files, log, outside } = machine;
  let isRemoved = false;
  files.fault = ({ name, path }): void => {
    if (isRemoved || name !== "open" || !path.startsWith(`${QUEUE}/`) || !/\/\w{16}$/.test(path)) return;
    isRemoved = true;
    files.remove(path);
  };
  await machine.accept({ name: "m", recipients: ["never@x.example", "dead@x.example"] });
  await machine.clock.advance(5 * HOUR);
  assert(isRemoved);
  assertEquals(outside.reports, ["m failed never@x.example"]);
  assertEquals(log.lines.filter((line) => line.includes("was removed while it was worked on")).length, 1);
  assertEquals(machine.path.runner.size, { active: 0, scheduled: 0 });
});

for (const removed of ["queue/..", "queue", "incoming"]) {
  Deno.test(`the folder ${removed}, removed by hand, is there again for the second message, durably`, async () => {
    await using machine = await Machine.start();
    const { files, outside } = machine;
    await machine.accept({ name: "first", recipients: ["ann@x.example"] });
    if (removed !== "incoming") {
      for (const bucket of await buckets(files)) await files.remove(`${QUEUE}/${bucket}`);
    }
    if (removed !== "queue/..") await files.remove(`/data/spool/${removed}`);
    const second = { name: "second", recipients: ["dead@x.example"] };
    await assertRejects(() => machine.accept(second), Deno.errors.NotFound);
    await machine.accept(second);
    assertEquals(machine.queued.length, 1);
    // Nothing is taken for durable that a folder of the same name made durable before.
    await using after = await openSpool(files.afterCrash(() => false));
    assertEquals((await recoverAll(after)).size, 1);
    assertEquals(outside.taken, ["first ann@x.example"]);
  });
}

async function buckets(files: MemoryFiles): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isDirectory } of files.list(QUEUE)) if (isDirectory) names.push(name);
  return names;
}

Deno.test("a queue file that is copied in while the server runs is delivered after the next start", async () => {
  const outside = new Outside();
  const files = new MemoryFiles();
  {
    await using machine = await Machine.start(files, outside);
    await machine.accept({ name: "m", recipients: ["later@x.example", "dead@y.example"] });
    const [path = ""] = machine.queued;
    const backup = files.tree(QUEUE).get(path);
    assert(backup !== undefined);
    await machine.clock.advance(2 * HOUR);
    assertEquals(machine.queued, []);
    files.overwrite(path, backup);
    await machine.clock.advance(2 * HOUR);
    assertEquals(machine.queued, [path]);
  }
  await using machine = await Machine.start(files, outside);
  assert(await untilEmpty(files, machine.clock, 5 * HOUR));
  assertEquals(outside.taken, ["m later@x.example", "m later@x.example"]);
});

Deno.test("what a crash left in incoming/ is cleared at the start, and a folder there is named and left", async () => {
  const files = new MemoryFiles();
  await (await openSpool(files))[Symbol.asyncDispose]();
  files.overwrite("/data/spool/incoming/0000000000000000", new Uint8Array(10));
  await files.makeFolder("/data/spool/incoming/somebody");
  files.overwrite("/data/spool/incoming/somebody/file", new Uint8Array(10));
  await using machine = await Machine.start(files);
  assertEquals([...files.tree("/data/spool/incoming").keys()], ["/data/spool/incoming/somebody/file"]);
  assertMatch(machine.log.lines.join("\n"), /Cannot remove \/data\/spool\/incoming\/somebody, which/);
  await machine.accept({ name: "m", recipients: ["bob@local.example"] });
  assertEquals(mailboxes(files, [{ name: "m", recipients: [] }]), ["m bob@local.example"]);
});

Deno.test("a message that was refused and could not be taken back is found by nobody, and goes when the disk lets it", async () => {
  await using log = await catchLog();
  const files = new MemoryFiles();
  await using spool = await openSpool(files, { logger: log.logger });
  await put(spool);
  const [known = ""] = files.tree(QUEUE).keys();
  files.fault = ({ name, path }): void => {
    if (name === "remove" || (name === "sync" && path.startsWith(QUEUE))) {
      throw new Error("Input/output error (os error 5)");
    }
  };
  await assertRejects(() => put(spool), Error, 'Cannot sync folder "/data/spool/queue/');
  assertEquals(files.tree(QUEUE).size, 2);
  assertEquals((await recoverAll(spool)).size, 1, "ETRN reads the queue, and must not find it");
  assertMatch(log.lines.join("\n"), /Cannot remove .*\/queue\/.*; will try again when the next one is stored/);
  files.fault = undefined;
  await put(spool);
  const left = [...files.tree(QUEUE).keys()];
  assert(left.length === 2 && left.includes(known));
});

Deno.test("where a folder cannot be synced, no message that shares this sync is acknowledged, and none is left", async () => {
  const files = new MemoryFiles();
  await using spool = await openSpool(files);
  await put(spool);
  let isFailing = true;
  files.fault = ({ name, path }): void => {
    if (isFailing && name === "sync" && path.startsWith(`${QUEUE}/`)) {
      throw new Error("Input/output error (os error 5)");
    }
  };
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => put(spool)));
  assertEquals(results.filter(({ status }) => status === "fulfilled"), []);
  assertEquals(files.tree(QUEUE).size, 1);
  assertEquals(folderTree(files, "/data/spool/incoming").size, 0);
  isFailing = false;
  await put(spool);
  assertEquals(files.tree(QUEUE).size, 2);
});
