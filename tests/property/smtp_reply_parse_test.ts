import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ClientError } from "../../lib/smtp/client/client_error.ts";
import { DotStuffer } from "../../lib/smtp/client/dot_stuffing.ts";
import { ReplyParser } from "../../lib/smtp/client/reply_parser.ts";
import { formatReply, type Reply } from "../../lib/smtp/reply.ts";

const ENCODER = new TextEncoder();

function parse(pieces: Iterable<Uint8Array>): Reply[] {
  const parser = new ReplyParser();
  const replies: Reply[] = [];
  for (const piece of pieces) {
    parser.push(piece);
    for (let reply = parser.next(); reply !== undefined; reply = parser.next()) replies.push(reply);
  }
  return replies;
}

/** Cuts octets at the given places, in any order. */
function cut(octets: Uint8Array, places: readonly number[]): Uint8Array[] {
  const at = [...new Set(places.map((place) => place % (octets.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, index) => octets.subarray(from, at[index] ?? octets.length));
}

const text = fc.stringMatching(/^[ -~\u00a1-\u0233]{0,60}$/).filter((line) => !/^[245]\.\d/.test(line));
const reply: fc.Arbitrary<Reply> = fc.record({
  code: fc.integer({ min: 200, max: 599 }).filter((code) => code < 300 || code >= 400),
  detail: fc.option(fc.tuple(fc.nat(999), fc.nat(999)), { nil: undefined }),
  lines: fc.array(text, { minLength: 1, maxLength: 5 }),
}).map(({ code, detail, lines }) =>
  detail === undefined ? { code, lines } : { code, enhanced: [Math.floor(code / 100), ...detail].join("."), lines }
);
const places = fc.array(fc.nat(2000), { maxLength: 20 });

Deno.test("formatted replies are parsed back, wherever the network cuts them", () => {
  fc.assert(fc.property(fc.array(reply, { maxLength: 5 }), places, (replies, cuts) => {
    assertEquals(parse(cut(ENCODER.encode(replies.map(formatReply).join("")), cuts)), replies);
  }));
});

Deno.test("any octets give replies or a ClientError, and the same ones wherever they are cut", () => {
  const octets = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.string({ unit: fc.constantFrom("2", "5", "0", "4", ".", "-", " ", "\r", "\n", "x"), maxLength: 80 })
      .map((value) => ENCODER.encode(value)),
  );
  const outcome = (pieces: Uint8Array[]): unknown => {
    try {
      return parse(pieces);
    } catch (error) {
      assert(error instanceof ClientError);
      return error.fault;
    }
  };
  fc.assert(fc.property(octets, places, (value, cuts) => {
    assertEquals(outcome(cut(value, cuts)), outcome([value]));
  }));
});

Deno.test("stuffed content has one end of data, and unstuffed it is the content again", () => {
  const line = fc.string({ unit: fc.constantFrom(".", "x", "\r\n", ".\r\n", "\r\n."), maxLength: 30 });
  fc.assert(fc.property(line, places, (content, cuts) => {
    const stuffer = new DotStuffer();
    const pieces = cut(ENCODER.encode(content), cuts).map((piece) => stuffer.stuff(piece));
    const wire = [...pieces, stuffer.end()].map((piece) => new TextDecoder().decode(piece)).join("");
    assertEquals(("\r\n" + wire).indexOf("\r\n.\r\n"), wire.length - 3);
    const complete = content === "" || content.endsWith("\r\n") ? content : content + "\r\n";
    assertEquals(wire.slice(0, -3).replace(/(^|\r\n)\./g, "$1"), complete);
    const whole = new DotStuffer().whole(ENCODER.encode(content.slice(0, 3)), ENCODER.encode(content.slice(3)));
    assertEquals(new TextDecoder().decode(whole), wire);
  }));
});

Deno.test("a dot after a bare LF is doubled too, so that no peer sees an end of data that is not ours", () => {
  const wire = new DotStuffer().whole(new Uint8Array(0), ENCODER.encode("a\n.\nb\n.\r\nc\r\n"));
  assertEquals(new TextDecoder().decode(wire), "a\n..\nb\n..\r\nc\r\n.\r\n");
});
