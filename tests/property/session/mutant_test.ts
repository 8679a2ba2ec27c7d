/** The conversation scripts with something wrong in them: octets changed, lines lost, doubled, exchanged, cut off. */

import { run } from "../../support/fuzz/campaign.ts";
import { conversations } from "../../support/fuzz/corpus.ts";
import { mutant } from "../../support/fuzz/generate.ts";
import { judge } from "../../support/fuzz/judge.ts";
import { play } from "../../support/fuzz/play.ts";

const corpus = conversations();

Deno.test("real sessions with something wrong in them keep the rules of SMTP", async () => {
  await run({
    file: "tests/property/session/mutant_test.ts",
    cases: 9000,
    generate: (random) => mutant(random, corpus),
    check: async (session, tally) => tally.addSession(judge(session, await play(session))),
  });
});
