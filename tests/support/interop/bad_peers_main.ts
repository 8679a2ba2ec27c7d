/**
 * Several scripted peers as one program, which can run inside a namespace. Started by `bad_peers.ts` with its plan as the
 * argument; writes one line of JSON for each thing that happens.
 */

import { badPeer } from "../bad_peer.ts";
import { startPeer } from "../scripted_peer.ts";
import type { BadPeerPlan, PeerEvent } from "./bad_peers.ts";

const ENCODER = new TextEncoder();

function tell(event: PeerEvent): void {
  Deno.stdout.writeSync(ENCODER.encode(`${JSON.stringify(event)}\n`));
}

function start({ name, host, fault, times = Infinity, healsAfterMs = Infinity, ...options }: BadPeerPlan): void {
  let left = times;
  let firstMs: number | undefined;
  const isOver = (): boolean => left-- <= 0 || performance.now() - (firstMs ?? Infinity) > healsAfterMs;
  startPeer({
    ...options,
    ...(fault === undefined ? {} : badPeer(fault, isOver)),
    host,
    port: 25,
    onConnection: () => {
      firstMs ??= performance.now();
      tell({ peer: name, event: "connection" });
    },
    onMessage: ({ recipients, isAccepted, isTls }) =>
      tell({
        peer: name,
        event: "message",
        recipients: recipients.map((each) => /<([^>]*)>/.exec(each)?.[1] ?? ""),
        isAccepted,
        isTls,
      }),
  });
}

const plans: readonly BadPeerPlan[] = JSON.parse(Deno.args[0] ?? "[]");
for (const plan of plans) start(plan);
tell({ peer: "", event: "ready" });
