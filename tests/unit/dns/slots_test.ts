import { assertEquals, assertRejects } from "@std/assert";
import { Slots } from "../../../lib/dns/slots.ts";

Deno.test("No more than the number of slots run at once, in the order they came", async () => {
  const slots = new Slots(2);
  const { signal } = new AbortController();
  const releases: (() => void)[] = [];
  const started: number[] = [];
  const all = Array.from({ length: 5 }, (_, i) =>
    slots.run(signal, async () => {
      started.push(i);
      await new Promise<void>((resolve) => releases.push(resolve));
      if (i === 1) throw new Error("broken");
      return i;
    }).catch(() => "error"));
  for (let round = 0; round < 5; round++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    assertEquals(started.length, Math.min(5, round + 2));
    releases[round]?.();
  }
  assertEquals<unknown>(await Promise.all(all), [0, "error", 2, 3, 4]);
  assertEquals(started, [0, 1, 2, 3, 4]);
});

Deno.test("Who gives up while waiting takes no slot", async () => {
  const slots = new Slots(1);
  const stop = new AbortController();
  const { signal } = new AbortController();
  const { promise, resolve } = Promise.withResolvers<string>();
  const first = slots.run(signal, () => promise);
  const second = slots.run(stop.signal, () => Promise.resolve("second"));
  stop.abort(new Error("enough"));
  await assertRejects(() => second, Error, "enough");
  await assertRejects(() => slots.run(stop.signal, () => Promise.resolve("late")), Error, "enough");
  resolve("first");
  assertEquals(await first, "first");
  assertEquals(await slots.run(signal, () => Promise.resolve("third")), "third");
});
