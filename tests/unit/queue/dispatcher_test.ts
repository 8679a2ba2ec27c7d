import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Verdict } from "../../../lib/queue/destination.ts";
import { Dispatcher, type DispatcherOptions } from "../../../lib/queue/dispatcher.ts";
import { Fifo } from "../../../lib/queue/fifo.ts";
import type { Clock } from "../../../lib/system/clock.ts";
import { FakeClock } from "../../support/fake_clock.ts";

interface Limits {
  total: number;
  perDestination: number;
  initial?: number;
}

/** A dispatcher whose jobs end when the test says so. */
function controlled(limits: Limits, more: Partial<DispatcherOptions<string>> = {}): {
  dispatcher: Dispatcher<string>;
  limits: Limits;
  clock: FakeClock;
  running: Set<string>;
  end: (job: string, verdict?: Verdict) => Promise<void>;
} {
  const clock = new FakeClock();
  const running: Set<string> = new Set();
  const ends: Map<string, (verdict: Verdict) => void> = new Map();
  const dispatcher = new Dispatcher<string>({
    clock,
    random: () => 0,
    total: () => limits.total,
    limitsOf: () => ({ concurrency: limits.perDestination, initial: limits.initial ?? limits.perDestination }),
    start: async (job, judge) => {
      running.add(job);
      judge(await new Promise<Verdict>((resolve) => ends.set(job, resolve)));
    },
    ...more,
  });
  const end = async (job: string, verdict: Verdict = { kind: "took" }): Promise<void> => {
    running.delete(job);
    ends.get(job)?.(verdict);
    await new Promise((resolve) => setTimeout(resolve, 0));
  };
  return { dispatcher, limits, clock, running, end };
}

Deno.test("a slow destination fills its own share, and others go on", async () => {
  const { dispatcher, running, end } = controlled({ total: 10, perDestination: 2 });
  for (let i = 0; i < 1_000; i++) dispatcher.submit("slow", `slow${i}`);
  dispatcher.submit("quick", "quick0");
  assertEquals([...running], ["slow0", "slow1", "quick0"]);
  await end("quick0");
  dispatcher.submit("quick", "quick1");
  assert(running.has("quick1"));
  await end("slow1");
  assert(running.has("slow2"));
});

Deno.test("destinations are served in turn when the total is short", async () => {
  const { dispatcher, running, end } = controlled({ total: 1, perDestination: 1 });
  for (const key of ["a", "b", "c"]) {
    for (let i = 0; i < 2; i++) dispatcher.submit(key, `${key}${i}`);
  }
  const order: string[] = [];
  while (running.size > 0) {
    const [job] = running;
    order.push(job ?? "");
    await end(job ?? "");
  }
  assertEquals(order, ["a0", "b0", "c0", "a1", "b1", "c1"]);
});

Deno.test("after stop nothing starts, and idle tells when the rest is done", async () => {
  const { dispatcher, running, end } = controlled({ total: 1, perDestination: 1 });
  dispatcher.submit("a", "a0");
  dispatcher.submit("a", "a1");
  dispatcher.stop();
  const idle = dispatcher.idle();
  await end("a0");
  await idle;
  assertEquals([running.size, dispatcher.running, dispatcher.waiting], [0, 0, 1]);
});

Deno.test("larger limits start waiting jobs at once", () => {
  const { dispatcher, running, limits } = controlled({ total: 1, perDestination: 1, initial: 3 });
  for (let i = 0; i < 4; i++) dispatcher.submit("a", `a${i}`);
  Object.assign(limits, { total: 3, perDestination: 3 });
  dispatcher.refresh();
  assertEquals(running.size, 3);
});

Deno.test("whatever comes and ends in any order: limits hold, nothing is forgotten, a free slot is used", async () => {
  const jobs = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(
      jobs,
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 3 }),
      fc.infiniteStream(fc.nat()),
      async (
        keys,
        total,
        perDestination,
        choices,
      ) => {
        const { dispatcher, running, end } = controlled({ total, perDestination });
        keys.forEach((key, i) => dispatcher.submit(key, `${key}${i}`));
        const waiting: Set<string> = new Set(keys.map((key, i) => `${key}${i}`));
        for (let i = 0; i < keys.length; i++) {
          for (const job of running) waiting.delete(job);
          const counts: Map<string, number> = new Map();
          for (const job of running) counts.set(job.charAt(0), (counts.get(job.charAt(0)) ?? 0) + 1);
          assert(running.size <= total && [...counts.values()].every((count) => count <= perDestination));
          const couldStart = [...waiting].some((job) => (counts.get(job.charAt(0)) ?? 0) < perDestination);
          assert(running.size === total || !couldStart, "a free slot is not used");
          const list = [...running];
          await end(list[(choices.next().value ?? 0) % list.length] ?? "");
        }
        assertEquals([dispatcher.running, dispatcher.waiting, running.size], [0, 0, 0]);
      },
    ),
    { numRuns: 30 },
  );
});

Deno.test("a first-in-first-out list keeps its order through thousands", () => {
  const fifo = new Fifo<number>();
  let next = 0;
  for (let i = 0; i < 10_000; i++) {
    fifo.push(i);
    if (i % 3 > 0) assertEquals(fifo.shift(), next++);
  }
  assertEquals(fifo.size, 10_000 - next);
  while (fifo.size > 0) assertEquals(fifo.shift(), next++);
  assertEquals(fifo.shift(), undefined);
});

Deno.test("mail parked for a closed destination is asked for even where a timer ends a moment too early", async () => {
  const clock = new FakeClock();
  // As timers of whole milliseconds do.
  const hasty: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    sleep: (ms, signal) => clock.sleep(Math.floor(ms), signal),
  };
  const pulled: number[] = [];
  const { dispatcher, end } = controlled({ total: 10, perDestination: 2 }, {
    clock: hasty,
    random: () => 0.000_003,
    giveBack: () => {},
    hasRoom: (_, count) => {
      pulled.push(count);
      return count;
    },
  });
  dispatcher.submit("dead", "first");
  const reason = { action: "delayed", status: "4.4.1", text: "refused", isRemoteReply: false } as const;
  await end("first", { kind: "down", reason });
  assertEquals(pulled, []);
  await clock.advance(61_000);
  assertEquals(pulled, [1]);
});
