/** SMTP and LMTP keep to what all delivery targets keep to, against a peer that has the faults. */

import type { RemoteHop } from "../../../../lib/delivery/remote/tls_policy.ts";
import { mxHop, smarthostHop, testTarget } from "../../../support/remote_delivery.ts";
import { type PeerOptions, startPeer } from "../../../support/scripted_peer.ts";
import { conformance, type Fault, type Subject } from "../conformance.ts";

const ZONE = {
  "example.test": { MX: [{ preference: 10, exchange: "mx1.test" }] },
  "mx1.test": { A: ["127.0.0.1"] },
};

/** A peer with faults, and the hop to it. */
function makeSubject(
  peerOptions: PeerOptions,
  hopTo: (port: number) => RemoteHop,
  overQuota: string,
): Promise<Subject<RemoteHop>> {
  let fault: Fault = "none";
  let isLosing = false;
  const peer = startPeer({
    ...peerOptions,
    replies: {
      mail: () => fault === "full" ? "452 4.3.1 Insufficient system storage" : undefined,
      data: () => fault === "broken" ? "451 4.3.0 Cannot write the queue file" : undefined,
      dot: () => isLosing ? "drop" : undefined,
    },
  });
  const target = testTarget(ZONE, { mxPort: peer.port });
  return Promise.resolve({
    target,
    hop: hopTo(peer.port),
    recipients: ["a@example.test", "b@example.test"],
    visible: () => Promise.resolve(peer.messages.filter(({ isAccepted }) => isAccepted).map(({ content }) => content)),
    leftovers: () => Promise.resolve([]),
    setFault: (next: Fault): void => void (fault = next),
    loseAnswers: (next: boolean): void => void (isLosing = next),
    unlucky: { refused: "reply-550@example.test", overQuota },
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await target[Symbol.asyncDispose]();
      await peer[Symbol.asyncDispose]();
    },
  });
}

for (const extensions of [undefined, ["CHUNKING", "8BITMIME"], ["8BITMIME"]]) {
  const name = extensions === undefined ? "" : ` with ${extensions.join(" and ")} only`;
  const options = extensions === undefined ? {} : { extensions };
  conformance(
    `SMTP${name}`,
    () => makeSubject(options, () => mxHop("example.test"), "reply-452@example.test"),
  );
}

conformance(
  "LMTP",
  () =>
    makeSubject(
      { protocol: "lmtp" },
      (port) => smarthostHop({ scheme: "lmtp", port, tls: "off" }),
      // Told after the final dot, for this recipient only (RFC 2033 §4.2).
      "dot-452@example.test",
    ),
);
