/** How a report gets on its way: into the queue, like any mail. */

import { plainField } from "../dsn/field.ts";
import type { Envelope } from "../mail/envelope.ts";
import { formatDate, headerSectionEnd } from "../mail/header.ts";
import { domainOf } from "../mail/mailbox.ts";
import { isTlsOptional } from "../mail/tls_required.ts";
import type { QueuedMessage, Spool } from "../queue/spool.ts";
import type { Clock } from "../system/clock.ts";

/** A report as mail. */
export interface ReportMessage {
  /** An address of ours: sender in envelope and From field. */
  readonly from: string;
  /** The recipient. */
  readonly to: string;
  /** The whole message. */
  readonly content: Uint8Array<ArrayBuffer>;
}

/** Takes a report; it is durable when this resolves. Rejects where it cannot be taken now. */
export type Submit = (message: ReportMessage) => Promise<void>;

/** What reports are queued with. */
export interface SubmitOptions {
  /** Takes them. */
  readonly spool: Pick<Spool, "receive">;
  /** Hands them to the queue. */
  readonly enqueue: (message: QueuedMessage) => void;
  /** The time. */
  readonly clock: Clock;
  /** Ours. */
  readonly hostname: string;
  /** Signs content for a domain of ours: the fields to put in front, each ended by CRLF; empty where there is no key. */
  readonly sign?: (content: Uint8Array<ArrayBuffer>, domain: string) => Promise<string>;
}

/**
 * Makes the function that queues reports.
 *
 * Their sender is a mailbox, because a message that is no answer should have one (RFC 5321 §4.5.5), and because SPF is then
 * about our domain. But nobody is told where a report cannot be delivered: the log says it, and tomorrow there is another one.
 */
export function queueSubmit({ spool, enqueue, clock, hostname, sign }: SubmitOptions): Submit {
  return async ({ from, to, content }) => {
    const signature = await sign?.(content, domainOf(from)) ?? "";
    const nowMs = clock.now();
    const envelope: Envelope = {
      reversePath: from,
      arrived: new Date(nowMs).toISOString(),
      body: "7BIT",
      smtpUtf8: false,
      trace: plainField("Received", `by ${hostname} (posthorn, report); ${formatDate(nowMs)}`) + signature,
      ...(isTlsOptional(content.subarray(0, headerSectionEnd(content))) && { isTlsOptional: true }),
      session: { service: "local" },
      recipients: [{ address: to, notify: "never" }],
    };
    const reception = spool.receive();
    try {
      await reception.write(content);
      enqueue(await reception.commit(envelope));
    } finally {
      await reception.abort();
    }
  };
}
