/** What operators' wishes become in a journal, whether a server runs or not. */

import { isPending } from "./journal.ts";
import type { QueuedMessage, SpoolEvent } from "./spool.ts";

/** The events of a change at a time (RFC 3339 in UTC); none where nothing is to be changed. */
export type Changes = (message: QueuedMessage, at: string) => readonly SpoolEvent[];

/** An attempt now. */
export function retried(_message: QueuedMessage, at: string): readonly SpoolEvent[] {
  return [{ event: "retry", at }];
}

/** No attempt until it is released. */
export function held({ isHeld }: QueuedMessage, at: string): readonly SpoolEvent[] {
  return isHeld ? [] : [{ event: "held", at }];
}

/** It goes on. */
export function released({ isHeld }: QueuedMessage, at: string): readonly SpoolEvent[] {
  return isHeld ? [{ event: "released", at }] : [];
}

/** All that are pending are given up; the reason goes to the sender in a DSN (RFC 3463 §3.1). */
export function givenUp(reason: string): Changes {
  return ({ recipients, isHeld }, at) => {
    const pending = recipients.filter(isPending).map(({ index }) => index);
    if (pending.length === 0) return [];
    const outcome = { action: "failed", status: "5.0.0", text: reason, isRemoteReply: false } as const;
    const failed = { event: "attempt", at, recipients: pending, outcome } as const;
    // In this order: half of it leaves a held message that failed, and never one that was let go.
    return isHeld ? [failed, { event: "released", at }] : [failed];
  };
}
