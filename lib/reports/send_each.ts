/** Sends the reports of one kind one after the other; one that cannot be sent holds up no other. */

import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";
import type { ReportKey, ReportOutcome } from "./outcome.ts";

/** What became of a report. */
export type SendResult = Pick<ReportOutcome, "isDone" | "text">;

/** What is sent, and how. */
export interface SendEachOptions<Due extends { readonly day: string; readonly domain: string }> {
  /** Of all reports. */
  readonly kind: ReportKey["kind"];
  /** Which ones. */
  readonly due: readonly Due[];
  /** Sends one; what it throws says why it has to wait for the next call. */
  readonly send: (due: Due) => Promise<SendResult>;
  /** Forgets what a report was made of. */
  readonly finish: (due: Due) => void | Promise<void>;
  /** The time. */
  readonly clock: Clock;
  /** For those that cannot be sent. */
  readonly logger: Logger;
  /** Between two reports, so that they do not get in the way of mail. */
  readonly pauseMs: number;
}

const NAMES: Readonly<Record<ReportKey["kind"], string>> = { dmarc: "DMARC", tls: "TLS" };

/** Sends them. Rejects only with the reason of `signal`. */
export async function sendEach<Due extends { readonly day: string; readonly domain: string }>(
  { kind, due: reports, send, finish, clock, logger, pauseMs }: SendEachOptions<Due>,
  signal: AbortSignal,
): Promise<readonly ReportOutcome[]> {
  const outcomes: ReportOutcome[] = [];
  for (const due of reports) {
    signal.throwIfAborted();
    const { day, domain } = due;
    try {
      const { isDone, text } = await send(due);
      outcomes.push({ kind, day, domain, isDone, text });
      if (isDone) await finish(due);
    } catch (error) {
      signal.throwIfAborted();
      const fields = { kind: NAMES[kind], domain, day, error };
      logger.warning("The {kind} report on {domain} of {day} cannot be sent now: {error}", fields);
      outcomes.push({ kind, day, domain, isDone: false, text: `cannot be sent now: ${reasonOf(error)}` });
    }
    await clock.sleep(pauseMs, signal);
  }
  return outcomes;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
