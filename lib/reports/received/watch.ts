/**
 * Looks into mail that comes in for the addresses of reports. It is delivered as any other mail, and read besides: whatever
 * is wrong with a report, or with reading it, changes nothing for the mail.
 */

import type { DeliveryRequest, DeliveryTarget } from "../../delivery/target.ts";
import type { Logger } from "../../log/logger.ts";
import type { Content } from "../../mail/content.ts";
import type { EnvelopeRecipient } from "../../mail/envelope.ts";
import { foldAddress } from "../../mail/fold.ts";
import { type Intake, MAX_MAIL_OCTETS } from "./intake.ts";

/** How reports are taken out of mail. */
export interface ReportWatchOptions {
  /** Addresses that reports come to, folded. */
  readonly addresses: ReadonlySet<string>;
  /** Reads a message; never rejects. */
  readonly takeIn: (octets: Uint8Array<ArrayBuffer>) => Promise<Intake>;
  /** One line for each message. */
  readonly logger: Logger;
}

/** Messages that wait to be read; one at a time is. */
const MAX_WAITING = 20;
/** Octets of them, which are in memory; one message always may. */
const MAX_WAITING_OCTETS = 40 * 2 ** 20;

/** Reads reports out of mail that was delivered. */
export class ReportWatch implements AsyncDisposable {
  readonly #options: ReportWatchOptions;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  #waitingOctets = 0;

  /** Takes what it works with. */
  constructor(options: ReportWatchOptions) {
    this.#options = options;
  }

  /** Whether reports come to a recipient, under its own name or one that it stands for. */
  isForReports({ address, original }: Pick<EnvelopeRecipient, "address" | "original">): boolean {
    return [address, original].some((one) => one !== undefined && this.#options.addresses.has(foldAddress(one)));
  }

  /** Delivers as `deliver` does, and looks into what has arrived. */
  watching(deliver: DeliveryTarget["deliver"]): DeliveryTarget["deliver"] {
    return async (request) => {
      const outcomes = await deliver(request);
      const hasArrived = request.recipients.some((recipient, index) => {
        const { action } = outcomes[index] ?? {};
        return (action === "delivered" || action === "relayed") && this.isForReports(recipient);
      });
      if (hasArrived) await this.#look(request);
      return outcomes;
    };
  }

  /** Waits until all is read. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
  }

  /** The content is gone when the delivery returns, so it is read before. */
  async #look({ queueId, content }: DeliveryRequest): Promise<void> {
    const { takeIn, logger } = this.#options;
    const isBusy = this.#waiting >= MAX_WAITING || this.#waitingOctets + content.octets > MAX_WAITING_OCTETS;
    if (isBusy || content.octets > MAX_MAIL_OCTETS) {
      const reason = isBusy ? "too many wait to be read" : "it is too long";
      logger.warning("{queueId}: not looked into for reports, {reason}; `posthorn reports import` can", {
        queueId,
        reason,
      });
      return;
    }
    const { octets: size } = content;
    this.#waiting++;
    this.#waitingOctets += size;
    const octets = await readWhole(content).catch((error: unknown) => {
      logger.warning("{queueId}: cannot be read again to look for reports: {error}", { queueId, error });
    });
    this.#last = this.#last.then(async () => {
      if (octets !== undefined) logIntake(queueId, await takeIn(octets), logger);
      this.#waiting--;
      this.#waitingOctets -= size;
    });
  }
}

function logIntake(queueId: string, { kept, known, problems }: Intake, logger: Logger): void {
  for (const received of kept) {
    const { report: { organization, reportId } } = received;
    const domain = received.kind === "dmarc" ? received.report.policy.domain : received.domain;
    const kind = received.kind === "dmarc" ? "DMARC" : "TLS";
    logger.info("{queueId}: {kind} report of {organization} on {domain}, {reportId}", {
      queueId,
      kind,
      organization,
      domain,
      reportId,
    });
  }
  for (const problem of problems) logger.info("{queueId}: no report: {problem}", { queueId, problem });
  if (kept.length + known + problems.length === 0) logger.info("{queueId}: there is no report in it", { queueId });
}

async function readWhole(content: Content): Promise<Uint8Array<ArrayBuffer>> {
  const whole = new Uint8Array(content.octets);
  let at = 0;
  for await (const chunk of content.inMemory === undefined ? content.chunks() : [content.inMemory]) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
