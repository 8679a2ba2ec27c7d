import { assertEquals, assertMatch } from "@std/assert";
import { SteadyClock } from "../../../lib/queue/steady_clock.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { catchLog } from "../../support/queue_samples.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.parse("2026-01-01T00:00:00Z");

/** A clock that runs for two hours already, and so no longer follows at once. */
async function running(): Promise<
  AsyncDisposable & {
    readonly clock: FakeClock;
    readonly steady: SteadyClock;
    readonly lines: string[];
    /** What the steady clock shows, as minutes since the start; asked every minute meanwhile. */
    after(ms: number): Promise<number>;
  }
> {
  const log = await catchLog();
  const clock = new FakeClock(START, true);
  const steady = new SteadyClock({ clock, logger: log.logger });
  const after = async (ms: number): Promise<number> => {
    for (let at = 0; at < ms; at += MINUTE) {
      await clock.advance(MINUTE);
      steady.now();
    }
    return (steady.now() - START) / MINUTE;
  };
  await after(2 * HOUR);
  return { clock, steady, lines: log.lines, after, [Symbol.asyncDispose]: () => log[Symbol.asyncDispose]() };
}

for (const [days, direction] of [[10, "ahead"], [-10, "back"]] as const) {
  Deno.test(`a clock that is set ${direction} by 10 days by mistake changes nothing, with one line each way`, async () => {
    await using lab = await running();
    lab.clock.setWall(lab.clock.now() + days * DAY);
    assertEquals(await lab.after(50 * MINUTE), 170);
    lab.clock.setWall(START + 2 * HOUR + 50 * MINUTE);
    assertEquals(await lab.after(3 * HOUR), 350);
    assertEquals(lab.lines.length, 2);
    assertMatch(
      lab.lines[0] ?? "",
      new RegExp(`was set ${direction} by 864000s; the queue goes on by the time before`),
    );
    assertMatch(lab.lines[1] ?? "", /back at the time before/);
  });

  Deno.test(`a clock that is set ${direction} by 10 days for good is followed after an hour`, async () => {
    await using lab = await running();
    lab.clock.setWall(lab.clock.now() + days * DAY);
    assertEquals(await lab.after(59 * MINUTE), 179);
    assertEquals(await lab.after(2 * MINUTE), days * 1440 + 181);
    assertEquals(lab.lines.length, 2);
    assertMatch(lab.lines[1] ?? "", new RegExp(`now follows the clock of this machine, 864000s ${direction}`));
  });
}

Deno.test("a clock that jumps again and again is not followed before it rests", async () => {
  await using lab = await running();
  for (let jump = 1; jump <= 4; jump++) {
    lab.clock.setWall(lab.clock.now() + DAY);
    assertEquals(await lab.after(40 * MINUTE), 120 + jump * 40);
  }
  assertEquals(await lab.after(30 * MINUTE), 4 * 1440 + 310);
});

Deno.test("corrections of minutes are followed without a word", async () => {
  await using lab = await running();
  for (const minutes of [4, -3, 5, -5]) {
    lab.clock.setWall(lab.clock.now() + minutes * MINUTE);
    assertEquals(lab.steady.now(), lab.clock.now());
  }
  assertEquals(lab.lines, []);
});

Deno.test("in the first hour after the start the clock is followed at once: that is when a machine learns the time", async () => {
  await using log = await catchLog();
  const clock = new FakeClock("1970-01-01T00:00:10Z", true);
  const steady = new SteadyClock({ clock, logger: log.logger });
  await clock.advance(30_000);
  clock.setWall(START);
  assertEquals(steady.now(), START);
  assertEquals(log.lines.length, 1);
  assertMatch(log.lines[0] ?? "", /was set ahead by \d+s; the queue follows/);
});

Deno.test("a clock that nobody asked for long shows the right time, whatever happened meanwhile", async () => {
  await using lab = await running();
  await lab.clock.advance(40 * DAY);
  lab.clock.setWall(lab.clock.now() + 2 * MINUTE);
  assertEquals(lab.steady.now(), lab.clock.now());
  assertEquals(lab.steady.monotonic(), lab.clock.monotonic());
});
