/** Telling the sender: DSNs are written by `lib/dsn/` and go into the queue like any message. */

import { composeDsn } from "../dsn/compose.ts";
import type { ReportKind } from "../dsn/report.ts";
import type { EnvelopeRecipient } from "../mail/envelope.ts";
import type { Clock } from "../system/clock.ts";
import { releaseMs } from "./deadline.ts";
import type { QueuedMessage, RecipientState, Spool } from "./spool.ts";

/** Reports to the sender of a message. */
export interface Reporter {
  /**
   * Makes a DSN about these recipients, whose last outcome says what happened. The reverse-path is not null.
   *
   * @returns The DSN, which is durable then and only has to be delivered; undefined where none is to be sent.
   */
  report(
    message: QueuedMessage,
    recipients: readonly RecipientState[],
    kind: ReportKind,
  ): Promise<QueuedMessage | undefined>;
}

/** What DSNs are made with. */
export interface DsnReporterOptions {
  /** Takes the DSNs. */
  readonly spool: Spool;
  /** The time. */
  readonly clock: Clock;
  /** Ours. */
  readonly hostname: string;
  /** Fills an array with unpredictable octets: `crypto.getRandomValues`. */
  readonly randomOctets: (into: Uint8Array<ArrayBuffer>) => void;
  /** Age at which delivery is given up: said in a warning. */
  readonly expireAfterMs: () => number;
  /** Signs a report: gives fields to put in front. Absent: it goes unsigned. */
  readonly sign?: (content: Uint8Array) => Promise<string>;
  /** The sender that we rewrote an address from, who gets the report (RFC 3464 §2); else the address itself. Absent: we rewrite none. */
  readonly senderBehind?: (address: string) => string;
  /** What a sender of ours stands for, as at RCPT: it may be an alias. Itself where it is not ours. */
  readonly expand: (address: string) => readonly ReportTarget[];
}

/** Who gets a report. Its reverse-path is null, also where this is a member of a list. */
export type ReportTarget = Pick<EnvelopeRecipient, "address" | "forwardedBy">;

/** A reporter that writes DSNs and makes them durable in the spool. */
export function dsnReporter(options: DsnReporterOptions): Reporter {
  const { spool, clock, hostname, randomOctets, expireAfterMs, senderBehind = (address) => address, expand, sign } =
    options;
  return {
    async report({ queueId, envelope: sent, content }, states, kind): Promise<QueuedMessage> {
      const envelope = { ...sent, reversePath: senderBehind(sent.reversePath) };
      const random = new Uint8Array(16);
      randomOctets(random);
      const recipients = states.flatMap(({ index, lastOutcome: outcome, lastAttemptMs }) => {
        const recipient = envelope.recipients[index];
        if (recipient === undefined || outcome === undefined) return [];
        return [{ recipient, outcome, lastAttemptMs: lastAttemptMs ?? clock.now() }];
      });
      const nowMs = clock.now();
      const expiresMs = releaseMs(envelope) + expireAfterMs();
      const dsn = await composeDsn({
        kind,
        hostname,
        queueId,
        envelope,
        content,
        recipients,
        nowMs,
        expiresMs,
        random,
      });
      const reception = spool.receive();
      try {
        await reception.write(dsn.content.inMemory);
        const trace = (await sign?.(dsn.content.inMemory) ?? "") + dsn.envelope.trace;
        const recipients = expandAll(dsn.envelope.recipients, expand);
        return await reception.commit({ ...dsn.envelope, trace, recipients });
      } finally {
        await reception.abort();
      }
    },
  };
}

function expandAll(
  recipients: readonly EnvelopeRecipient[],
  expand: DsnReporterOptions["expand"],
): readonly EnvelopeRecipient[] {
  return recipients.flatMap((recipient) =>
    expand(recipient.address).map(({ address, forwardedBy }) => ({
      ...recipient,
      ...(address === recipient.address ? {} : { address, original: recipient.address }),
      ...(forwardedBy === undefined ? {} : { forwardedBy }),
    }))
  );
}
