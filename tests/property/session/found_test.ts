/** Sessions that a campaign once found wrong, and that no conversation script can have. */

import { assertEquals } from "@std/assert";
import { judge } from "../../support/fuzz/judge.ts";
import { octetsOf, play } from "../../support/fuzz/play.ts";
import { PLAIN_MX, type SessionCase } from "../../support/fuzz/session_case.ts";

/** The last reply of a session, whole and in single octets. */
async function lastReplies(session: SessionCase): Promise<(string | undefined)[]> {
  const whole = await play(session);
  const single = await play(session, (octets) => Array.from(octets, (octet) => Uint8Array.of(octet)));
  return [whole, single].map((played) => judge(session, played).answers.at(-1)?.reply.text);
}

const plain = { setup: PLAIN_MX, pauses: [], leaving: "hangs up" } as const;

Deno.test("a message that may not come in is refused for good, whatever the spool does", async () => {
  const content = `X: ${"h".repeat(1600)}\r\n\r\n.\r\n`;
  const steps = ["EHLO a\r\n", "MAIL FROM:<>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n", content];
  const reply = "552 5.3.4 The header section is larger than the limit of 1500 octets";
  const session: SessionCase = { ...plain, setup: { ...PLAIN_MX, spool: "fails on write" }, steps };
  assertEquals(await lastReplies(session), [reply, reply]);
});

Deno.test("a line is too long wherever TCP cuts it, whatever is behind the limit", async () => {
  const reply = "500 5.5.2 Line too long; the limit is 2048 octets";
  for (const behind of ["\r\n", "\rx\r\n", "x\nx\r\n", "x\rx\r\n"]) {
    const session: SessionCase = { ...plain, steps: [`NOOP ${"x".repeat(2042)}${behind}`] };
    assertEquals(await lastReplies(session), [reply, reply]);
  }
});

Deno.test("text of one octet a character becomes those octets", () => {
  assertEquals(octetsOf("a\x80\xff"), Uint8Array.of(0x61, 0x80, 0xff));
});
