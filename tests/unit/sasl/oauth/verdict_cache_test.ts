import { assertEquals } from "@std/assert";
import type { TokenVerdict } from "../../../../lib/sasl/oauth/validator.ts";
import { withVerdictCache } from "../../../../lib/sasl/oauth/verdict_cache.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

function bench(judge: (token: string) => TokenVerdict, maxEntries?: number): {
  readonly clock: FakeClock;
  readonly asked: string[];
  validate(token: string): Promise<TokenVerdict>;
} {
  const clock = new FakeClock();
  const asked: string[] = [];
  const validator = withVerdictCache({
    validate: (token) => {
      asked.push(token);
      return Promise.resolve(judge(token));
    },
  }, { clock, ...(maxEntries === undefined ? {} : { maxEntries }) });
  return { clock, asked, validate: (token) => validator.validate(token) };
}

const good = (expiresAtMs?: number): TokenVerdict => ({ kind: "valid", identity: "alice@example.org", expiresAtMs });

Deno.test("a good token is asked about once a minute", async () => {
  const { clock, asked, validate } = bench(() => good());
  for (let i = 0; i < 5; i++) assertEquals((await validate("x")).kind, "valid");
  await validate("y");
  assertEquals(asked, ["x", "y"]);
  await clock.advance(59_999);
  await validate("x");
  assertEquals(asked, ["x", "y"]);
  await clock.advance(1);
  await validate("x");
  assertEquals(asked, ["x", "y", "x"]);
});

Deno.test("nothing is remembered beyond the expiry, also when the wall clock is set back", async () => {
  const { clock, asked, validate } = bench(() => good(Date.parse("2026-01-01T00:00:05Z")));
  await validate("x");
  clock.setWall("2025-12-31T00:00:00Z");
  await clock.advance(4_999);
  await validate("x");
  assertEquals(asked.length, 1);
  await clock.advance(1);
  await validate("x");
  assertEquals(asked.length, 2);
  clock.setWall("2026-01-01T00:00:30Z"); // Within the leeway: good, and not to be remembered.
  await validate("z");
  await validate("z");
  assertEquals(asked, ["x", "x", "z", "z"]);
});

Deno.test("what is not good is asked about each time", async () => {
  for (
    const verdict of [
      { kind: "invalid", error: "invalid_token", reason: "" },
      { kind: "unavailable", reason: "" },
    ] as const
  ) {
    const { asked, validate } = bench(() => verdict);
    await validate("x");
    await validate("x");
    assertEquals(asked.length, 2);
  }
});

Deno.test("a flood of good tokens does not grow the memory: the oldest goes first", async () => {
  const { asked, validate } = bench(() => good(), 10);
  for (let i = 0; i < 1000; i++) await validate(`${i}`);
  await validate("999");
  await validate("990");
  assertEquals(asked.length, 1000);
  await validate("989");
  assertEquals(asked.length, 1001);
});
