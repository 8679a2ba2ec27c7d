/**
 * The whole path of a message, from its commit to its last record, on machines that stop at every single operation of
 * the disk: what was acknowledged is delivered or reported, and twice only where nothing could know better.
 */

import { assert, assertEquals } from "@std/assert";
import { FakeClock } from "../support/fake_clock.ts";
import {
  destinyOf,
  folderTree,
  mailboxes,
  MailPath,
  Outside,
  type PathMessage,
  type Told,
  toldSoFar,
  untilEmpty,
} from "../support/mail_path.ts";
import { coin, MemoryFiles } from "../support/memory_files.ts";

const HOUR = 3_600_000;

/** One and three recipients; delivered, delayed first, failed, expired; small and large. */
const MESSAGES: readonly PathMessage[] = [
  { name: "local", recipients: ["bob@local.example"] },
  { name: "remote", recipients: ["ann@x.example"] },
  { name: "slow", recipients: ["later@x.example"] },
  { name: "refused", recipients: ["never@x.example"] },
  { name: "mixed", recipients: ["bob@local.example", "later@y.example", "never@x.example"] },
  { name: "expires", recipients: ["ann@x.example", "dead@z.example", "carl@local.example"], contentOctets: 9_000 },
  { name: "bounce", recipients: ["never@x.example"], reversePath: "" },
  { name: "two", recipients: ["bob@local.example", "carl@local.example"] },
  { name: "long", recipients: ["carl@local.example"], contentOctets: 12_000 },
];

/** What is left of a machine that stopped. */
interface Remains {
  readonly files: MemoryFiles;
  readonly outside: Outside;
  readonly told: Told;
  readonly wallMs: number;
}

/** Lives until the n-th operation of the disk, which and after which nothing happens any more; or to the end. */
async function live(stopAt: number, before?: Remains, isDirect = false): Promise<Remains> {
  const files = before?.files ?? new MemoryFiles();
  const outside = before?.outside ?? new Outside();
  const told = before?.told ?? toldSoFar();
  const clock = new FakeClock(before?.wallMs, true);
  let isOver = false;
  const stopped = Promise.withResolvers<void>();
  files.fault = ({ count }): void => {
    if (count >= stopAt) isOver = true;
    if (!isOver) return;
    stopped.resolve();
    throw new Error("The machine stopped");
  };
  try {
    const path = await MailPath.open({ files, clock, outside, told, isOver: () => isOver, isDirect });
    // A start that cannot read the spool would wait for better times.
    await Promise.race([path.runner.start(), stopped.promise]);
    for (const message of before === undefined ? MESSAGES : []) await path.accept(message);
    assert(await untilEmpty(files, clock, 10 * HOUR, () => isOver), "the queue never got empty");
    if (!isOver) await path[Symbol.asyncDispose]();
  } catch (error) {
    if (!isOver) throw error;
  }
  files.fault = undefined;
  return { files, outside, told, wallMs: clock.now() };
}

/** `name recipient` of each delivery up to now. */
function arrivals({ files, outside }: Remains): string[] {
  return [...outside.taken, ...mailboxes(files, MESSAGES)];
}

/** Starts on what the crash left, lets everything come to its end, and compares it with what was told. */
async function check(
  remains: Remains,
  isPowerLoss: boolean,
  where: string,
  most = 2,
): Promise<void> {
  const { files, outside, told, wallMs } = remains;
  const before = arrivals(remains);
  await live(Infinity, { files, outside, told: toldSoFar(told), wallMs: wallMs + 60_000 });
  assertEquals(folderTree(files, "/data/spool/broken").size, 0, `${where}: something half-written was visible`);
  assertEquals(folderTree(files, "/data/spool/incoming").size, 0, `${where}: incoming was not cleared`);
  const arrived = arrivals(remains);
  for (const { name, recipients, reversePath } of MESSAGES) {
    for (const address of recipients) {
      const which = `${name} ${address}`;
      const copies = arrived.filter((each) => each === which).length;
      const reports = outside.reports.filter((line) => line === `${name} failed ${address}`).length;
      const isAccepted = told.accepted.has(name);
      if (destinyOf(address) === "delivered") {
        assert(copies > 0 || !isAccepted, `${where}: ${which} was acknowledged and is lost`);
        assert(copies <= most, `${where}: ${which} came ${copies} times`);
        // A removal is not synced: after a power loss its message may be back (`FileSpool.remove`).
        const isRecorded = told.recorded.has(which) || (told.removed.has(name) && !isPowerLoss);
        // A life before may have ended between a delivery and its record: then the record is about the second copy.
        const copiesBefore = before.filter((each) => each === which).length;
        if (isRecorded) assertEquals(copies, copiesBefore, `${where}: ${which} was delivered again after its record`);
        if (isRecorded && most === 2) assertEquals(copies, 1, `${where}: ${which} was delivered twice in one life`);
        assertEquals(reports, 0, `${where}: ${which} was reported as failed`);
      } else {
        assertEquals(copies, 0);
        if (reversePath === "") assertEquals(reports, 0, `${where}: ${which} must not be reported`);
        else assert(reports > 0 || !isAccepted, `${where}: the failure of ${which} was never reported`);
        assert(reports <= most, `${where}: ${which} was reported ${reports} times`);
      }
      const warnings = outside.reports.filter((line) => line === `${name} delayed ${address}`).length;
      assert(warnings <= most, `${where}: ${warnings} warnings of ${which}`);
    }
  }
}

/** The same course of events with the disk as the crash may have left it: several ends are tried for one crash. */
function afterCrash({ files, outside, told, wallMs }: Remains, survives: () => boolean): Remains {
  return { files: files.afterCrash(survives), outside: outside.copy(), told: toldSoFar(told), wallMs };
}

async function countOperations(): Promise<number> {
  const { files, outside } = await live(Infinity);
  assert(files.operations > 150, `only ${files.operations} operations`);
  assertEquals(outside.reports.toSorted(), [
    "expires delayed dead@z.example",
    "expires failed dead@z.example",
    "mixed failed never@x.example",
    "refused failed never@x.example",
  ]);
  return files.operations;
}

Deno.test("kill -9 at any operation between commit and last record: all is delivered or reported, once unless it was unrecorded", async () => {
  const operations = await countOperations();
  for (let n = 1; n <= operations; n++) {
    await check(afterCrash(await live(n), () => true), false, `operation ${n}`);
  }
});

Deno.test("power loss at any operation between commit and last record: all is delivered or reported", async () => {
  const operations = await countOperations();
  for (let n = 1; n <= operations; n++) {
    const remains = await live(n);
    await check(afterCrash(remains, () => false), true, `operation ${n}, nothing unsynced is there`);
    await check(afterCrash(remains, coin(n)), true, `operation ${n}, some of it is there`);
  }
});

Deno.test("a second crash while the first is being recovered from loses nothing either", async () => {
  const operations = await countOperations();
  for (let n = 3; n <= operations; n += 5) {
    const isPowerLoss = n % 2 === 0;
    const survives = isPowerLoss ? coin(n) : (): boolean => true;
    const remains = afterCrash(await live(n), survives);
    const recorded = [...remains.told.recorded];
    const copies = (): number[] => recorded.map((which) => arrivals(remains).filter((each) => each === which).length);
    const before = copies();
    const again = await live(1 + (n * 7) % 30, remains);
    assertEquals(copies(), before, `operation ${n}: delivered again after its record`);
    await check(afterCrash(again, survives), isPowerLoss, `operation ${n}, and again`, 3);
  }
});

Deno.test("kill -9 or power loss at any operation while mail goes straight into its mailboxes: what was acknowledged is there", async () => {
  const { files } = await live(Infinity, undefined, true);
  const ways = [(): boolean => true, (): boolean => false, coin(1)];
  for (let n = 1; n <= files.operations; n++) {
    const remains = await live(n, undefined, true);
    for (const survives of ways) {
      await check(afterCrash(remains, survives), survives !== ways[0], `operation ${n}`);
    }
  }
});
