import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import { bucketOf, isQueueId, QueueIds } from "../../../lib/queue/queue_id.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const randomOctets = (into: Uint8Array<ArrayBuffer>): void => void crypto.getRandomValues(into);

Deno.test("queue ids sort by second and are safe as file names", async () => {
  const clock = new FakeClock();
  const ids = new QueueIds({ clock, randomOctets });
  let before = "";
  for (let i = 0; i < 100; i++) {
    const id = ids.next();
    assertMatch(id, /^[0-9a-hjkmnp-tv-z]{16}$/);
    assert(isQueueId(id) && id > before);
    before = id;
    await clock.advance(1_000);
  }
});

Deno.test("messages of one moment share a bucket, and a bucket does not grow without end", () => {
  const ids = new QueueIds({ clock: new FakeClock(), randomOctets });
  const buckets = Array.from({ length: 5_000 }, () => bucketOf(ids.next()));
  assertEquals(new Set(buckets).size, 3);
  assertEquals(new Set(buckets.slice(0, 2_000)).size, 1);
});

Deno.test("no queue id is given out twice, even where chance repeats itself and the clock goes back", () => {
  const clock = new FakeClock();
  let calls = 0;
  const ids = new QueueIds({ clock, randomOctets: (into) => into.fill(calls++ % 600) });
  const seen: Set<string> = new Set();
  for (let i = 0; i < 200; i++) {
    if (i === 100) clock.setWall("2025-12-31T00:00:00Z");
    seen.add(ids.next());
  }
  assertEquals(seen.size, 200);
});

Deno.test("more ids in a second than it has room for take those of the next", () => {
  const ids = new QueueIds({ clock: new FakeClock(), randomOctets });
  const seen: Set<string> = new Set();
  for (let i = 0; i < 60_000; i++) seen.add(ids.next());
  assertEquals(seen.size, 60_000);
  assertEquals(new Set([...seen].map((id) => id.slice(0, 6))).size, 2);
});

Deno.test("a wrong clock makes ids all the same", () => {
  for (const time of [0, Date.parse("2100-01-01"), Date.parse("2300-01-01")]) {
    assert(isQueueId(new QueueIds({ clock: new FakeClock(time), randomOctets }).next()));
  }
});

Deno.test("what is no queue id is none", () => {
  for (
    const text of [
      "",
      "../../../../../etc",
      "0123456789abcde",
      "0123456789abcdefg",
      "0123456789ABCDEF",
      "0123456789abcdei",
    ]
  ) {
    assertFalse(isQueueId(text), text);
  }
});
