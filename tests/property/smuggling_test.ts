/**
 * SMTP smuggling (CVE-2023-51764 and its kin): octets around a dot that one server takes for the end of data and another
 * does not. Whole sessions; what stands behind such octets must never be carried out as a command.
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { DotStuffer } from "../../lib/smtp/client/dot_stuffing.ts";
import { cut, type MemorySessionOptions, play } from "../support/memory_session.ts";

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const HELLO = latin1("EHLO client.test\r\n");
const ENVELOPE = "MAIL FROM:<bob@client.test>\r\nRCPT TO:<alice@example.org>\r\n";

/** What may stand before and behind the dot. */
const LINE_ENDS = ["\r\n", "\n", "\r", "\r\r\n", "\n\n", "\r\r", "\n\r", "\0\r\n", "\r\n\0", "\0", "\r\0\n"];
const DOTS = [".", "..", ".\0"];

/** Every combination but the end of data itself. */
const SEQUENCES: readonly string[] = LINE_ENDS.flatMap((before) =>
  DOTS.flatMap((dot) => LINE_ENDS.map((after) => `${before}${dot}${after}`))
).filter((sequence) => !sequence.includes("\r\n.\r\n"));

const LISTENERS: readonly MemorySessionOptions[] = [
  { service: "mx" },
  { service: "mx", isTrusted: true, bareLf: "repair" },
  { service: "lmtp" },
  { service: "submission", isTrusted: true },
  { service: "submission", isTrusted: true, bareLf: "repair" },
];

/** Whether content as it came, dots and all, is refused. */
function isRefused(content: string, { service, bareLf }: MemorySessionOptions): boolean {
  const isRepaired = service === "submission" && bareLf === "repair";
  return /\r(?!\n)|\0/.test(content) || (!isRepaired && /(?<!\r)\n/.test(content));
}

/** Content as the next one has to see it: dots removed where a line starts, each line end CRLF. */
function unstuffed(content: string): string {
  return content.replace(/(^|\n)\./g, "$1").replace(/\r?\n/g, "\r\n");
}

/** The replies behind the greeting, the answer to EHLO and those to MAIL, RCPT and DATA; numbers and ids left out. */
function lastReplies(output: string): string[] {
  const lines = output.split("\r\n").slice(0, -1);
  return lines.slice(lines.findIndex((line) => line.startsWith("354 ")) + 1)
    .map((line) => line.replace(/^554 5\.6\.0 The message has .*/, "554 5.6.0").replace(/ as q\d+/, ""));
}

/** Sends content by DATA, in these pieces, with a NOOP behind its end, and sees that all of it was content. */
async function checkData(
  content: string,
  pieces: readonly Uint8Array[],
  listener: MemorySessionOptions,
): Promise<void> {
  const hello = listener.service === "lmtp" ? latin1("LHLO client.test\r\n") : HELLO;
  const { output, contents, openReceptions } = await play([[hello], [latin1(`${ENVELOPE}DATA\r\n`)], pieces], listener);
  const refused = isRefused(content, listener);
  const what = JSON.stringify({ content, pieces: pieces.length, listener });
  assertEquals(lastReplies(output), [refused ? "554 5.6.0" : "250 2.0.0 Queued", "250 2.0.0 OK"], what);
  assertEquals(contents, refused ? [] : [unstuffed(content)], what);
  assertEquals(openReceptions, 0);
}

Deno.test("no octets around a dot end the content but CRLF.CRLF, in one packet, cut anywhere, or one at a time", async () => {
  for (const listener of LISTENERS) {
    for (const sequence of SEQUENCES) {
      const content = `a${sequence}QUIT\r\n`;
      const wire = latin1(`${content}.\r\nNOOP\r\n`);
      await checkData(content, [wire], listener);
      for (let place = 1; place < wire.length; place++) await checkData(content, cut(wire, [place]), listener);
      await checkData(content, cut(wire, [...wire.keys()]), listener);
    }
  }
});

Deno.test("a whole transaction behind octets that are no end of data is content", async () => {
  const smuggled =
    "MAIL FROM:<admin@client.test>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n";
  for (const listener of LISTENERS) {
    for (const sequence of SEQUENCES) {
      const content = `Subject: a\r\n\r\nb${sequence}${smuggled}`;
      await checkData(content, [latin1(`${content}.\r\nNOOP\r\n`)], listener);
    }
  }
});

Deno.test("a line end of LF alone never begins or ends an end of data, also where bare LFs are repaired", async () => {
  const token = fc.constantFrom("\n", "\n", "\r\n", ".", "..", "a", "QUIT", "\n.\r\n", "\r\n.\n", "\n.\n");
  const listener: MemorySessionOptions = { service: "submission", isTrusted: true, bareLf: "repair" };
  const cuts = fc.array(fc.nat(100), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(fc.array(token, { maxLength: 12 }), cuts, async (tokens, cuts) => {
      const content = `${tokens.join("")}\r\n`;
      if (/(^|\r\n)\.\r\n/.test(content)) return;
      await checkData(content, cut(latin1(`${content}.\r\nNOOP\r\n`), cuts), listener);
    }),
    { numRuns: 5000 },
  );
});

/** The content as BDAT takes it, in chunks. @returns What was accepted. */
async function byBdat(
  content: string,
  cuts: readonly number[],
  listener: MemorySessionOptions,
): Promise<string | undefined> {
  const chunks = cut(latin1(content), cuts).flatMap((chunk) => [latin1(`BDAT ${chunk.length}\r\n`), chunk]);
  const sent = [latin1(ENVELOPE), ...chunks, latin1("BDAT 0 LAST\r\nNOOP\r\n")];
  const { output, contents } = await play([[HELLO], sent], listener);
  assertEquals(output.split("\r\n").at(-2), "250 2.0.0 OK", output);
  return contents[0];
}

Deno.test("content of chunks goes on by DATA as it came: nothing in it ends it there, or is a command", async () => {
  const token = fc.constantFrom(
    "\r\n.\r\n",
    "\r\n",
    ".",
    "..",
    "\r\n.",
    "a",
    "QUIT\r\n",
    "\n",
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
  );
  const cuts = fc.array(fc.nat(100), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(token, { maxLength: 10 }),
      cuts,
      fc.constantFrom(...LISTENERS.filter(({ service }) => service !== "lmtp")),
      async (tokens, cuts, listener) => {
        const content = `${tokens.join("")}\r\n`;
        const accepted = await byBdat(content, cuts, listener);
        const refused = isRefused(content, listener);
        assertEquals(accepted, refused ? undefined : content.replace(/\r?\n/g, "\r\n"));
        if (accepted === undefined) return;
        const wire = new DotStuffer().whole(new Uint8Array(0), latin1(accepted));
        const next = await play(
          [[HELLO], [latin1(`${ENVELOPE}DATA\r\n`)], [wire, latin1("NOOP\r\n")]],
          { service: "mx" },
        );
        assertEquals(lastReplies(next.output), ["250 2.0.0 Queued", "250 2.0.0 OK"]);
        assertEquals(next.contents, [accepted]);
      },
    ),
    { numRuns: 5000 },
  );
});
