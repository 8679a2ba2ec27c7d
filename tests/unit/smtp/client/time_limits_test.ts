import { assert, assertEquals } from "@std/assert";
import { NEXT_ADDRESS_MS, TIME_LIMITS } from "../../../../lib/smtp/client/time_limits.ts";

const MINUTE = 60_000;

for (
  const [name, minimum] of [
    ["greetingMs", 5 * MINUTE],
    ["commandMs", 5 * MINUTE],
    ["dataMs", 2 * MINUTE],
    ["blockMs", 3 * MINUTE],
    ["dotMs", 10 * MINUTE],
  ] as const
) {
  Deno.test(`${name} is not shorter than RFC 5321 §4.5.3.2 wants it`, () => assert(TIME_LIMITS[name] >= minimum));
}

Deno.test("a host has half a minute to take a connection, and a quarter of a second until its next address is tried", () => {
  assertEquals([TIME_LIMITS.connectMs, NEXT_ADDRESS_MS], [30_000, 250]);
});
