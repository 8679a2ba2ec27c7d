import { assert, assertEquals } from "@std/assert";
import { HopDestinations } from "../../../lib/queue/hop_destinations.ts";

Deno.test("destinations of hops that messages are parked for are kept, and of others not more than memory is for", () => {
  const hops = new HopDestinations((hop) => hop.startsWith("parked"));
  for (let i = 0; i < 15_000; i++) hops.learn(`parked${i}`, "site");
  for (let i = 0; i < 60_000; i++) hops.learn(`other${i}`, `site${i}`);
  const known = (name: string, count: number): number =>
    Array.from({ length: count }, (_, i) => hops.destinationOf(`${name}${i}`)).filter((site) => site !== undefined)
      .length;
  assertEquals(known("parked", 15_000), 15_000);
  assert(known("other", 60_000) <= 20_000, `${known("other", 60_000)} others`);
  assertEquals(hops.hopsOf("site", new Set(["parked7", "other59999", "parked3"])), ["parked7", "parked3"]);
  assertEquals(hops.hopsOf("site59999", new Set(["parked7", "other59999", "parked3"])), ["other59999"]);
  assertEquals(hops.hopsOf("site0", new Set(["other0"])), []);
});
