import { assert, assertEquals } from "@std/assert";
import type { JsonAnswer } from "../../../../lib/sasl/oauth/fetch_json.ts";
import { KeySource } from "../../../../lib/sasl/oauth/key_set.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

const MINUTE = 60_000;

interface Bench {
  readonly clock: FakeClock;
  readonly source: KeySource;
  answer: JsonAnswer;
  loads: number;
  /** The name of the key that is there now, or why there is none. */
  current(): Promise<unknown>;
}

const keys = (kid: string): JsonAnswer => ({ kind: "object", object: { keys: [{ kty: "EC", kid }] } });
const DOWN: JsonAnswer = { kind: "failed", reason: "answered with status 503" };

function bench(answer: JsonAnswer): Bench {
  const clock = new FakeClock();
  const load = (): Promise<JsonAnswer> => {
    self.loads++;
    return Promise.resolve(self.answer);
  };
  const source = new KeySource({ load, clock });
  const self: Bench = {
    clock,
    source,
    answer,
    loads: 0,
    current: async () => {
      const found = await source.current();
      return found.kind === "keys" ? found.keys.jwks[0]?.["kid"] : found.reason;
    },
  };
  return self;
}

Deno.test("keys are read once, by all who need them at the same time, and again after ten minutes", async () => {
  const b = bench(keys("a"));
  assertEquals(await Promise.all([b.current(), b.current(), b.current()]), ["a", "a", "a"]);
  await b.clock.advance(10 * MINUTE - 1);
  b.answer = keys("b");
  assertEquals([await b.current(), b.loads], ["a", 1]);
  await b.clock.advance(1);
  assertEquals([await b.current(), b.loads], ["b", 2]);
});

Deno.test("while the server is down the old keys are good for an hour, and it is asked every 30 s", async () => {
  const b = bench(keys("a"));
  await b.current();
  b.answer = DOWN;
  await b.clock.advance(10 * MINUTE);
  assertEquals([await b.current(), await b.current(), b.loads], ["a", "a", 2]);
  await b.clock.advance(30_000);
  assertEquals([await b.current(), b.loads], ["a", 3]);
  await b.clock.advance(49 * MINUTE + 30_000);
  assertEquals(await b.current(), "answered with status 503");
  b.answer = keys("b");
  assertEquals([await b.current(), b.loads], ["answered with status 503", 4]);
  await b.clock.advance(30_000);
  assertEquals(await b.current(), "b");
});

Deno.test("an unknown key has the keys read again, but not more often than every 30 s", async () => {
  const b = bench(keys("a"));
  const first = await b.source.current();
  assert(first.kind === "keys");
  b.answer = keys("b");
  assertEquals([await b.source.newer(first.keys), b.loads], [undefined, 1]);
  await b.clock.advance(30_000);
  const newer = await Promise.all([b.source.newer(first.keys), b.source.newer(first.keys)]);
  assertEquals([newer.map((set) => set?.jwks[0]?.["kid"]), b.loads], [["b", "b"], 2]);
  const [set] = newer;
  assert(set !== undefined);
  assertEquals([await b.source.newer(set), b.loads], [undefined, 2]);
  b.answer = DOWN;
  await b.clock.advance(30_000);
  assertEquals([await b.source.newer(set), await b.current(), b.loads], [undefined, "b", 3]);
});

Deno.test("what is no set of keys is not taken", async () => {
  for (const object of [{}, { keys: {} }, { keys: [1] }, { keys: [null] }, { keys: [{ kid: "a" }] }]) {
    assertEquals(await bench({ kind: "object", object }).current(), "gave no set of keys");
  }
});
