/** Messages of the receiving side, without a network, in random pieces; random sessions are in `session/`. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { cut, play as playWith, type Played } from "../support/memory_session.ts";
import type { Session } from "../../lib/inbound/session.ts";

/** Plays groups of octets in a session of that service. */
function play(groups: readonly (readonly Uint8Array[])[], service: Session["service"]): Promise<Played> {
  return playWith(groups, { service });
}

const encoder = new TextEncoder();

function checkSane({ output, openReceptions, closes }: Played): void {
  assertEquals([openReceptions, closes], [0, 1]);
  assert(output.endsWith("\r\n"), "the last reply has no end");
  for (const line of output.split("\r\n").slice(0, -1)) assertMatch(line, /^[2-5]\d\d[ -]/);
}

const line = fc.stringMatching(/^[a-z. ]{0,20}$/);
const cuts = fc.array(fc.nat(500), { maxLength: 8 });

Deno.test("content arrives as it was sent, message after message", async () => {
  const content = fc.array(line, { maxLength: 10 }).map((lines) => lines.map((text) => `${text}\r\n`).join(""));
  await fc.assert(
    fc.asyncProperty(fc.array(content, { minLength: 1, maxLength: 4 }), cuts, async (contents, cuts) => {
      const sent = contents.flatMap((text) => [
        "MAIL FROM:<bob@client.test>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n",
        `${text.replace(/^\./gm, "..")}.\r\n`,
      ]);
      const groups = ["HELO client.test\r\n", ...sent].map((text) => cut(encoder.encode(text), cuts));
      assertEquals((await play(groups, "mx")).contents, contents);
    }),
    { numRuns: 1000 },
  );
});

/** What a message is answered at its end, without the offset: dots that DATA removes count in it. */
function lastReplies(output: string, count: number): string[] {
  return output.split("\r\n").slice(0, -1).slice(-count).map((line) => line.replace(/at octet \d+/, ""));
}

Deno.test("a message has the same fate whether DATA or BDAT brings it, in whatever chunks", async () => {
  const clean = fc.array(fc.constantFrom("\r\n", "\r\n", "a", ".", "..", "\r\n.\r\n", "DATA", "é"), { maxLength: 15 });
  const dirty = fc.array(fc.constantFrom("\r\n", "\r\n", "a", ".", "\n", "\r", "\0", "\r\n.\n"), { maxLength: 15 });
  const long = fc.tuple(fc.integer({ min: 1990, max: 2001 }), clean).map((
    [octets, rest],
  ) => ["x".repeat(octets), ...rest]);
  const looping = fc.integer({ min: 95, max: 105 }).map((fields) => Array(fields).fill("Received: a\r\n"));
  const message = fc.oneof(clean, dirty, long, looping).map((tokens) => `${tokens.join("")}\r\n`);
  const envelope = "MAIL FROM:<bob@client.test>\r\nRCPT TO:<alice@example.org>\r\nRCPT TO:<team@example.org>\r\n";
  await fc.assert(
    fc.asyncProperty(
      message,
      cuts,
      cuts,
      fc.boolean(),
      fc.constantFrom("mx", "lmtp"),
      async (text, chunkCuts, cuts, isLastEmpty, service) => {
        const hello = encoder.encode(service === "lmtp" ? "LHLO client.test\r\n" : "EHLO client.test\r\n");
        const stuffed = `${text.replace(/(^|\r\n)\./g, "$1..").replace(/\r\n\.(?=\r\n)/g, "\r\n..")}.\r\n`;
        const dataGroups = [hello, encoder.encode(`${envelope}DATA\r\n`), encoder.encode(stuffed)];
        const byData = await play(dataGroups.map((octets) => [octets]), service);
        const parts = cut(encoder.encode(text), chunkCuts);
        if (isLastEmpty) parts.push(new Uint8Array(0));
        const wire = parts.flatMap((part, index) => [
          ...encoder.encode(`BDAT ${part.length}${index === parts.length - 1 ? " LAST" : ""}\r\n`),
          ...part,
        ]);
        const group = Uint8Array.from([...encoder.encode(envelope), ...wire]);
        const byBdat = await play([[hello], cut(group, cuts)], service);
        checkSane(byBdat);
        assertEquals(byBdat.contents, byData.contents);
        const count = service === "lmtp" ? 2 : 1;
        assertEquals(lastReplies(byBdat.output, count), lastReplies(byData.output, count));
      },
    ),
    { numRuns: 3000 },
  );
});

Deno.test("content of chunks that does not end with CRLF stays as it is", async () => {
  const group = "MAIL FROM:<a@client.test>\r\nRCPT TO:<alice@example.org>\r\nBDAT 4 LAST\r\n\r\n.b";
  const { contents } = await play([[encoder.encode("EHLO client.test\r\n")], [encoder.encode(group)]], "mx");
  assertEquals(contents, ["\r\n.b"]);
});
