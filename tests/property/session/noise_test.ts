/** Octets without sense: no session throws, hangs, leaves something behind, or answers what was not said. */

import { noise } from "../../support/fuzz/generate.ts";
import { judge } from "../../support/fuzz/judge.ts";
import { play } from "../../support/fuzz/play.ts";
import { run } from "../../support/fuzz/campaign.ts";

Deno.test("no octets make a session throw, hang, or leave anything behind", async () => {
  await run({
    file: "tests/property/session/noise_test.ts",
    cases: 9000,
    generate: noise,
    check: async (session, tally) => tally.addSession(judge(session, await play(session))),
  });
});
