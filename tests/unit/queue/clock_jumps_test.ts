/** What the queue makes of a wall clock that jumps, while it runs and between two starts. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { SteadyClock } from "../../../lib/queue/steady_clock.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { MailPath, Outside, PATH_SETTINGS, untilEmpty } from "../../support/mail_path.ts";
import { MemoryFiles } from "../../support/memory_files.ts";
import { catchLog } from "../../support/queue_samples.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOON = Date.parse("2026-01-01T12:00:00Z");

/** Retries every 5, then 30 minutes; a warning after 20 minutes, the end after a day. */
const SETTINGS = { ...PATH_SETTINGS, expireAfterMs: DAY };

/** A machine with a queue that runs by a steady clock, on a disk that stays. */
async function start(files: MemoryFiles, outside: Outside, wallMs: number): Promise<
  AsyncDisposable & { readonly clock: FakeClock; readonly path: MailPath; readonly lines: string[] }
> {
  const log = await catchLog();
  const { logger, lines } = log;
  const clock = new FakeClock(wallMs, true);
  const queueClock = new SteadyClock({ clock, logger });
  const path = await MailPath.open({ files, clock, outside, queueClock, logger, settings: SETTINGS });
  path.runner.start();
  await clock.advance(1);
  return {
    clock,
    path,
    lines,
    [Symbol.asyncDispose]: async () => {
      await path[Symbol.asyncDispose]();
      await log[Symbol.asyncDispose]();
    },
  };
}

/** Attempts for a recipient, as the log tells them. */
function attempts(lines: readonly string[], address: string): string[] {
  return lines.filter((line) => line.includes(` for ${address} `) || line.includes(` to ${address} `));
}

Deno.test("a clock that is ten days ahead for half an hour gives up no mail, and warns of no delay that is none", async () => {
  const outside = new Outside();
  const files = new MemoryFiles();
  await using machine = await start(files, outside, NOON);
  const { clock, path } = machine;
  await clock.advance(2 * HOUR);
  await path.accept({ name: "m", recipients: ["dead@x.example"] });
  await clock.advance(MINUTE);
  clock.setWall(clock.now() + 10 * DAY);
  await clock.advance(6 * MINUTE);
  assertEquals(attempts(machine.lines, "dead@x.example").length, 2);
  assertEquals(outside.reports, []);
  await path.accept({ name: "new", recipients: ["later@y.example"] });
  await clock.advance(24 * MINUTE);
  clock.setWall(NOON + 2 * HOUR + 31 * MINUTE);
  await clock.advance(HOUR);
  assertEquals(outside.reports, ["m delayed dead@x.example"]);
  assertEquals(outside.taken, ["new later@y.example"]);
  await clock.advance(23 * HOUR);
  assertEquals(outside.reports, ["m delayed dead@x.example", "m failed dead@x.example"]);
  assertMatch(machine.lines.join("\n"), /was set ahead by 864000s; the queue goes on by the time before/);
});

for (const days of [10, -10]) {
  Deno.test(`after a jump by ${days} days for good mail is tried as often as planned, and comes to its end`, async () => {
    const outside = new Outside();
    const files = new MemoryFiles();
    await using machine = await start(files, outside, NOON);
    const { clock, path, lines } = machine;
    await clock.advance(2 * HOUR);
    await path.accept({ name: "m", recipients: ["dead@x.example"] });
    await clock.advance(10 * MINUTE);
    clock.setWall(clock.now() + days * DAY);
    const before = attempts(lines, "dead@x.example").length;
    await clock.advance(HOUR);
    const during = attempts(lines, "dead@x.example").length - before;
    assert(during >= 1 && during <= 2, `${during} attempts in an hour`);
    assert(await untilEmpty(files, clock, 50 * HOUR), lines.join("\n"));
    assertEquals(outside.reports, ["m delayed dead@x.example", "m failed dead@x.example"]);
    // A clock that was set back gives it its age once more: it is counted from the earliest time that was noted.
    const most = days > 0 ? 52 : 102;
    assert(attempts(lines, "dead@x.example").length <= most, "a storm of attempts");
  });

  Deno.test(`mail that waits while the machine is off, and comes back with the clock ${days} days off, is tried and then told of`, async () => {
    const outside = new Outside();
    const files = new MemoryFiles();
    {
      await using machine = await start(files, outside, NOON);
      await machine.path.accept({ name: "slow", recipients: ["later@x.example"] });
      await machine.path.accept({ name: "lost", recipients: ["dead@z.example"] });
      await machine.clock.advance(MINUTE);
      await machine.path.runner.drain(0);
      await machine.path.accept({ name: "untried", recipients: ["ann@y.example"] });
    }
    await using machine = await start(files, outside, NOON + days * DAY);
    const { clock, lines } = machine;
    await clock.advance(36 * MINUTE);
    assertEquals(outside.taken.toSorted(), ["slow later@x.example", "untried ann@y.example"]);
    assert(!lines.some((line) => line.includes("failed")), "given up at once");
    assert(await untilEmpty(files, clock, 50 * HOUR), lines.join("\n"));
    assertEquals(outside.reports.filter((line) => line.includes("failed")), ["lost failed dead@z.example"]);
  });
}

Deno.test("mail that arrived while the clock was years ahead is given up at its age by the right clock", async () => {
  const outside = new Outside();
  const files = new MemoryFiles();
  {
    await using machine = await start(files, outside, Date.parse("2036-01-01T00:00:00Z"));
    await machine.path.accept({ name: "m", recipients: ["dead@x.example"] });
    await machine.clock.advance(MINUTE);
  }
  await using machine = await start(files, outside, NOON);
  assert(await untilEmpty(files, machine.clock, 50 * HOUR), "it would be tried for ten years");
  assertEquals(outside.reports, ["m delayed dead@x.example", "m failed dead@x.example"]);
  assert(!machine.lines.some((line) => /after -\d/.test(line)), "a negative age in the log");
});
