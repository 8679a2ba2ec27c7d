/** What tests of bad peers share: a clock that moves on only when a peer has come to rest, and counting who got what. */

import { assert, assertEquals } from "@std/assert";
import type { FakeClock } from "./fake_clock.ts";
import type { ScriptedPeer } from "./scripted_peer.ts";

/** Runs work whose clock stands still, and moves that on to the limit, and not further, whenever the peer comes to rest. */
export async function untilDone<T>(
  work: Promise<T>,
  peer: ScriptedPeer,
  clock: FakeClock,
  limitMs?: number,
): Promise<T> {
  let isDone = false;
  const done = work.finally(() => isDone = true).then(() => false);
  for (
    let next = peer.stalls + 1;
    await Promise.race([done, peer.stalled(next).then(() => true)]);
    next = peer.stalls + 1
  ) {
    assert(limitMs !== undefined, "the peer has come to rest, which nobody expects");
    await turns();
    await clock.advance(limitMs - 1);
    await turns();
    assert(!isDone, "gave up before the time limit");
    await clock.advance(1);
  }
  return await work;
}

/** Lets everything happen that needs no time. */
export async function turns(): Promise<void> {
  for (let count = 0; count < 10; count++) await new Promise((resolve) => setTimeout(resolve, 0));
}

/** Recipients by final dot, of both peers: nobody may be in it twice. */
export function assertNobodyTwice(peers: readonly ScriptedPeer[], isDoubtful: boolean): void {
  const taken = peers.flatMap(({ messages }) => messages.filter((each) => each.isAccepted || isDoubtful))
    .flatMap(({ recipients }) => recipients);
  assertEquals(new Set(taken).size, taken.length, `taken: ${taken.join(" ")}`);
}
