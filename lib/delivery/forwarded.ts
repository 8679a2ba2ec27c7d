/**
 * What is particular about a message for some of its recipients: the reverse-path that it goes on with, and the mark of the
 * address of ours that sends it on, with our ARC seal. The targets behind this know nothing of them; content, and with it a
 * DKIM signature, is not touched.
 */

import { hasUsualLength, parseMailbox } from "../mail/mailbox.ts";
import { envelopeFor, type EnvelopeRecipient } from "../mail/envelope.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { Logger } from "../log/logger.ts";
import { deliveredTo, wasDeliveredTo } from "./delivered_to.ts";
import type { DeliveryTarget } from "./target.ts";

const LOOP: Outcome = {
  action: "failed",
  status: "5.4.6",
  text: "mail loop: the message was sent on by this address before",
  isRemoteReply: false,
};

/**
 * Delivers with the reverse-path of the recipients and, where they are forwarded to, a Delivered-To in front,
 * and above it the ARC set where the envelope has one.
 *
 * @param deliver Sees the envelope as this transaction needs it. The recipients of a request have both in common.
 */
export function forwarded(deliver: DeliveryTarget["deliver"], logger: Logger): DeliveryTarget["deliver"] {
  return async (request) => {
    const { envelope, recipients: [recipient] } = request;
    if (recipient?.reversePath === undefined && recipient?.forwardedBy === undefined) return await deliver(request);
    const { forwardedBy } = recipient;
    const sent = envelopeFor(envelope, recipient);
    const { reversePath } = sent;
    let { trace } = envelope;
    if (forwardedBy !== undefined) {
      if (await wasDeliveredTo(forwardedBy, request.content)) return request.recipients.map(() => LOOP);
      // Trace fields change nothing that a seal covers, so they may stand below it (RFC 8617 §4.1.2).
      trace = `${envelope.arcSeal ?? ""}${deliveredTo(forwardedBy)}${trace}`;
    }
    const outcomes = await deliver({ ...request, envelope: { ...sent, trace } });
    if (!isTooLongForThem(outcomes, recipient)) return outcomes;
    logger.info("{queueId}: rewritten sender <{reversePath}> is refused as it is, once more with <{sender}>: {reply}", {
      queueId: request.queueId,
      reversePath,
      sender: envelope.reversePath,
      reply: outcomes[0]?.text,
    });
    return await deliver({ ...request, envelope: { ...envelope, trace } });
  };
}

/**
 * Whether MAIL was refused with a rewritten sender that is longer than every server takes (RFC 5321 §4.5.3.1.1): it is we
 * who made it so long, and the sender must not suffer from that.
 */
function isTooLongForThem(
  outcomes: readonly Outcome[],
  { reversePath, forwardedBy, list }: EnvelopeRecipient,
): boolean {
  if (reversePath === undefined || forwardedBy === undefined || list !== undefined) return false;
  const sender = parseMailbox(reversePath);
  return sender !== undefined && !hasUsualLength(sender.localPart) &&
    outcomes.every(({ action, stage }) => action === "failed" && stage === "mail");
}
