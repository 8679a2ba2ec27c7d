/** Faults of STARTTLS, of the handshake and of certificates, where TLS is required and where it is not. */

import { assertEquals, assertMatch } from "@std/assert";
import { TIME_LIMITS } from "../../../../lib/smtp/client/time_limits.ts";
import { makeSelfSigned } from "../../../../lib/tls/self_signed.ts";
import { badPeer } from "../../../support/bad_peer.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { mxHop, testRequest, testTarget } from "../../../support/remote_delivery.ts";
import { readTestPem, startPeer } from "../../../support/scripted_peer.ts";
import { untilDone } from "../../../support/stalled_peer.ts";

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
const CA = [readTestPem("ca.pem")];
const GOOD = "good@example.test";
const { commandMs } = TIME_LIMITS;

/** Faults of STARTTLS, and how long the client waits for a peer that has come to rest. */
const TLS_ROWS: readonly (readonly [fault: string, text: RegExp, limitMs?: number])[] = [
  ["starttls-454", /^454 4\.3\.0 As asked$/],
  ["starttls-drop", /no go-ahead after STARTTLS: connection closed by peer$/],
  ["starttls-silent", /no go-ahead after STARTTLS: time limit exceeded$/, commandMs],
  ["starttls-endless", /no go-ahead after STARTTLS: Reply has more than 100 lines/],
  ["starttls-binary", /no go-ahead after STARTTLS: Peer sent what is no reply/],
  ["starttls-wrong", /no go-ahead after STARTTLS: Peer answered with 250 2\.0\.0 Fine$/],
  ["starttls-early", /octets in the clear after its go-ahead/],
  ["tls-garbage", /^Cannot make a TLS connection to mx1\.test/],
  ["tls-alert", /^Cannot make a TLS connection to mx1\.test/],
  ["tls-closed", /^Cannot make a TLS connection to mx1\.test/],
  ["tls-injection", /octets in the clear after its go-ahead/],
];

for (const [fault, text, limitMs] of TLS_ROWS) {
  Deno.test(`${fault}: without demands the message goes in the clear to the same host`, async () => {
    const clock = new FakeClock();
    await using peer = startPeer(badPeer(fault));
    await using target = testTarget(ONE, { mxPort: peer.port, clock, limits: TIME_LIMITS });
    const work = target.deliver(testRequest({ hop: HOP, recipients: [GOOD] }));
    const [outcome] = await untilDone(work, peer, clock, limitMs);
    assertEquals([outcome?.action, outcome?.tls, peer.messages.length], ["relayed", undefined, 1], outcome?.text);
  });

  Deno.test(`${fault}: where TLS is required nothing is sent, and the next host takes the message under TLS`, async () => {
    const clock = new FakeClock();
    await using first = startPeer(badPeer(fault));
    const required = { mxPort: first.port, clock, limits: TIME_LIMITS, tls: "required" as const, caCertificates: CA };
    await using alone = testTarget(ONE, required);
    const request = testRequest({ hop: HOP, recipients: [GOOD] });
    const [outcome] = await untilDone(alone.deliver(request), first, clock, limitMs);
    assertEquals(outcome?.action, "delayed");
    assertMatch(outcome?.status ?? "", /^4\.(7\.5|3\.0)$/);
    assertMatch(outcome?.text ?? "", text);
    await using second = startPeer({ host: "127.0.0.2", port: first.port, tls: "starttls" });
    await using both = testTarget(TWO, required);
    const [other] = await untilDone(both.deliver(request), first, clock, limitMs);
    assertEquals([other?.action, other?.remoteMta], ["relayed", "mx2.test"]);
    assertEquals([first.messages.length, second.messages[0]?.isTls], [0, true]);
  });
}

const SELF_SIGNED = await makeSelfSigned("mx1.test", Date.now());
const EXPIRED = { chain: readTestPem("expired.pem"), key: readTestPem("expired.key.pem") };

for (
  const [what, certificate, trusted, text] of [
    ["signed by itself", SELF_SIGNED, CA, /^Cannot verify the certificate of mx1\.test .*: /],
    [
      "that has expired",
      EXPIRED,
      [readTestPem("expired_ca.pem")],
      /^Cannot verify the certificate of mx1\.test .*: /,
    ],
  ] as const
) {
  Deno.test(`a certificate ${what} is refused where TLS is required, and taken where it is not`, async () => {
    await using peer = startPeer({ tls: "starttls", certificate });
    await using strict = testTarget(ONE, { mxPort: peer.port, tls: "required", caCertificates: trusted });
    await using lenient = testTarget(ONE, { mxPort: peer.port });
    const request = testRequest({ hop: HOP, recipients: [GOOD] });
    const [refused] = await strict.deliver(request);
    assertEquals([refused?.action, refused?.status], ["delayed", "4.7.5"]);
    assertMatch(refused?.text ?? "", text);
    assertEquals(peer.messages.length, 0);
    const [taken] = await lenient.deliver(request);
    assertEquals([taken?.action, peer.messages[0]?.isTls], ["relayed", true]);
  });
}

Deno.test("530 for want of TLS, which could not be made, is no reason to give the message up", async () => {
  const mail = "530 5.7.0 Must issue a STARTTLS command first";
  await using peer = startPeer({ tls: "starttls", tlsFault: "closed", replies: { mail } });
  await using target = testTarget(ONE, { mxPort: peer.port });
  const [outcome] = await target.deliver(testRequest({ hop: HOP, recipients: [GOOD] }));
  assertEquals([outcome?.action, outcome?.status, outcome?.text], ["delayed", "4.7.0", mail]);
  // Without STARTTLS on offer it is a plain refusal: a login is wanted.
  await using other = startPeer({ replies: { mail: "530 5.7.0 Authentication required" } });
  await using target2 = testTarget(ONE, { mxPort: other.port });
  const [refused] = await target2.deliver(testRequest({ hop: HOP, recipients: [GOOD] }));
  assertEquals([refused?.action, refused?.status], ["failed", "5.7.0"]);
});
