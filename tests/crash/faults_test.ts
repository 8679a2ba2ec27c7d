/**
 * Disk errors at every single operation of the whole path, for a moment and for a while, without a crash: nothing is
 * lost, nothing comes twice, the log says what and where, and all goes on by itself when the disk does.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeClock } from "../support/fake_clock.ts";
import {
  destinyOf,
  folderTree,
  mailboxes,
  MailPath,
  Outside,
  type PathMessage,
  toldSoFar,
  untilEmpty,
} from "../support/mail_path.ts";
import { type FileOperation, MemoryFiles } from "../support/memory_files.ts";
import { catchLog } from "../support/queue_samples.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const MESSAGES: readonly PathMessage[] = [
  { name: "local", recipients: ["bob@local.example"] },
  { name: "refused", recipients: ["never@x.example"] },
  { name: "mixed", recipients: ["bob@local.example", "later@y.example", "never@x.example"] },
  { name: "expires", recipients: ["ann@x.example", "dead@z.example", "carl@local.example"], contentOctets: 9_000 },
];

interface Fault {
  readonly name: string;
  readonly words: string;
  /** Operations that give this error. */
  readonly at: readonly FileOperation["name"][];
}

const ON_PATHS: Fault["at"] = ["open", "rename", "remove", "makeFolder", "list"];
const ON_FILES: Fault["at"] = ["read", "write", "syncData", "sync", "truncate"];

const FAULTS: readonly Fault[] = [
  { name: "EIO", words: "Input/output error (os error 5)", at: [...ON_PATHS, ...ON_FILES] },
  {
    name: "ENOSPC",
    words: "No space left on device (os error 28)",
    at: ["open", "write", "syncData", "sync", "makeFolder", "rename"],
  },
  { name: "EMFILE", words: "Too many open files (os error 24)", at: ["open", "list"] },
  {
    name: "EROFS",
    words: "Read-only file system (os error 30)",
    at: ["open", "write", "truncate", "rename", "remove", "makeFolder"],
  },
  { name: "EACCES", words: "Permission denied (os error 13)", at: ON_PATHS },
];

/** As Deno throws it: the system's words, the path where one was given, and `code`. */
function systemError({ name: code, words }: Fault, { name, path }: FileOperation): Error {
  const message = ON_PATHS.includes(name) ? `${words}: ${name} '${path}'` : words;
  const error = code === "EACCES" ? new Deno.errors.PermissionDenied(message) : new Error(message);
  return Object.assign(error, { code });
}

/** A fault that begins at an operation. */
interface Plan {
  readonly fault: Fault;
  /** Counted from 1, with reading. */
  readonly startAt: number;
  /** It stays for this long; 0: it hits one operation. */
  readonly lastsMs: number;
}

/** What a machine went through. */
interface Course {
  readonly files: MemoryFiles;
  readonly outside: Outside;
  readonly accepted: ReadonlySet<string>;
  readonly lines: readonly string[];
  /** The operations that failed, `name path`. */
  readonly hits: readonly string[];
  /** Operations in all, with reading. */
  readonly operations: number;
}

/** Lives with a fault; where `isRestart`, all mail is in the queue before and the fault begins with `start`. */
async function live(plan: Plan | undefined, isRestart: boolean): Promise<Course> {
  await using log = await catchLog();
  const files = new MemoryFiles();
  const clock = new FakeClock(undefined, true);
  const outside = new Outside();
  const told = toldSoFar();
  if (isRestart) {
    await using stopped = await MailPath.open({ files, clock, outside, told });
    await stopped.runner.drain(0);
    for (const message of MESSAGES) await stopped.accept(message);
  }
  const hits: string[] = [];
  let operations = 0;
  {
    await using path = await MailPath.open({ files, clock, outside, told, logger: log.logger });
    let endMs: number | undefined;
    files.fault = (operation): void => {
      operations++;
      if (plan === undefined || !plan.fault.at.includes(operation.name)) return;
      if (endMs === undefined ? operations < plan.startAt : clock.monotonic() >= endMs) return;
      endMs ??= clock.monotonic() + plan.lastsMs;
      hits.push(`${operation.name} ${operation.path}`);
      throw systemError(plan.fault, operation);
    };
    path.runner.start();
    await clock.advance(1);
    if (!isRestart) {
      for (const message of MESSAGES) {
        // Who is told 4yz tries again.
        for (let tries = 0; !told.accepted.has(message.name); tries++) {
          assert(tries < 10, `${message.name} is never accepted`);
          await path.accept(message).catch((error: Error) =>
            assertMatch(error.message, /"?\/data\/spool.*os error|os error.*\/data\/spool/)
          );
          if (!told.accepted.has(message.name)) await clock.advance(10 * MINUTE);
        }
      }
    }
    assert(await untilEmpty(files, clock, 12 * HOUR), `the queue never got empty\n${log.lines.join("\n")}`);
    files.fault = undefined;
  }
  return { files, outside, accepted: told.accepted, lines: log.lines, hits, operations };
}

/** Nothing is lost or doubled. What failed to be taken back may come twice: `isUndone` says that this happened. */
function check({ files, outside, accepted, lines, hits }: Course, where: string): void {
  const isUndone = hits.some((hit) => hit.startsWith("remove"));
  const arrived = [...outside.taken, ...mailboxes(files, MESSAGES)];
  const detail = `\n${where}\nhits: ${hits.slice(0, 5).join(", ")}\n${lines.join("\n")}`;
  for (const { name, recipients } of MESSAGES) {
    assert(accepted.has(name), `${name} was not accepted${detail}`);
    for (const address of recipients) {
      const copies = arrived.filter((each) => each === `${name} ${address}`).length;
      const reports = outside.reports.filter((line) => line === `${name} failed ${address}`).length;
      const [isDelivered, isReported] = destinyOf(address) === "delivered" ? [1, 0] : [0, 1];
      if (isUndone && copies > 1) continue;
      if (isUndone && reports > 1) continue;
      assertEquals([copies, reports], [isDelivered, isReported], `${name} ${address}${detail}`);
    }
  }
  // Where making a mailbox could not be synced, its folders are there for the next attempt, which takes them as they are.
  const isMade = !hits.some((hit) => /^(sync|open) \/data(\/mail(\/local\.example(\/\w+)?)?)?$/.test(hit));
  const durable = new Set(mailboxes(files.afterCrash(() => false), MESSAGES));
  if (isMade) assertEquals(durable, new Set(mailboxes(files, MESSAGES)), `not durable${detail}`);
  assertEquals(folderTree(files, "/data/spool/broken").size, 0, `something was set aside${detail}`);
  assertEquals(files.openHandles, 0, `handles left open${detail}`);
  for (const line of lines) {
    if (!line.includes("os error")) continue;
    assertMatch(line, /\/data\/(spool|mail)|\b[0-9a-hjkmnp-tv-z]{16}\b/, "a line that names neither file nor message");
  }
}

/** `deno task test` takes some of the operations, `deno task test:fuzz` all of them. */
const THINNED = Deno.env.get("POSTHORN_FUZZ_TIMES") === undefined ? 3 : 1;

async function campaign(isRestart: boolean, lastsMs: number, every: number): Promise<void> {
  const step = every * THINNED;
  const { operations } = await live(undefined, isRestart);
  assert(operations > 40, `only ${operations} operations`);
  let hits = 0;
  for (let n = 1; n <= operations; n += step) {
    for (const [i, fault] of FAULTS.entries()) {
      // Each operation gets the input/output error, and in turn one of the others.
      if (i > 0 && n % (FAULTS.length - 1) !== i - 1) continue;
      const course = await live({ fault, startAt: n, lastsMs }, isRestart);
      hits += course.hits.length;
      check(course, `${fault.name} from operation ${n} on, for ${lastsMs / MINUTE} minutes`);
    }
  }
  assert(hits > operations / step, "the faults hit nothing");
}

Deno.test("an error of any one operation on the way loses nothing and doubles nothing", () => campaign(false, 0, 1));

Deno.test("a disk that fails for 20 minutes from any operation on loses nothing and doubles nothing", () =>
  campaign(false, 20 * MINUTE, 2));

Deno.test("an error of any one operation at a start with mail in the queue loses nothing and doubles nothing", () =>
  campaign(true, 0, 2));

Deno.test("a disk that fails for 20 minutes from any operation of a start on loses nothing and doubles nothing", () =>
  campaign(true, 20 * MINUTE, 2));
