/**
 * The body of a webhook request: multipart/form-data (RFC 7578) with the fields `envelope` and `message`, which any web
 * framework reads. The same message to the same recipients gives the same octets at each attempt.
 */

import { createHash } from "node:crypto";
import { type EnvelopeRecipient, reversePathOf } from "../../mail/envelope.ts";
import type { DeliveryRequest } from "../target.ts";
import { secretDigest } from "./secret.ts";

/** What stands around the content. */
export interface WebhookForm {
  /** The idempotency key, without a dot: it is part of what is signed, with dots between the parts. */
  readonly id: string;
  /** The value of Content-Type. */
  readonly contentType: string;
  /** In front of the content: the field `envelope`, and the beginning of `message` with the trace fields. */
  readonly head: Uint8Array;
  /** Behind the content. */
  readonly tail: Uint8Array;
}

/** A message and those of its recipients that lead to one application. */
export type WebhookMessage = Pick<DeliveryRequest, "queueId" | "envelope" | "recipients">;

const ENCODER = new TextEncoder();

/** Makes the form of a message. The secret goes into the boundary, so that no sender of mail can put one into content. */
export function webhookForm(message: WebhookMessage, secret: string): WebhookForm {
  const id = webhookId(message);
  const boundary = `posthorn-${secretDigest(secret, id)}`;
  const head = [
    `--${boundary}`,
    'Content-Disposition: form-data; name="envelope"',
    "Content-Type: application/json",
    "",
    asciiJson(envelopeFacts(id, message)),
    `--${boundary}`,
    'Content-Disposition: form-data; name="message"; filename="message.eml"',
    "Content-Type: message/rfc822",
    "",
    message.envelope.trace,
  ].join("\r\n");
  return {
    id,
    contentType: `multipart/form-data; boundary=${boundary}`,
    head: ENCODER.encode(head),
    tail: ENCODER.encode(`\r\n--${boundary}--\r\n`),
  };
}

/**
 * Names a message and a set of its recipients. Recipients that are tried apart have different ids: an application that
 * drops what it has seen must not drop those that come later.
 */
export function webhookId({ queueId, envelope, recipients }: WebhookMessage): string {
  const addresses = recipients.map(({ address }) => address).sort();
  const parts = [queueId, envelope.arrived, reversePathOf(envelope, recipients[0]), ...addresses];
  return `msg_${queueId}_${createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16)}`;
}

function envelopeFacts(id: string, { queueId, envelope, recipients }: WebhookMessage): unknown {
  return {
    id,
    queueId,
    reversePath: reversePathOf(envelope, recipients[0]),
    recipients: recipients.map(recipientFacts),
    arrived: envelope.arrived,
    session: envelope.session,
  };
}

function recipientFacts({ address, original, forwardedBy }: EnvelopeRecipient): unknown {
  return { address, original: original ?? address, ...(forwardedBy === undefined ? {} : { forwardedBy }) };
}

/** JSON in US-ASCII: no framework can read it in a wrong character set, and no control character is left. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
