import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { type IndexEntry, type IndexTimes, QueueIndex } from "../../../lib/queue/queue_index.ts";

/** A queue id that ends with this number. */
function id(number: number): string {
  return String(number).padStart(16, "0");
}

function takeAll(index: QueueIndex, nowMs: number): string[] {
  const taken: string[] = [];
  for (let entry = index.takeDue(nowMs); entry !== undefined; entry = index.takeDue(nowMs)) taken.push(entry.queueId);
  return taken;
}

Deno.test("the index gives out what is due, earliest first, and nothing else", () => {
  const index = new QueueIndex();
  index.put(id(3), { dueMs: 30 });
  index.put(id(1), { dueMs: 10, hop: "mx:a.example" });
  index.put(id(2), { dueMs: 20, deadlineMs: 400 });
  assertEquals(index.nextDueMs, 10);
  assertEquals(index.takeDue(9), undefined);
  const first = { queueId: id(1), dueMs: 10, deadlineMs: Infinity, hop: "mx:a.example", state: "waiting" } as const;
  assertEquals([index.peekDue(10), index.takeDue(10)], [first, first]);
  assertEquals(takeAll(index, 29), [id(2)]);
  assertEquals([index.size, index.has(id(3)), index.has(id(1)), index.nextDueMs], [1, true, false, 30]);
});

Deno.test("a deadline before the due time gives a message out", () => {
  const index = new QueueIndex();
  index.put(id(1), { dueMs: 30, deadlineMs: 20 });
  assertEquals([takeAll(index, 19), takeAll(index, 20)], [[], [id(1)]]);
});

Deno.test("parked messages leave in the order in which they came, and only for their hop", () => {
  const index = new QueueIndex();
  for (const number of [5, 3, 4, 1]) index.put(id(number), { dueMs: 0, hop: number === 3 ? "other" : "slow" });
  for (const number of [5, 3, 4, 1]) assert(index.park(id(number)));
  assert(index.park(id(5)), "parked already, and keeps its place");
  assertEquals([index.parked("slow"), index.parked("other"), index.parkedSize], [3, 1, 4]);
  assertEquals([index.nextDueMs, index.takeDue(1e9)], [undefined, undefined]);
  index.delete(id(4));
  assertEquals(index.unpark("slow", 1), [id(5)]);
  assertEquals(index.unpark("slow", 10), [id(1)]);
  assertEquals([index.unpark("slow", 10), index.unpark("nobody", 10)], [[], []]);
  assertEquals([index.size, index.parkedSize, index.has(id(5))], [1, 1, false]);
});

Deno.test("the deadline of a parked message gives it out, and says that it was parked", () => {
  const index = new QueueIndex();
  index.put(id(1), { dueMs: 0, deadlineMs: 50, hop: "down" });
  index.park(id(1));
  assertEquals([index.nextDueMs, index.takeDue(49)], [50, undefined]);
  assertEquals(index.takeDue(50)?.state, "parked");
  assertEquals([index.size, index.parked("down")], [0, 0]);
});

Deno.test("a held message is never given out, and waits again when it is released", () => {
  const index = new QueueIndex();
  index.put(id(1), { dueMs: 5, hop: "a", deadlineMs: 7 });
  index.put(id(2), { dueMs: 6, hop: "a" });
  index.put(id(3), { dueMs: 7, hop: "a", isHeld: true });
  index.park(id(2));
  assert(index.setHeld(id(1), true) && index.setHeld(id(2), true) && index.setHeld(id(2), true));
  assertEquals([index.heldSize, index.parkedSize, index.nextDueMs, index.unpark("a", 9)], [3, 0, undefined, []]);
  assertEquals(index.park(id(3)), false);
  assert(index.reschedule(id(3), 1));
  assertEquals(index.get(id(3))?.state, "held");
  for (const number of [1, 2, 3]) index.setHeld(id(number), false);
  assertEquals([takeAll(index, 9), index.heldSize], [[id(3), id(1), id(2)], 0]);
});

Deno.test("a message without a hop cannot be parked, nor one that is not there", () => {
  const index = new QueueIndex();
  index.put(id(1), { dueMs: 5 });
  assertEquals([index.park(id(1)), index.park(id(2)), index.delete(id(2))], [false, false, false]);
  assertEquals([index.reschedule(id(2), 1), index.setHeld(id(2), true), index.get(id(2))], [false, false, undefined]);
  assertEquals(takeAll(index, 5), [id(1)]);
});

Deno.test("a hop is forgotten with its last message", () => {
  const index = new QueueIndex();
  index.put(id(1), { dueMs: 1, hop: "a" });
  index.put(id(2), { dueMs: 2, hop: "a" });
  index.put(id(3), { dueMs: 3, hop: "b" });
  index.park(id(2));
  const hops = (): unknown[] => [...index.hops()];
  assertEquals(hops(), [{ hop: "a", messages: 2, parked: 1 }, { hop: "b", messages: 1, parked: 0 }]);
  index.put(id(2), { dueMs: 1, hop: "c" });
  index.takeDue(1);
  index.takeDue(1);
  assertEquals(hops(), [{ hop: "b", messages: 1, parked: 0 }]);
});

Deno.test("what is no queue id is refused, and never found", () => {
  const index = new QueueIndex();
  for (
    const text of ["", "q1", "..", id(1).slice(1), `${id(1)}0`, "000000000000000u", "00000000000000é0", "A".repeat(16)]
  ) {
    assertThrows(() => index.put(text, { dueMs: 0 }), RangeError);
    assertEquals([index.has(text), index.delete(text)], [false, false]);
  }
  for (const text of ["zzzzzzzzzzzzzzzz", "0123456789abcdef", "ghjkmnpqrstvwxyz"]) {
    index.put(text, { dueMs: 0 });
    assertEquals(takeAll(index, 0), [text]);
  }
});

Deno.test("fifty thousand messages come out in order, and the index is as new then", () => {
  const index = new QueueIndex();
  const dueOf = (number: number): number => (number * 7919) % 50_021;
  for (let round = 0; round < 2; round++) {
    for (let number = 0; number < 50_000; number++) index.put(id(number * 31), { dueMs: dueOf(number), hop: "a" });
    for (let number = 0; number < 50_000; number += 2) assert(index.delete(id(number * 31)));
    let lastMs = -1;
    for (let left = 25_000; left > 0; left--) {
      const entry = index.takeDue(1e9);
      assert(entry !== undefined && entry.dueMs > lastMs);
      lastMs = entry.dueMs;
    }
    assertEquals([index.size, index.nextDueMs, [...index.hops()]], [0, undefined, []]);
  }
});

/** What the index has to do, in the plainest way. */
class Model {
  readonly entries: Map<string, { -readonly [key in keyof IndexEntry]: IndexEntry[key] }> = new Map();
  #parkings = 0;
  readonly #parkedAt: Map<string, number> = new Map();

  put(queueId: string, { dueMs, deadlineMs = Infinity, hop = "", isHeld = false }: IndexTimes): void {
    this.entries.set(queueId, { queueId, dueMs, deadlineMs, hop, state: isHeld ? "held" : "waiting" });
  }

  park(queueId: string): boolean {
    const entry = this.entries.get(queueId);
    if (entry === undefined || entry.state === "held" || entry.hop === "") return false;
    if (entry.state === "waiting") this.#parkedAt.set(queueId, this.#parkings++);
    entry.state = "parked";
    return true;
  }

  parked(hop: string): string[] {
    const parked = [...this.entries.values()].filter((entry) => entry.state === "parked" && entry.hop === hop);
    const at = (entry: IndexEntry): number => this.#parkedAt.get(entry.queueId) ?? 0;
    return parked.sort((one, other) => at(one) - at(other)).map(({ queueId }) => queueId);
  }

  nextDueMs(): number | undefined {
    const times = [...this.entries.values()].filter(({ state }) => state !== "held").map(timeOf);
    const first = Math.min(...times);
    const isAny = [...this.entries.values()].some(({ state }) => state === "waiting");
    return first === Infinity && !isAny ? undefined : first;
  }
}

function timeOf({ state, dueMs, deadlineMs }: IndexEntry): number {
  return state === "parked" ? deadlineMs : Math.min(dueMs, deadlineMs);
}

Deno.test("whatever is put, moved, parked, held and deleted, the index does what a naive one does", () => {
  const kinds = ["put", "put", "put", "park", "park", "unpark", "take", "delete", "hold", "release", "move"] as const;
  const hops = ["", "a", "b", "c"];
  const step = fc.record({
    kind: fc.constantFrom(...kinds),
    number: fc.nat(30),
    timeMs: fc.oneof(fc.nat(50), fc.constant(Infinity)),
    deadlineMs: fc.oneof(fc.nat(50), fc.constant(Infinity)),
    hop: fc.constantFrom(...hops),
    isHeld: fc.integer({ min: 0, max: 9 }).map((number) => number === 0),
  });
  fc.assert(fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
    const index = new QueueIndex();
    const model = new Model();
    for (const { kind, number, timeMs, deadlineMs, hop, isHeld } of steps) {
      const queueId = id(number);
      const entry = model.entries.get(queueId);
      if (kind === "put") {
        index.put(queueId, { dueMs: timeMs, deadlineMs, hop, isHeld });
        model.put(queueId, { dueMs: timeMs, deadlineMs, hop, isHeld });
      } else if (kind === "park") assertEquals(index.park(queueId), model.park(queueId));
      else if (kind === "unpark") {
        const taken = model.parked(hop).slice(0, number % 4);
        assertEquals(index.unpark(hop, number % 4), taken);
        for (const gone of taken) model.entries.delete(gone);
      } else if (kind === "take") {
        const dueMs = model.nextDueMs();
        const taken = index.takeDue(timeMs);
        if (dueMs === undefined || dueMs > timeMs) assertEquals(taken, undefined);
        else {
          // Of those of one time, any.
          assert(taken !== undefined);
          assertEquals(taken, model.entries.get(taken.queueId));
          assertEquals(timeOf(taken), dueMs);
          model.entries.delete(taken.queueId);
        }
      } else if (kind === "delete") assertEquals(index.delete(queueId), model.entries.delete(queueId));
      else if (kind === "move") {
        assertEquals(index.reschedule(queueId, timeMs), entry !== undefined);
        if (entry !== undefined) {
          entry.dueMs = timeMs;
          if (entry.state === "parked") entry.state = "waiting";
        }
      } else {
        assertEquals(index.setHeld(queueId, kind === "hold"), entry !== undefined);
        if (entry !== undefined && (kind === "hold") !== (entry.state === "held")) {
          entry.state = kind === "hold" ? "held" : "waiting";
        }
      }
      compare(index, model, hops);
    }
  }));
});

function compare(index: QueueIndex, model: Model, hops: readonly string[]): void {
  const entries = [...model.entries.values()];
  assertEquals([index.size, index.nextDueMs], [entries.length, model.nextDueMs()]);
  for (let number = 0; number <= 30; number++) assertEquals(index.get(id(number)), model.entries.get(id(number)));
  const count = (state: IndexEntry["state"]): number => entries.filter((entry) => entry.state === state).length;
  assertEquals([index.parkedSize, index.heldSize], [count("parked"), count("held")]);
  const counts = new Map([...index.hops()].map(({ hop, messages, parked }) => [hop, [messages, parked]]));
  for (const hop of hops.slice(1)) {
    const messages = entries.filter((entry) => entry.hop === hop).length;
    const parked = model.parked(hop).length;
    assertEquals(index.parked(hop), parked);
    assertEquals(counts.get(hop), messages === 0 ? undefined : [messages, parked]);
  }
}
