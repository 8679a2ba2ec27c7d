/** Random sessions of clients that mostly know SMTP, so that they come far: logins, messages, refusals of every kind. */

import { assert, assertEquals } from "@std/assert";
import { run } from "../../support/fuzz/campaign.ts";
import { speakingClient } from "../../support/fuzz/generate.ts";
import { judge } from "../../support/fuzz/judge.ts";
import { play } from "../../support/fuzz/play.ts";

/**
 * Verbs and the replies to them that must come up, or the generator does not come as far as it should. Each came up at
 * least 15 times in so many sessions.
 */
const MANY_SESSIONS = 63_000;
const SEEN = [
  ...["(line) 500", "(unknown) 500", "EHLO 250", "HELO 250", "LHLO 250", "EHLO 554", "STARTTLS 220", "STARTTLS 503"],
  ...["AUTH 235", "AUTH 334", "AUTH 454", "AUTH 501", "AUTH 502", "AUTH 503", "AUTH 504", "AUTH 535", "AUTH 538"],
  ...["(response) 235", "(response) 334", "(response) 454", "(response) 500", "(response) 501", "(response) 535"],
  ...["MAIL 250", "MAIL 501", "MAIL 503", "MAIL 530", "MAIL 550", "MAIL 552", "MAIL 553", "MAIL 554", "MAIL 555"],
  ...["RCPT 250", "RCPT 450", "RCPT 452", "RCPT 501", "RCPT 503", "RCPT 550", "RCPT 553", "RCPT 554", "RCPT 555"],
  ...["DATA 354", "DATA 503", "DATA 554", "(content) 250", "(content) 451", "(content) 452", "(content) 550"],
  ...["(content) 552", "(content) 554", "BDAT 250", "BDAT 501", "BDAT 503", "BDAT 552", "BDAT 554", "BDAT LAST 250"],
  ...["BDAT LAST 451", "BDAT LAST 452", "BDAT LAST 503", "BDAT LAST 552", "BDAT LAST 554", "ETRN 250", "ETRN 459"],
  ...["XCLIENT 220", "XCLIENT 501", "XCLIENT 503", "XCLIENT 550", "QUIT 221", "RSET 250", "VRFY 252", "HELP 214"],
];

Deno.test("random sessions keep the rules of SMTP, and content is kept as it was sent", async () => {
  const tally = await run({
    file: "tests/property/session/speaking_client_test.ts",
    cases: 9000,
    generate: speakingClient,
    check: async (session, tally) => tally.addSession(judge(session, await play(session))),
  });
  const sessions = tally.count("sessions");
  if (sessions < 9000) return;
  assert(tally.count("accepted") > sessions / 10, `${tally.count("accepted")} messages in ${sessions} sessions`);
  if (sessions < MANY_SESSIONS) return;
  assertEquals(SEEN.filter((name) => tally.count(name) === 0), []);
});
