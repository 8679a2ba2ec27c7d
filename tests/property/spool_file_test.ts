import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { Envelope } from "../../lib/mail/envelope.ts";
import type { SpoolEvent } from "../../lib/queue/spool.ts";
import {
  decodeHead,
  decodeTail,
  encodeEnvelope,
  encodeEvents,
  encodeHead,
  HEAD_OCTETS,
} from "../../lib/queue/spool_file.ts";
import { SpoolFileError } from "../../lib/queue/spool_json.ts";

const ID = "2qfskmrv1krqpte2";

const anyText = fc.string({ unit: "binary" });
const maybe = <T>(key: string, value: fc.Arbitrary<T>): fc.Arbitrary<Record<string, T>> =>
  fc.oneof(fc.constant({}), value.map((made) => ({ [key]: made })));
const time = fc.date({ min: new Date("2020-01-01"), max: new Date("2090-01-01"), noInvalidDate: true })
  .map((date) => date.toISOString());

const recipient = fc.tuple(
  fc.record({ address: anyText }),
  maybe("original", anyText),
  maybe("orcpt", anyText),
  maybe("reversePath", anyText),
  maybe("forwardedBy", anyText),
  maybe("isExpanded", fc.constant(true)),
  maybe("list", fc.constantFrom("itself", "member")),
  maybe("notify", fc.oneof(fc.constant("never"), fc.subarray(["success", "failure", "delay"], { minLength: 1 }))),
).map((parts) => Object.assign({}, ...parts));

const envelope: fc.Arbitrary<Envelope> = fc.tuple(
  fc.record({
    reversePath: anyText,
    arrived: time,
    body: fc.constantFrom("7BIT", "8BITMIME", "BINARYMIME"),
    smtpUtf8: fc.boolean(),
    trace: anyText,
    session: fc.tuple(
      fc.record({ service: fc.constantFrom("mx", "submission", "lmtp", "local") }),
      maybe("helo", anyText),
      maybe("tls", anyText),
      maybe("login", anyText),
    ).map((parts) => Object.assign({}, ...parts)),
    recipients: fc.array(recipient, { minLength: 1, maxLength: 5 }),
  }),
  maybe("ret", fc.constantFrom("FULL", "HDRS")),
  maybe("envid", anyText),
  maybe("arcSeal", anyText),
  maybe("requireTls", fc.constant(true)),
  maybe("isTlsOptional", fc.constant(true)),
  maybe("holdUntil", time),
  maybe("deliverBy", fc.record({ until: time, mode: fc.constantFrom("return", "notify"), isTraced: fc.boolean() })),
  maybe("priority", fc.integer({ min: -9, max: 9 })),
).map((parts) => Object.assign({}, ...parts));

const outcome = fc.tuple(
  fc.record({
    action: fc.constantFrom("delivered", "relayed", "expanded", "delayed", "failed"),
    status: fc.constantFrom("2.0.0", "4.4.7", "5.1.1"),
    text: anyText,
    isRemoteReply: fc.boolean(),
  }),
  maybe("remoteMta", anyText),
  maybe("stage", fc.constantFrom("greeting", "rcpt", "dot")),
  maybe("replyLines", fc.array(anyText, { maxLength: 3 })),
  maybe("replyClass", fc.constantFrom("greylisting", "block")),
  maybe("destination", fc.constantFrom("down", "pushback")),
).map((parts) => Object.assign({}, ...parts));

const event: fc.Arbitrary<SpoolEvent> = fc.oneof(
  fc.tuple(
    fc.record({ event: fc.constant("attempt"), at: time, recipients: fc.constant([0]), outcome }),
    maybe("nextAttempt", time),
    maybe("fallback", anyText),
  ).map((parts) => Object.assign({}, ...parts)),
  fc.record({
    event: fc.constant("reported" as const),
    at: time,
    recipients: fc.constant([0]),
    kind: fc.constantFrom("delayed" as const, "failed" as const),
  }),
  fc.record({ event: fc.constant("retry" as const), at: time }),
);

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

Deno.test("what is written to a spool file is what is read", () => {
  fc.assert(fc.property(envelope, fc.array(event, { maxLength: 5 }), (envelope, events) => {
    const tail = concat(encodeEnvelope(ID, envelope), encodeEvents(events));
    assertEquals(decodeTail(tail, ID), { envelope, events, unreadableLines: 0 });
  }));
});

Deno.test("the first line is 30 octets long for every length that it can say", () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 999_999_999_999 }), (octets) => {
    const head = encodeHead(octets);
    assertEquals(head.length, HEAD_OCTETS);
    assertEquals(decodeHead(head), octets);
  }));
});

Deno.test("a tail cut at any octet is refused inside the envelope, and loses only the torn event after it", () => {
  fc.assert(
    fc.property(envelope, fc.array(event, { maxLength: 3 }), (envelope, events) => {
      const first = encodeEnvelope(ID, envelope);
      const tail = concat(first, encodeEvents(events));
      for (let cut = 0; cut <= tail.length; cut++) {
        const part = tail.subarray(0, cut);
        if (cut < first.length) {
          assert(isRefused(part), `cut at ${cut}`);
          continue;
        }
        const whole = part.reduce((lines, octet) => lines + (octet === 0x0a ? 1 : 0), 0) - 1;
        assertEquals(decodeTail(part, ID).events, events.slice(0, whole), `cut at ${cut}`);
      }
    }),
    { numRuns: 15 },
  );
});

Deno.test("no octets make the reading throw anything but its own error", () => {
  const line = fc.oneof(fc.string(), fc.json(), event.map((made) => JSON.stringify(made)));
  fc.assert(fc.property(fc.uint8Array(), fc.array(line), fc.json(), (octets, lines, value) => {
    const text = new TextEncoder().encode(`{"envelope":${value}}\n${lines.join("\n")}`);
    for (const input of [octets, text]) isRefused(input);
    try {
      decodeHead(octets);
    } catch (error) {
      assert(error instanceof SpoolFileError);
    }
  }));
});

function isRefused(tail: Uint8Array): boolean {
  try {
    decodeTail(tail, ID);
    return false;
  } catch (error) {
    assert(error instanceof SpoolFileError, String(error));
    return true;
  }
}
