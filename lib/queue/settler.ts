/**
 * What follows a delivery attempt: its outcome goes to the journal, the sender is told of what failed, and the message is
 * removed or waits for its next attempt.
 */

import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";
import { envelopeFor, reversePathOf } from "../mail/envelope.ts";
import type { ActiveMessage } from "./active_message.ts";
import { warnMs } from "./deadline.ts";
import { applyEvent, isDelayReportable, isDone, isPending, isUnreported, reportKindOf } from "./journal.ts";
import type { ReportKind } from "../dsn/report.ts";
import type { Reporter } from "./reporter.ts";
import type { QueuedMessage, RecipientState, Spool } from "./spool.ts";

/** What settling needs of the queue. */
export interface SettlerOptions {
  /** The messages. */
  readonly spool: Spool;
  /** The time. */
  readonly clock: Clock;
  /** For what goes wrong. */
  readonly logger: Logger;
  /** Tells the sender. */
  readonly reporter: Reporter;
  /** Age at which the sender is warned of a delay. */
  readonly warnAfterMs: () => number;
  /** Aborted when the queue stops: nothing new is begun. */
  readonly stop: AbortSignal;
  /** False for a message that was handed back already. */
  readonly isActive: (active: ActiveMessage) => boolean;
  /** Takes a DSN that is durable. */
  readonly enqueue: (report: QueuedMessage) => void;
  /** The message is removed. */
  readonly gone: (active: ActiveMessage) => void;
  /** The message waits for its next time; undefined: it could not be read. */
  readonly waits: (active: ActiveMessage, message: QueuedMessage | undefined) => void;
}

/** The longest wait before another try where the spool or a report failed. */
export const LONGEST_REPAIR_MS = 5 * 60_000;
const FIRST_REPAIR_MS = 1_000;

/** What a sender has to be told. */
interface DueReport {
  readonly kind: ReportKind;
  /** Not empty. */
  readonly sender: string;
  /** Recipients that the sender sent to, or that have this reverse-path. */
  readonly states: readonly RecipientState[];
}

/** Settles messages. */
export class Settler {
  readonly #options: SettlerOptions;
  readonly #logger: Logger;
  /** What is being settled now, until it is. */
  readonly #running: Map<ActiveMessage, Promise<void>> = new Map();

  /** Takes what it needs of the queue. */
  constructor(options: SettlerOptions) {
    this.#options = options;
    this.#logger = options.logger;
  }

  /**
   * Does what is to be done for the message now. Never throws: what cannot be recorded stays in memory, so that it is not
   * delivered again, and is recorded later.
   */
  async settle(active: ActiveMessage): Promise<void> {
    active.isChanged = true;
    if (active.isSettling || !this.#options.isActive(active)) return;
    active.isSettling = true;
    const ended = Promise.withResolvers<void>();
    this.#running.set(active, ended.promise);
    try {
      // A job that ends while we look sets isChanged; between the last look at it and `finally` nothing can happen.
      while (active.isChanged) {
        active.isChanged = false;
        while (await this.#step(active)) active.recordFailures = 0;
      }
    } catch (error) {
      this.#settleLater(active, error);
    } finally {
      active.isSettling = false;
      this.#running.delete(active);
      ended.resolve();
    }
  }

  /** The last chance to record before the process ends; waits for what is being recorded. Never throws. */
  async settleFinally(active: ActiveMessage): Promise<void> {
    await this.#running.get(active);
    if (active.unrecorded.length === 0) return;
    const { queueId, message } = active;
    try {
      if (message !== undefined && active.openJobs === 0 && isDone(message)) await this.#remove(active);
      else await this.#record(active);
    } catch (error) {
      this.#logger.error("{queueId}: cannot record the outcome; the message may be delivered once more: {error}", {
        queueId,
        error,
      });
    }
  }

  /** Does one thing; false when there is nothing to do for now. */
  async #step(active: ActiveMessage): Promise<boolean> {
    const { message, openJobs } = active;
    if (!this.#options.isActive(active)) return false;
    if (message === undefined) {
      if (openJobs === 0) this.#options.waits(active, undefined);
      return false;
    }
    if (openJobs === 0 && isDone(message)) {
      await this.#remove(active);
      this.#options.gone(active);
      return false;
    }
    if (active.unrecorded.length > 0) {
      await this.#record(active);
      return true;
    }
    if (openJobs > 0) return false;
    const report = this.#dueReport(active, message);
    if (report !== undefined) {
      await this.#report(active, message, report);
      return true;
    }
    this.#options.waits(active, message);
    return false;
  }

  /** The journal of a message whose work is done is of no use: its end is recorded by removing it, if it can be. */
  async #remove(active: ActiveMessage): Promise<void> {
    try {
      await this.#options.spool.remove(active.queueId, active.message?.content.octets);
    } catch (error) {
      if (active.unrecorded.length > 0) await this.#record(active);
      throw error;
    }
  }

  async #record(active: ActiveMessage): Promise<void> {
    const events = active.unrecorded;
    active.unrecorded = [];
    try {
      await this.#options.spool.append(active.queueId, events);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) {
        this.#logger.warning("{queueId}: the message was removed while it was worked on", { queueId: active.queueId });
        return;
      }
      active.unrecorded = [...events, ...active.unrecorded];
      throw error;
    }
  }

  #settleLater(active: ActiveMessage, error: unknown): void {
    const waitMs = Math.min(FIRST_REPAIR_MS * 2 ** active.recordFailures++, LONGEST_REPAIR_MS);
    this.#logger.error("{queueId}: cannot record the outcome, will try again in {waitSeconds}s: {error}", {
      queueId: active.queueId,
      waitSeconds: waitMs / 1000,
      error,
    });
    this.#options.clock.sleep(waitMs, this.#options.stop).then(() => this.settle(active), () => {});
  }

  /** What the sender has to be told now, one report of a kind: failures first. */
  #dueReport(
    active: ActiveMessage,
    message: QueuedMessage,
  ): DueReport | undefined {
    const { envelope, recipients } = message;
    if (active.isReportPostponed || this.#options.stop.aborted) return undefined;
    const unreported = recipients.filter(isUnreported);
    for (const kind of ["failed", "succeeded"] as const) {
      const states = unreported.filter((state) => reportKindOf(state) === kind);
      if (states.length > 0) return { kind, ...ofOneSender(message, states) };
    }
    const nowMs = this.#options.clock.now();
    if (nowMs < warnMs(message, { warnAfterMs: this.#options.warnAfterMs() })) return undefined;
    const late = recipients.filter((state) =>
      isPending(state) && state.lastOutcome !== undefined && !state.isWarned && isDelayReportable(envelope, state.index)
    );
    return late.length > 0 ? { kind: "delayed", ...ofOneSender(message, late) } : undefined;
  }

  /** Reports, and hands the DSN, which is durable then, to delivery. */
  async #report(
    active: ActiveMessage,
    message: QueuedMessage,
    { kind, sender, states }: DueReport,
  ): Promise<void> {
    const { queueId } = message;
    let report: QueuedMessage | undefined;
    try {
      report = await this.#options.reporter.report(asSentTo(message, states[0]), states, kind);
    } catch (error) {
      active.isReportPostponed = true;
      this.#logger.error("{queueId}: cannot report to {sender}, will try again: {error}", { queueId, sender, error });
      return;
    }
    const at = new Date(this.#options.clock.now()).toISOString();
    const event = { event: "reported", at, recipients: states.map(({ index }) => index), kind } as const;
    applyEvent(message, event);
    active.unrecorded.push(event);
    if (report === undefined) return;
    const reportId = report.queueId;
    this.#logger.info("{queueId}: sent {reportId} to {sender}, a report of kind {kind}", {
      queueId,
      reportId,
      sender,
      kind,
    });
    try {
      // First, so that a crash meanwhile does not find the DSN both delivered and to be made again.
      await this.#record(active);
    } finally {
      this.#options.enqueue(report);
    }
  }
}

/** The first of the recipients, and all others with the same reverse-path: reports to another go out one after the other. */
function ofOneSender(
  { envelope }: QueuedMessage,
  states: readonly RecipientState[],
): Pick<DueReport, "sender" | "states"> {
  const senderOf = ({ index }: RecipientState): string => reversePathOf(envelope, envelope.recipients[index]);
  const sender = states[0] === undefined ? "" : senderOf(states[0]);
  return { sender, states: states.filter((state) => senderOf(state) === sender) };
}

/** The message as it was sent to a recipient, for a report to whom that came from. */
function asSentTo(message: QueuedMessage, state: RecipientState | undefined): QueuedMessage {
  const envelope = envelopeFor(message.envelope, message.envelope.recipients[state?.index ?? -1]);
  return envelope === message.envelope ? message : { ...message, envelope };
}
