/** The same octets in other pieces: the same replies, octet for octet, and the same messages (RFC 2920 §3.2). */

import { assertEquals } from "@std/assert";
import { run } from "../../support/fuzz/campaign.ts";
import { conversations } from "../../support/fuzz/corpus.ts";
import { mutant, noise, speakingClient } from "../../support/fuzz/generate.ts";
import { judge } from "../../support/fuzz/judge.ts";
import { play } from "../../support/fuzz/play.ts";
import type { Random } from "../../support/fuzz/random.ts";
import type { SessionCase } from "../../support/fuzz/session_case.ts";

const corpus = conversations();

/**
 * What may not be followed by more before its reply (RFC 2920 §3.1, RFC 3207 §4), and a BDAT of no known length: there the
 * reply depends on whether more has arrived, so that a client that wants the same reply has to wait.
 */
const ALONE = /EHLO|HELO|LHLO|STARTTLS|AUTH|DATA|BDAT|XCLIENT|ETRN/i;

/** The same client, which waits behind each line that has such a verb anywhere. */
function waiting(session: SessionCase): SessionCase {
  const steps: string[] = [];
  let step = "";
  for (const [line] of session.steps.join("").matchAll(/[^\n]*\n|[^\n]+$/g)) {
    step += line;
    if (!ALONE.test(line)) continue;
    steps.push(step);
    step = "";
  }
  return { ...session, steps: [...steps, step] };
}

/** Cuts octets at up to eight places, or, where they are few, into single ones. */
function cut(octets: Uint8Array, random: Random): Uint8Array[] {
  const isFine = octets.length < 3000 && random.percent(5);
  const pieces: Uint8Array[] = [];
  for (let from = 0; from < octets.length;) {
    const to = isFine ? from + 1 : from + random.between(1, Math.ceil(octets.length / random.between(1, 8)));
    pieces.push(octets.subarray(from, to));
    from = to;
  }
  return pieces;
}

Deno.test("the replies are the same wherever TCP cuts a session", async () => {
  await run({
    file: "tests/property/session/cuts_test.ts",
    cases: 6000,
    generate: (random) => {
      const generate = random.pick([noise, speakingClient, (random: Random) => mutant(random, corpus)]);
      return waiting(generate(random));
    },
    check: async (session, tally, random) => {
      const whole = await play(session);
      const pieces = await play(session, (octets) => cut(octets, random));
      assertEquals(pieces, whole);
      tally.addSession(judge(session, whole));
    },
  });
});
