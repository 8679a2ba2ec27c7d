/**
 * What every delivery target keeps to, whatever it delivers into: Maildir, SMTP, LMTP, webhooks. Each kind of target runs the
 * suite; what one of them cannot have (a recipient refused alone, a lost answer) its subject leaves out.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import type { DeliveryRequest, DeliveryTarget } from "../../../lib/delivery/target.ts";
import type { NextHop } from "../../../lib/delivery/next_hop.ts";
import type { Content } from "../../../lib/mail/content.ts";
import { memoryContent } from "../../../lib/mail/content.ts";
import type { Envelope } from "../../../lib/mail/envelope.ts";
import type { Outcome } from "../../../lib/mail/outcome.ts";

/** What is wrong with the place that the target delivers into. */
export type Fault = "none" | "full" | "broken";

/** A target under test, and a view of where it delivers. */
export interface Subject<H extends NextHop> extends AsyncDisposable {
  readonly target: DeliveryTarget<H>;
  readonly hop: H;
  /** The recipients that lead to the hop; at least two. */
  readonly recipients: readonly string[];
  /** All messages that somebody could read there, with what the target put in front. */
  visible(): Promise<Uint8Array[]>;
  /** Names of half-written things left behind. */
  leftovers(): Promise<string[]>;
  /** Sets the fault, or takes it away again. */
  setFault(fault: Fault): void;
  /** Takes the whole of the next messages and loses the answer, until told not to. Absent: there is no answer to lose. */
  loseAnswers?(isLosing: boolean): void;
  /** Recipients that are refused for good, and whose mailbox is full; absent where recipients share one fate. */
  readonly unlucky?: { readonly refused: string; readonly overQuota: string };
}

/** Content that is read piece by piece, as from a file. `onPiece` is told the number of each before it comes. */
export function streamedContent(octets: Uint8Array, pieceOctets = 1000, onPiece?: (piece: number) => void): Content {
  return {
    octets: octets.length,
    async *chunks(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < octets.length; at += pieceOctets) {
        onPiece?.(at / pieceOctets);
        yield await Promise.resolve(octets.slice(at, at + pieceOctets));
      }
    },
  };
}

/** An envelope with plain facts. */
export function makeEnvelope(recipients: readonly string[], changes: Partial<Envelope> = {}): Envelope {
  return {
    reversePath: "sender@example.com",
    arrived: "2026-11-23T10:00:00.000Z",
    body: "8BITMIME",
    smtpUtf8: false,
    trace: "Received: from client.example.com (192.0.2.7) by mail.example.org with ESMTP id q1;\r\n" +
      "\tMon, 23 Nov 2026 10:00:00 +0000\r\n",
    session: { service: "mx" },
    recipients: recipients.map((address) => ({ address })),
    ...changes,
  };
}

/** Lines with every octet but NUL, CR and LF, a dot at the start of some, and no line end missing. */
export function sampleMessage(lines: number): Uint8Array {
  const head = new TextEncoder().encode("From: a@example.com\r\nSubject: sample\r\n\r\n");
  const octets: number[] = [...head];
  for (let line = 0; line < lines; line++) {
    if (line % 3 === 0) octets.push(46);
    for (let i = 0; i < 70; i++) {
      const octet = 1 + (line * 70 + i) % 255;
      if (octet !== 10 && octet !== 13) octets.push(octet);
    }
    octets.push(13, 10);
  }
  return Uint8Array.from(octets);
}

/** Runs the suite. @param make Makes a fresh subject without a fault. */
export function conformance<H extends NextHop>(name: string, make: () => Promise<Subject<H>>): void {
  const test = (promise: string, run: (subject: Subject<H>) => Promise<void>): void =>
    Deno.test(`${name}: ${promise}`, async () => {
      await using subject = await make();
      await run(subject);
    });

  test("each recipient gets an outcome, after the message can be read", async (subject) => {
    const outcomes = await deliver(subject, memoryContent(sampleMessage(3)));
    assertEquals(outcomes.length, subject.recipients.length);
    for (const outcome of outcomes) {
      assert(outcome.action === "delivered" || outcome.action === "relayed");
      assertMatch(outcome.status, /^2\.\d{1,3}\.\d{1,3}$/);
    }
    assertEquals((await subject.visible()).length, 1);
    assertEquals(await subject.leftovers(), []);
  });

  test("in-memory and streamed content give identical messages, content octet for octet", async (subject) => {
    const octets = sampleMessage(1000);
    await deliver(subject, memoryContent(octets));
    await deliver(subject, streamedContent(octets));
    const [first, second] = await subject.visible();
    assert(first !== undefined && second !== undefined);
    assertEquals(first, second);
    assertEquals(first.slice(-octets.length), octets);
  });

  for (const [fault, status] of [["full", /^4\.3\.1$/], ["broken", /^4\.\d\.\d$/]] as const) {
    test(`a ${fault} destination delays, leaves nothing behind, and recovers by itself`, async (subject) => {
      for (const content of bothContents(sampleMessage(200))) {
        subject.setFault(fault);
        const before = (await subject.visible()).length;
        for (const outcome of await deliver(subject, content)) {
          assertEquals(outcome.action, "delayed");
          assertMatch(outcome.status, status);
          assert(!outcome.text.includes("/"), `path in text for senders: ${outcome.text}`);
        }
        assertEquals((await subject.visible()).length, before);
        subject.setFault("none");
        assertEquals(await subject.leftovers(), []);
        assertDelivered(await deliver(subject, content));
        assertEquals((await subject.visible()).length, before + 1);
      }
    });
  }

  test("an abort before the start delays", async (subject) => {
    for (const content of bothContents(sampleMessage(200))) {
      assertDelayed(await deliver(subject, content, AbortSignal.abort()));
      assertEquals(await subject.visible(), []);
      assertEquals(await subject.leftovers(), []);
    }
  });

  test("an abort in the middle of the content delays and leaves nothing behind", async (subject) => {
    const controller = new AbortController();
    const content = streamedContent(sampleMessage(200), 1000, (piece) => piece === 5 && controller.abort());
    assertDelayed(await deliver(subject, content, controller.signal));
    assertEquals(await subject.visible(), []);
    assertEquals(await subject.leftovers(), []);
  });

  test("content that cannot be read to its end delays and leaves nothing behind", async (subject) => {
    const octets = sampleMessage(200);
    const broken = streamedContent(octets, 1000, (piece) => {
      if (piece === 5) throw new Error("Input/output error (os error 5)");
    });
    const short: Content = { ...streamedContent(octets), octets: octets.length + 1 };
    for (const content of [broken, short]) {
      assertDelayed(await deliver(subject, content));
      assertEquals(await subject.visible(), []);
      assertEquals(await subject.leftovers(), []);
    }
  });

  test("an abort in the middle of a large message delays, and the next attempt brings it once", async (subject) => {
    const octets = sampleMessage(6_000);
    const controller = new AbortController();
    const content = streamedContent(octets, 16_384, (piece) => piece === 18 && controller.abort());
    assertDelayed(await deliver(subject, content, controller.signal));
    assertEquals(await subject.visible(), []);
    assertDelivered(await deliver(subject, streamedContent(octets, 16_384)));
    await assertWhole(subject, [octets]);
  });

  test("content without an octet arrives, and so does a header section without a body", async (subject) => {
    const head = new TextEncoder().encode("Subject: no body\r\n");
    for (const octets of [new Uint8Array(0), head]) {
      for (const content of bothContents(octets)) assertDelivered(await deliver(subject, content));
    }
    assertEquals((await subject.visible()).length, 4);
    assertEquals(await subject.leftovers(), []);
  });

  test("a second delivery of the same request does no harm", async (subject) => {
    const octets = sampleMessage(50);
    for (let i = 0; i < 2; i++) assertDelivered(await deliver(subject, memoryContent(octets)));
    const visible = await subject.visible();
    // One that knows the message again may keep the first copy only.
    assert(visible.length === 1 || visible.length === 2);
    await assertWhole(subject, visible.map(() => octets));
  });

  test("whatever goes wrong, there are outcomes and nothing is thrown", async (subject) => {
    const thrower: Content = {
      octets: 10,
      chunks: () => {
        throw new Error("Too many open files (os error 24)");
      },
    };
    const noIterator = { octets: 10, chunks: () => undefined } as unknown as Content;
    const oddError: Content = {
      octets: 10,
      async *chunks(): AsyncGenerator<Uint8Array> {
        yield await Promise.reject(undefined);
      },
    };
    for (const content of [thrower, noIterator, oddError]) assertDelayed(await deliver(subject, content));
    assertEquals(await subject.visible(), []);
    assertEquals(await subject.leftovers(), []);
    assertDelivered(await deliver(subject, memoryContent(sampleMessage(3))));
  });

  test("a connection that breaks after the end of the content delays, and the next attempt delivers", async (subject) => {
    if (subject.loseAnswers === undefined) return;
    const octets = sampleMessage(50);
    for (const content of bothContents(octets)) {
      subject.loseAnswers(true);
      assertDelayed(await deliver(subject, content));
      subject.loseAnswers(false);
      const before = (await subject.visible()).length;
      assertDelivered(await deliver(subject, content));
      assert((await subject.visible()).length > 0 && (await subject.visible()).length >= before);
    }
    await assertWhole(subject, (await subject.visible()).map(() => octets));
  });

  test("a recipient that is refused fails alone, one that is over quota waits alone, in the order they were given", async (subject) => {
    if (subject.unlucky === undefined) return;
    const { refused, overQuota } = subject.unlucky;
    const [first = "", second = ""] = subject.recipients;
    for (const content of bothContents(sampleMessage(50))) {
      const outcomes = await deliver(subject, content, undefined, [refused, first, overQuota, second]);
      const actions = outcomes.map(({ action }) => action.replace("relayed", "delivered"));
      assertEquals(actions, ["failed", "delivered", "delayed", "delivered"]);
      assertEquals(outcomes.map(({ status }) => status[0]), ["5", "2", "4", "2"]);
    }
    assertEquals((await subject.visible()).length, 2);
    for (const [address, action] of [[refused, "failed"], [overQuota, "delayed"]] as const) {
      const outcomes = await deliver(subject, memoryContent(sampleMessage(3)), undefined, [address]);
      assertEquals(outcomes.map((outcome) => outcome.action), [action]);
    }
    assertEquals((await subject.visible()).length, 2);
  });

  test("many messages at the same time all arrive", async (subject) => {
    const content = memoryContent(sampleMessage(10));
    const all = await Promise.all(Array.from({ length: 50 }, () => deliver(subject, content)));
    for (const outcomes of all) assertDelivered(outcomes);
    assertEquals((await subject.visible()).length, 50);
  });
}

function bothContents(octets: Uint8Array): Content[] {
  return [memoryContent(octets), streamedContent(octets)];
}

function deliver<H extends NextHop>(
  subject: Subject<H>,
  content: Content,
  signal: AbortSignal = new AbortController().signal,
  recipients: readonly string[] = subject.recipients,
): Promise<readonly Outcome[]> {
  const envelope = makeEnvelope(recipients);
  const request: DeliveryRequest<H> = {
    queueId: "q1",
    envelope,
    content,
    hop: subject.hop,
    recipients: envelope.recipients,
    signal,
  };
  return subject.target.deliver(request);
}

/** Each message has its content at its end. They are long: no difference is worked out. */
async function assertWhole<H extends NextHop>(subject: Subject<H>, contents: readonly Uint8Array[]): Promise<void> {
  const visible = await subject.visible();
  assertEquals(visible.length, contents.length);
  for (const [index, octets] of contents.entries()) {
    const end = visible[index]?.subarray(-octets.length) ?? new Uint8Array(0);
    assert(
      end.length === octets.length && end.every((octet, at) => octet === octets[at]),
      `message ${index} is not whole`,
    );
  }
}

function assertDelivered(outcomes: readonly Outcome[]): void {
  for (const { action } of outcomes) assert(action === "delivered" || action === "relayed", action);
}

function assertDelayed(outcomes: readonly Outcome[]): void {
  for (const { action, status } of outcomes) {
    assertEquals(action, "delayed");
    assertMatch(status, /^4\./);
  }
}
