import { assert, assertEquals } from "@std/assert";
import { ReadPace } from "../../../lib/queue/read_pace.ts";

/** Reads with a disk that takes these times, one after the other, and says for each slice how many it read. */
function slices(readMs: readonly number[]): { readonly quick: number; readonly inBackground: number }[] {
  let nowMs = 1_000;
  const pace = new ReadPace({ monotonic: () => nowMs });
  const found: { quick: number; inBackground: number }[] = [];
  for (let next = 0; next < readMs.length;) {
    pace.resume();
    let quick = 0;
    for (; next < readMs.length && pace.isQuick; next++, quick++) pace.read(() => nowMs += readMs[next] ?? 0);
    found.push({ quick, inBackground: pace.inBackground });
    next += pace.inBackground;
  }
  return found;
}

Deno.test("files in memory are read in slices of 3 ms, with one in the background between them", () => {
  const found = slices(new Array(1_000).fill(1 / 128));
  assertEquals(found.slice(0, 2), [{ quick: 384, inBackground: 1 }, { quick: 384, inBackground: 1 }]);
});

Deno.test("a disk that is waited for is read in the background, and looked at again with one file", () => {
  const found = slices(new Array(5_000).fill(0.15));
  assertEquals(found[0]?.inBackground, 512);
  assert((found[0]?.quick ?? 99) < 10);
  assertEquals(found.slice(1, 4), new Array(3).fill({ quick: 1, inBackground: 512 }));
});

Deno.test("a disk that has become fast is noticed", () => {
  const found = slices([...new Array(3_000).fill(0.15), ...new Array(2_000).fill(0.01)]);
  assertEquals(found.slice(-3, -1).map(({ inBackground }) => inBackground), [1, 1]);
});

Deno.test("a reading that was slow by chance changes nothing", () => {
  const found = slices(Array.from({ length: 2_000 }, (_, i) => i % 20 === 7 ? 5 : 0.01));
  assertEquals(new Set(found.map(({ inBackground }) => inBackground)), new Set([1]));
});

Deno.test("no file is read after the end of a slice, however slow the one before it was", () => {
  assertEquals(slices([0.01, 100, 0.01, 0.01, 0.01])[0], { quick: 2, inBackground: 1 });
});
