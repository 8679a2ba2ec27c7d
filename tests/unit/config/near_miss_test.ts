import { assertEquals } from "@std/assert";
import { editDistance, nearMiss } from "../../../lib/config/near_miss.ts";

const KEYS = ["hostname", "data", "listeners", "recipient_delimiter", "catch_all", "tls"];

Deno.test("The edit distance counts inserts, deletes, replacements and swaps of neighbours", () => {
  const cases: [string, string, number][] = [
    ["", "", 0],
    ["", "abc", 3],
    ["abc", "", 3],
    ["abc", "abc", 0],
    ["abc", "abd", 1],
    ["abc", "acb", 1],
    ["kitten", "sitting", 3],
  ];
  for (const [a, b, distance] of cases) assertEquals(editDistance(a, b), distance, `${a} ${b}`);
});

Deno.test("A misspelled key is found, and a foreign word is not", () => {
  assertEquals(nearMiss("hostnmae", KEYS), "hostname");
  assertEquals(nearMiss("listener", KEYS), "listeners");
  assertEquals(nearMiss("catchAll", KEYS), "catch_all");
  assertEquals(nearMiss("recipient-delimiter", KEYS), "recipient_delimiter");
  assertEquals(nearMiss("tsl", KEYS), "tls");
  assertEquals(nearMiss("zebra", KEYS), undefined);
  assertEquals(nearMiss("x".repeat(100_000), KEYS), undefined);
});
