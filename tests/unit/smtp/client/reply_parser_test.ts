import { assertEquals, assertThrows } from "@std/assert";
import { ClientError } from "../../../../lib/smtp/client/client_error.ts";
import { ReplyParser, replyText } from "../../../../lib/smtp/client/reply_parser.ts";
import type { Reply } from "../../../../lib/smtp/reply.ts";

function parse(...pieces: string[]): Reply[] {
  const parser = new ReplyParser();
  const replies: Reply[] = [];
  for (const piece of pieces) {
    parser.push(new TextEncoder().encode(piece));
    for (let reply = parser.next(); reply !== undefined; reply = parser.next()) replies.push(reply);
  }
  return replies;
}

Deno.test("a reply of one line gives code, enhanced status code and text", () => {
  assertEquals(parse("250 2.1.5 Fine\r\n"), [{ code: 250, enhanced: "2.1.5", lines: ["Fine"] }]);
});

Deno.test("a reply of several lines loses the enhanced status code of each line", () => {
  assertEquals(parse("550-5.1.1 No\r\n550-such\r\n550 5.1.1 user\r\n"), [
    { code: 550, enhanced: "5.1.1", lines: ["No", "such", "user"] },
  ]);
});

Deno.test("a code without text, with or without a space, is a reply", () => {
  assertEquals(parse("354\r\n250 \r\n250-\r\n250\r\n"), [
    { code: 354, lines: [""] },
    { code: 250, lines: [""] },
    { code: 250, lines: ["", ""] },
  ]);
});

Deno.test("an enhanced status code that only the last line has counts, as Cyrus writes it", () => {
  const cyrus = "550-Mailbox unknown.  Either there is no mailbox\r\n550-or more\r\n550 5.1.1 User unknown\r\n";
  assertEquals(parse(cyrus), [
    {
      code: 550,
      enhanced: "5.1.1",
      lines: ["Mailbox unknown.  Either there is no mailbox", "or more", "User unknown"],
    },
  ]);
});

Deno.test("an enhanced status code of another class is only text", () => {
  assertEquals(parse("550 4.7.1 Odd\r\n"), [{ code: 550, lines: ["4.7.1 Odd"] }]);
});

Deno.test("what only looks like an enhanced status code is text", () => {
  assertEquals(parse("250 2.1 x\r\n220 2.0.0.1 x\r\n"), [{ code: 250, lines: ["2.1 x"] }, {
    code: 220,
    lines: ["2.0.0.1 x"],
  }]);
});

Deno.test("several replies in one piece come one by one", () => {
  assertEquals(parse("250 a\r\n250 b\r\n35", "4 c\r\n").map(({ lines }) => lines[0]), ["a", "b", "c"]);
});

Deno.test("a bare LF ends a line too", () => {
  assertEquals(parse("250-a\n250 b\n"), [{ code: 250, lines: ["a", "b"] }]);
});

for (
  const [what, text] of [
    ["a line without code", "hello\r\n"],
    ["a code below 200", "150 x\r\n"],
    ["a code above 599", "600 x\r\n"],
    ["a code followed by something else", "250x\r\n"],
    ["an empty line", "\r\n"],
    ["a code that changes", "250-a\r\n251 b\r\n"],
    ["a line without end", "250 " + "x".repeat(5000)],
    ["a line that is too long", "250 " + "x".repeat(4100) + "\r\n"],
    ["too many lines", "250-x\r\n".repeat(101)],
    ["a reply that is too long", ("250-" + "x".repeat(4000) + "\r\n").repeat(9)],
  ] as const
) {
  Deno.test(`${what} is refused`, () => {
    assertEquals(assertThrows(() => parse(text), ClientError).fault, "protocol");
  });
}

Deno.test("the text of a reply is one line without control characters", () => {
  assertEquals(
    replyText({ code: 550, enhanced: "5.1.1", lines: ["No\tsuch", "\u0007user \u0085 "] }),
    "550 5.1.1 No such user",
  );
});
