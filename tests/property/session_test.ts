/** Whole sessions of the receiving side, without a network: random commands, random octets, random cuts. */

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

/** Verbs that may be pipelined, and those that must be the last of their group (RFC 2920 §3.1). */
const middle = fc.constantFrom(
  "MAIL FROM:<bob@client.test>",
  "MAIL FROM:<>",
  "MAIL FROM:<bob@client.test> SIZE=1999 BODY=8BITMIME",
  "RCPT TO:<alice@example.org>",
  "RCPT TO:<team@example.org>",
  "RCPT TO:<nobody@example.org>",
  "RCPT TO:<carol@elsewhere.test>",
  "RSET",
  "NOOP",
  "FOO",
  "MAIL FROM:bob",
  "VRFY alice",
);
const last = fc.constantFrom(
  "EHLO client.test",
  "HELO client.test",
  "LHLO client.test",
  "AUTH PLAIN",
  "STARTTLS",
  "HELP",
);
const line = fc.stringMatching(/^[a-z. ]{0,20}$/);
const cuts = fc.array(fc.nat(500), { maxLength: 8 });

/** A chunk with its command; also one that looks like commands, or has what may not be in content. */
const chunk = fc.tuple(
  fc.oneof(
    fc.array(fc.constantFrom("\r\n", "text", ".", "QUIT\r\n", "\n", "\r", "\0", "é"), { maxLength: 6 }),
    fc.constant(["x".repeat(1500)]),
  ),
  fc.constantFrom("", "", " LAST"),
).map(([parts, last]) => {
  const text = parts.join("");
  return `BDAT ${encoder.encode(text).length}${last}\r\n${text}`;
});

/** A group of commands, and with DATA the content behind its 354. */
const group = fc.oneof(
  fc.array(fc.oneof({ weight: 3, arbitrary: chunk }, { weight: 1, arbitrary: middle }), { maxLength: 6 }).map((
    texts,
  ) => [
    "MAIL FROM:<bob@client.test>\r\nRCPT TO:<alice@example.org>\r\nRCPT TO:<team@example.org>\r\n" +
    texts.map((text) => text.startsWith("BDAT") ? text : `${text}\r\n`).join(""),
  ]),
  fc.tuple(fc.array(middle, { maxLength: 4 }), fc.option(last, { nil: undefined })).map(([verbs, end]) => [
    [...verbs, ...(end === undefined ? [] : [end])].map((verb) => `${verb}\r\n`).join(""),
  ]),
  fc.array(line, { maxLength: 6 }).map((lines) => [
    "MAIL FROM:<bob@client.test>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\n",
    lines.map((text) => `${text.startsWith(".") ? "." : ""}${text}\r\n`).join("") + ".\r\n",
  ]),
).map((parts) => parts);

Deno.test("the replies are the same wherever TCP cuts a session", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(group, { maxLength: 6 }),
      cuts,
      fc.constantFrom("mx", "lmtp"),
      async (groups, cuts, service) => {
        const hello = service === "lmtp" ? "LHLO client.test\r\n" : "EHLO client.test\r\n";
        const sent = [hello, ...groups.flat()].map((text) => encoder.encode(text));
        const whole = await play(sent.map((octets) => [octets]), service);
        checkSane(whole);
        const pieces = await play(sent.map((octets) => cut(octets, cuts)), service);
        assertEquals(pieces, whole);
      },
    ),
    { numRuns: 1500 },
  );
});

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

Deno.test("no octets make a session throw, hang, or leave anything behind", async () => {
  const tricky = fc.constantFrom(
    "\r\n",
    "\n",
    "\r",
    "\r\n.\r\n",
    ".",
    "\0",
    "DATA\r\n",
    "é",
    "<",
    ">",
    '"',
    "\\",
    " ",
    "=",
    "BDAT ",
    "BDAT 3\r\n",
    "BDAT 9 LAST\r\n",
    "BDAT 99999999999999999999\r\n",
  );
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc.array(fc.oneof(tricky, middle, last, line, chunk), { maxLength: 12 }).map((texts) =>
      encoder.encode(texts.join(""))
    ),
    fc.constantFrom("DATA\r\n", "BDAT 20\r\n", "BDAT 5\r\n12345").map((end) =>
      encoder.encode(`MAIL FROM:<a@b.test>\r\nRCPT TO:<alice@example.org>\r\n${end}`)
    ),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(noise, { maxLength: 8 }),
      cuts,
      fc.constantFrom("mx", "submission", "lmtp"),
      async (groups, cuts, service) => {
        const sent = [encoder.encode("EHLO client.test\r\n"), ...groups];
        checkSane(await play(sent.map((octets) => cut(octets, cuts)), service));
      },
    ),
    { numRuns: 15_000 },
  );
});
