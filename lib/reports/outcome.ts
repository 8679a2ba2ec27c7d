/** What a run of reports comes to, for the operator who asked for it. */

/** What a report is about. */
export interface ReportKey {
  /** Of which kind it is. */
  readonly kind: "dmarc" | "tls";
  /** UTC. */
  readonly day: string;
  /** The policy domain, or that of the recipients. */
  readonly domain: string;
}

/** What became of one report. */
export interface ReportOutcome extends ReportKey {
  /** False: it is tried again. */
  readonly isDone: boolean;
  /** To whom it went, or why it did not. */
  readonly text: string;
}

/** Sends the reports on days before `today`; rejects only with the reason of `signal`. */
export type SendReports = (today: string, signal: AbortSignal) => Promise<readonly ReportOutcome[]>;
