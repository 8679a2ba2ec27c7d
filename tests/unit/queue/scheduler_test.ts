import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Scheduler } from "../../../lib/queue/scheduler.ts";

Deno.test("the scheduler gives out what is due, earliest first, and nothing else", () => {
  const scheduler = new Scheduler();
  scheduler.schedule("c", 30);
  scheduler.schedule("a", 10);
  scheduler.schedule("b", 20);
  assertEquals(scheduler.nextDueMs, 10);
  assertEquals([scheduler.takeDue(9), scheduler.takeDue(20), scheduler.takeDue(20), scheduler.takeDue(20)], [
    undefined,
    "a",
    "b",
    undefined,
  ]);
  assertEquals([scheduler.size, scheduler.has("c"), scheduler.has("a")], [1, true, false]);
});

Deno.test("whatever is added, moved and deleted, the order of the rest is right", () => {
  const step = fc.tuple(fc.constantFrom("schedule", "schedule", "delete", "take"), fc.nat(20), fc.nat(100));
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const scheduler = new Scheduler();
    const model: Map<string, number> = new Map();
    const earliest = (): number | undefined => model.size === 0 ? undefined : Math.min(...model.values());
    for (const [what, number, timeMs] of steps) {
      const id = `m${number}`;
      if (what === "schedule") {
        scheduler.schedule(id, timeMs);
        model.set(id, timeMs);
      } else if (what === "delete") {
        assertEquals(scheduler.delete(id), model.delete(id));
      } else {
        const due = earliest();
        const taken = scheduler.takeDue(timeMs);
        if (due === undefined || due > timeMs) assertEquals(taken, undefined);
        else {
          assertEquals(model.get(taken ?? ""), due);
          model.delete(taken ?? "");
        }
      }
      assertEquals([scheduler.size, scheduler.nextDueMs], [model.size, earliest()]);
    }
  }));
});
