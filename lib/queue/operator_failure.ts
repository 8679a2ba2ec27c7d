/** What `queue fail` makes of a recipient, whether a server runs or not. */

import type { Outcome } from "../mail/outcome.ts";

/** The outcome for recipients that an operator gave up on; the reason goes to the sender in a DSN (RFC 3463 §3.1). */
export function operatorFailure(reason: string): Outcome {
  return { action: "failed", status: "5.0.0", text: reason, isRemoteReply: false };
}
