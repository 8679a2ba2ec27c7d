import { assertEquals } from "@std/assert";
import { intakeOptions } from "../../../lib/cli/report_system.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { stateLab } from "../reports/samples.ts";

Deno.test("Reports on our domains, what is below and above them, and our host are ours, others are not", async () => {
  const clock = new FakeClock();
  await using at = await stateLab(clock);
  const config = { hostname: "mx.hoster.example", domains: new Map([["shop.example.org", { dkim: [] }]]) };
  const { isOurs } = intakeOptions(config as unknown as Parameters<typeof intakeOptions>[0], at.state, clock);
  const names = ["shop.example.org", "a.shop.example.org", "example.org", "mx.hoster.example"];
  assertEquals(names.map(isOurs), [true, true, true, true]);
  assertEquals(["other.example", "xshop.example.org", "mx.other.example"].map(isOurs), [false, false, false]);
});
