/**
 * Every fault of a peer, at every stage: what becomes of each recipient and what is said about it, whether the next MX is
 * tried, that nothing waits beyond its limit, and that nobody gets a message twice.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { TIME_LIMITS } from "../../../../lib/smtp/client/time_limits.ts";
import type { Outcome } from "../../../../lib/mail/outcome.ts";
import { badPeer } from "../../../support/bad_peer.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { mxHop, testRequest, testTarget } from "../../../support/remote_delivery.ts";
import { DEFAULT_EXTENSIONS, type PeerOptions, startPeer } from "../../../support/scripted_peer.ts";
import { assertNobodyTwice, untilDone } from "../../../support/stalled_peer.ts";

const HOP = mxHop("example.test");
const ONE = {
  "example.test": { MX: [{ preference: 10, exchange: "mx1.test" }] },
  "mx1.test": { A: ["127.0.0.1"] },
};
const TWO = {
  "example.test": { MX: [{ preference: 20, exchange: "mx2.test" }, { preference: 10, exchange: "mx1.test" }] },
  "mx1.test": { A: ["127.0.0.1"] },
  "mx2.test": { A: ["127.0.0.2"] },
};
const GOOD = "good@example.test";
const { greetingMs, commandMs, dataMs, dotMs } = TIME_LIMITS;

/** One fault and what has to come of it. */
interface Row {
  /** By the peer where the fault comes before any recipient, else by the local part of one. */
  readonly fault: string;
  /** Action, status and text for the recipient with the fault, where this host is the only one. */
  readonly expected: string;
  readonly text: RegExp;
  /** The same for a recipient without fault in the same message; default: it fares the same. */
  readonly good?: string;
  /** How long the client waits for a peer that has come to rest. */
  readonly limitMs?: number;
  /** False: the next host must not get the message now. */
  readonly isNextTried?: false;
  /** The connection is of further use. */
  readonly isKept?: true;
  /** Final dots that the bad host gets to see; default 0. */
  readonly dots?: number;
}

const CLOSED = "delayed 4.4.2";
const GARBLED = "delayed 4.5.0";

const BEFORE_RECIPIENTS: readonly Row[] = [
  { fault: "greeting-421", expected: "delayed 4.3.0", text: /^421 4\.3\.0 As asked$/ },
  { fault: "greeting-450", expected: "delayed 4.3.0", text: /^450 / },
  { fault: "greeting-554", expected: "delayed 4.3.0", text: /^554 / },
  { fault: "greeting-drop", expected: CLOSED, text: /waiting for the greeting.*: connection closed by peer$/ },
  { fault: "greeting-half", expected: CLOSED, text: /waiting for the greeting.*: connection closed by peer$/ },
  { fault: "greeting-silent", expected: CLOSED, text: /greeting.*: time limit exceeded$/, limitMs: greetingMs },
  { fault: "greeting-trickle", expected: CLOSED, text: /greeting.*: time limit exceeded$/, limitMs: greetingMs },
  { fault: "greeting-barecr", expected: CLOSED, text: /greeting.*: time limit exceeded$/, limitMs: greetingMs },
  { fault: "greeting-endless", expected: GARBLED, text: /greeting.*more than 100 lines/ },
  { fault: "greeting-flood", expected: GARBLED, text: /greeting.*longer than 4096 octets/ },
  { fault: "greeting-binary", expected: GARBLED, text: /greeting.*no reply/ },
  { fault: "greeting-http", expected: GARBLED, text: /greeting.*no reply: "HTTP\/1\.1 400 Bad Request"/ },
  { fault: "greeting-wrong", expected: GARBLED, text: /greeting.*250 2\.0\.0 Hello/ },
  { fault: "greeting-early", expected: GARBLED, text: /before it was asked.*250 2\.0\.0 And one more/ },
  { fault: "greeting-change", expected: GARBLED, text: /changed the code within a reply: 220, then 550/ },
  { fault: "greeting-toomanylines", expected: GARBLED, text: /more than 100 lines/ },
  { fault: "greeting-large", expected: GARBLED, text: /32768 octets/ },
  { fault: "greeting-longline", expected: GARBLED, text: /longer than 4096 octets/ },
  { fault: "ehlo-421", expected: "delayed 4.3.0", text: /^421 / },
  { fault: "ehlo-450", expected: "delayed 4.3.0", text: /^450 / },
  { fault: "ehlo-550", expected: "delayed 4.3.0", text: /^550 / },
  { fault: "ehlo-drop", expected: CLOSED, text: /EHLO.*: connection closed by peer$/ },
  { fault: "ehlo-half", expected: CLOSED, text: /EHLO.*: connection closed by peer$/ },
  { fault: "ehlo-silent", expected: CLOSED, text: /EHLO.*: time limit exceeded$/, limitMs: commandMs },
  { fault: "ehlo-trickle", expected: CLOSED, text: /EHLO.*: time limit exceeded$/, limitMs: commandMs },
  { fault: "ehlo-endless", expected: GARBLED, text: /EHLO.*more than 100 lines/ },
  { fault: "ehlo-http", expected: GARBLED, text: /EHLO.*no reply: "HTTP/ },
  { fault: "ehlo-binary", expected: GARBLED, text: /EHLO.*no reply/ },
  { fault: "ehlo-wrong", expected: GARBLED, text: /EHLO.*354 Go ahead/ },
  { fault: "ehlo-early", expected: GARBLED, text: /before it was asked.*250 2\.0\.0 And one more/ },
  { fault: "ehlo-change", expected: GARBLED, text: /250, then 550/ },
  { fault: "starttls-421", expected: "delayed 4.3.0", text: /^421 / },
  { fault: "mail-421", expected: "delayed 4.3.0", text: /^421 / },
  { fault: "mail-450", expected: "delayed 4.3.0", text: /^450 /, isKept: true },
  { fault: "mail-550", expected: "failed 5.3.0", text: /^550 5\.3\.0 As asked$/, isNextTried: false, isKept: true },
  { fault: "mail-drop", expected: CLOSED, text: /reply to MAIL: connection closed by peer$/ },
  { fault: "mail-silent", expected: CLOSED, text: /reply to MAIL: time limit exceeded$/, limitMs: commandMs },
  { fault: "mail-trickle", expected: CLOSED, text: /reply to MAIL: time limit exceeded$/, limitMs: commandMs },
  { fault: "mail-endless", expected: GARBLED, text: /MAIL: Reply has more than 100 lines/ },
  { fault: "mail-wrong", expected: GARBLED, text: /MAIL: Peer answered with 354 Go ahead$/ },
  { fault: "mail-http", expected: GARBLED, text: /MAIL: Peer sent what is no reply: "HTTP/ },
];

const BY_RECIPIENT: readonly Row[] = [
  { fault: "rcpt-450", expected: "delayed 4.3.0", text: /^450 /, good: "relayed 2.6.0", isKept: true, dots: 1 },
  {
    fault: "rcpt-550",
    expected: "failed 5.3.0",
    text: /^550 /,
    good: "relayed 2.6.0",
    isNextTried: false,
    isKept: true,
    dots: 1,
  },
  {
    fault: "rcpt-nul",
    expected: "failed 5.1.1",
    text: /^550 5\.1\.1 No such \[2J user$/,
    good: "relayed 2.6.0",
    isNextTried: false,
    isKept: true,
    dots: 1,
  },
  {
    fault: "rcpt-latin1",
    expected: "failed 5.1.1",
    text: /^550 5\.1\.1 Unbekannter Empf\ufffdnger$/,
    good: "relayed 2.6.0",
    isNextTried: false,
    isKept: true,
    dots: 1,
  },
  { fault: "rcpt-421", expected: "delayed 4.3.0", text: /^421 / },
  { fault: "rcpt-drop", expected: CLOSED, text: /reply to RCPT: connection closed by peer$/ },
  { fault: "rcpt-half", expected: CLOSED, text: /reply to RCPT: connection closed by peer$/ },
  { fault: "rcpt-silent", expected: CLOSED, text: /reply to RCPT: time limit exceeded$/, limitMs: commandMs },
  { fault: "rcpt-trickle", expected: CLOSED, text: /reply to RCPT: time limit exceeded$/, limitMs: commandMs },
  { fault: "rcpt-endless", expected: GARBLED, text: /RCPT: Reply has more than 100 lines/ },
  { fault: "rcpt-binary", expected: GARBLED, text: /RCPT: Peer sent what is no reply/ },
  { fault: "rcpt-http", expected: GARBLED, text: /RCPT: Peer sent what is no reply: "HTTP/ },
  { fault: "rcpt-wrong", expected: GARBLED, text: /RCPT: Peer answered with 354 Go ahead$/ },
  { fault: "rcpt-change", expected: GARBLED, text: /changed the code within a reply/ },
  { fault: "rcpt-longline", expected: GARBLED, text: /longer than 4096 octets/ },
  { fault: "rcpt-early", expected: GARBLED, text: /250/ },
  { fault: "data-421", expected: "delayed 4.3.0", text: /^421 / },
  { fault: "data-451", expected: "delayed 4.3.0", text: /^451 /, isKept: true },
  { fault: "data-554", expected: "failed 5.3.0", text: /^554 /, isNextTried: false, isKept: true },
  { fault: "data-drop", expected: CLOSED, text: /reply to DATA: connection closed by peer$/ },
  { fault: "data-silent", expected: CLOSED, text: /reply to DATA: time limit exceeded$/, limitMs: dataMs },
  { fault: "data-trickle", expected: CLOSED, text: /reply to DATA: time limit exceeded$/, limitMs: dataMs },
  { fault: "data-wrong", expected: GARBLED, text: /DATA: Peer answered with 250 2\.0\.0 Fine$/ },
  { fault: "data-early", expected: GARBLED, text: /before it was asked.*250 2\.0\.0 And one more/ },
  { fault: "data-http", expected: GARBLED, text: /DATA: Peer sent what is no reply: "HTTP/ },
  { fault: "data-endless", expected: GARBLED, text: /DATA: Reply has more than 100 lines/ },
  { fault: "dot-421", expected: "delayed 4.3.0", text: /^421 /, dots: 1 },
  { fault: "dot-451", expected: "delayed 4.3.0", text: /^451 /, isKept: true, dots: 1 },
  { fault: "dot-554", expected: "failed 5.3.0", text: /^554 /, isNextTried: false, isKept: true, dots: 1 },
  // From here only the peer knows whether it has the message: it waits for the next attempt.
  { fault: "dot-drop", expected: CLOSED, text: /end of data: connection closed/, isNextTried: false, dots: 1 },
  { fault: "dot-half", expected: CLOSED, text: /end of data: connection closed/, isNextTried: false, dots: 1 },
  {
    fault: "dot-silent",
    expected: CLOSED,
    text: /end of data: time limit exceeded$/,
    limitMs: dotMs,
    isNextTried: false,
    dots: 1,
  },
  {
    fault: "dot-trickle",
    expected: CLOSED,
    text: /end of data: time limit exceeded$/,
    limitMs: dotMs,
    isNextTried: false,
    dots: 1,
  },
  { fault: "dot-wrong", expected: GARBLED, text: /end of data: .*354 Go ahead$/, isNextTried: false, dots: 1 },
  { fault: "dot-http", expected: GARBLED, text: /end of data: .*"HTTP/, isNextTried: false, dots: 1 },
  { fault: "dot-endless", expected: GARBLED, text: /end of data: .*100 lines/, isNextTried: false, dots: 1 },
  { fault: "dot-change", expected: GARBLED, text: /end of data: .*250, then 550/, isNextTried: false, dots: 1 },
];

function summary({ action, status }: Outcome): string {
  return `${action} ${status}`;
}

function testRow(row: Row, options: PeerOptions, localPart: string): void {
  const { limitMs, isNextTried = true, isKept = false, dots = 0 } = row;
  const recipients = [`${localPart}@example.test`, GOOD];
  const { good = row.expected } = row;
  const how = (options.extensions ?? DEFAULT_EXTENSIONS).includes("PIPELINING") ? "" : ", without PIPELINING";

  Deno.test(`${row.fault}${how}: ${row.expected}, said in words`, async () => {
    const clock = new FakeClock();
    await using peer = startPeer(options);
    await using target = testTarget(ONE, { mxPort: peer.port, clock, limits: TIME_LIMITS });
    const work = target.deliver(testRequest({ hop: HOP, recipients }));
    const [bad, other] = await untilDone(work, peer, clock, limitMs);
    assert(bad && other);
    assertEquals([summary(bad), summary(other)], [row.expected, good], bad.text);
    assertMatch(bad.text, row.text);
    assertEquals(bad.remoteMta, "mx1.test");
    assertEquals(peer.messages.length, dots);
    assertNobodyTwice([peer], dots > 0);
    const { connections } = peer;
    await untilDone(target.deliver(testRequest({ hop: HOP, recipients: [GOOD] })), peer, clock, limitMs);
    assertEquals(peer.connections > connections, !isKept, "whether the connection was used again");
  });

  Deno.test(`${row.fault}${how}: the next host ${isNextTried ? "takes the message" : "is left alone"}`, async () => {
    const clock = new FakeClock();
    await using first = startPeer(options);
    const replies = { rcpt: "250 2.1.5 Fine", dot: "250 2.6.0 Yes", data: "354 Go" };
    await using second = startPeer({ host: "127.0.0.2", port: first.port, replies });
    await using target = testTarget(TWO, { mxPort: first.port, clock, limits: TIME_LIMITS });
    const work = target.deliver(testRequest({ hop: HOP, recipients }));
    const [bad, other] = await untilDone(work, first, clock, limitMs);
    assert(bad && other);
    assertEquals(summary(bad), isNextTried ? "relayed 2.6.0" : row.expected, bad.text);
    assertEquals(summary(other), isNextTried ? "relayed 2.6.0" : good);
    assertEquals(second.messages.length, isNextTried ? 1 : 0);
    assertNobodyTwice([first, second], !isNextTried);
  });
}

for (const row of BEFORE_RECIPIENTS) testRow(row, badPeer(row.fault), "bad");
for (const row of BY_RECIPIENT) {
  for (const extensions of [["PIPELINING"], []]) testRow(row, { extensions }, row.fault);
}
