/** What reports do while the server runs: counts go to the database every five seconds, reports go out once a day. */

import type { TlsTally } from "../delivery/remote/tls_tally.ts";
import type { Logger } from "../log/logger.ts";
import type { StateDatabase } from "../state/state_database.ts";
import type { Clock } from "../system/clock.ts";
import { DmarcCollector } from "./dmarc/collector.ts";
import { addDmarcCounts, pruneDmarcCounts } from "./dmarc/store.ts";
import { pruneReceived } from "./received/store.ts";
import { StateUnusableError } from "./send_once.ts";
import { addTlsCounts, pruneTlsCounts } from "./tls/store.ts";
import type { ReportOutcome, SendReports } from "./outcome.ts";
import { daysBefore, untilNextDay, utcDay } from "./utc_day.ts";

/** What the service works with. */
export interface ReportServiceOptions {
  /** Keeps the counts. */
  readonly state: StateDatabase;
  /** Its wall clock says which day it is. */
  readonly clock: Clock;
  /** Says what was not counted. */
  readonly logger: Logger;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Absent: no DMARC reports are sent, and nothing is counted for them. */
  readonly sendDmarc?: SendReports;
  /** Absent: no TLS reports are sent. */
  readonly tls?: { /** Is emptied. */ readonly tally: TlsTally; readonly send: SendReports };
  /** How long received reports are kept. */
  readonly keepMs: () => number;
  /** Lets the event loop do something else. */
  readonly breathe: () => Promise<void>;
}

const FLUSH_MS = 5_000;
const LOOK_MS = 60_000 * 15;
const MINUTE_MS = 60_000;
/** Everybody's day ends at the same moment; RFC 8460 §4.1 has reporters spread their reports over four hours. */
const SPREAD_MS = 4 * 60 * MINUTE_MS;
const FIRST_MS = 5 * MINUTE_MS;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Days after which a report that could not be sent is given up. */
const KEPT_DAYS = 3;

/** Counts and sends until it is disposed of. */
export class ReportService implements AsyncDisposable {
  /** Takes what is known of received mail; absent: nobody wants to know. */
  readonly dmarc: DmarcCollector | undefined;
  readonly #options: ReportServiceOptions;
  readonly #end = new AbortController();
  #wake = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  /** One run after the other: two at a time would send the same. */
  #lastRun: Promise<unknown> = Promise.resolve();
  /** The day whose reports on the days before it are due. */
  #day = "";
  #dueMs = 0;

  /** Does nothing before {@linkcode start}. */
  constructor(options: ReportServiceOptions) {
    this.#options = options;
    const { clock } = options;
    this.dmarc = options.sendDmarc && new DmarcCollector({ clock, onFull: () => this.#wake.abort() });
  }

  /** Starts to write and to send. */
  start(): void {
    this.#running = Promise.allSettled([this.#keepCounts(), this.#keepSending()]);
  }

  /** Ends, and writes what was counted. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new Error("The server stops"));
    // A run that an operator asked for may be under way, which uses database and spool.
    await Promise.all([this.#running, this.#lastRun]);
    this.#writeCounts();
  }

  /** Sends all that is due of the days before at once, and says what became of it. Rejects where the server stops, or the database cannot be used. */
  sendNow(): Promise<readonly ReportOutcome[]> {
    return this.#send(utcDay(this.#options.clock.now()));
  }

  async #keepCounts(): Promise<void> {
    const { clock } = this.#options;
    while (!this.#end.signal.aborted) {
      this.#wake = new AbortController();
      await clock.sleep(FLUSH_MS, AbortSignal.any([this.#end.signal, this.#wake.signal])).catch(() => {});
      this.#writeCounts();
    }
  }

  /** Returns whether nothing is left to be written. */
  #writeCounts(): boolean {
    const { state, tls, logger } = this.#options;
    const counts = this.dmarc?.counts() ?? [];
    const hasTls = tls !== undefined && tls.tally.days().length > 0;
    if (counts.length === 0 && !hasTls) return true;
    const isWritten = state.transact((sql) => {
      addDmarcCounts(sql, counts);
      if (tls !== undefined) addTlsCounts(sql, tls.tally);
      return true;
    });
    // What was not written stays, within the bounds of both.
    if (!isWritten) return false;
    this.dmarc?.clear();
    tls?.tally.clear();
    const missed = this.dmarc?.takeMissed() ?? 0;
    if (missed > 0) logger.warning("{missed} messages are in no DMARC report: too many different ones", { missed });
    return true;
  }

  async #keepSending(): Promise<void> {
    const { clock, random } = this.#options;
    const { signal } = this.#end;
    // A server that was just started has better things to do.
    await clock.sleep(FIRST_MS * (0.2 + random()), signal);
    for (;;) {
      await this.#sendIfDue(signal);
      const leftMs = this.#dueMs - clock.now();
      await clock.sleep(leftMs > 0 ? Math.min(LOOK_MS, leftMs) : LOOK_MS, signal);
    }
  }

  /** Past the time of the day, each look sends what is left: what could not be sent at first. */
  async #sendIfDue(signal: AbortSignal): Promise<void> {
    const { clock, random, logger } = this.#options;
    const now = clock.now();
    const today = utcDay(now);
    if (today !== this.#day) {
      this.#day = today;
      this.#dueMs = now - (DAY_MS - untilNextDay(now)) + FIRST_MS + random() * (SPREAD_MS - FIRST_MS);
    }
    if (now < this.#dueMs) return;
    try {
      await this.#send(today);
    } catch (error) {
      signal.throwIfAborted();
      logger.error("Reports cannot be sent now: {error}", { error });
    }
  }

  #send(today: string): Promise<readonly ReportOutcome[]> {
    const { state, sendDmarc, tls } = this.#options;
    const { signal } = this.#end;
    const run = this.#lastRun.then(async () => {
      signal.throwIfAborted();
      // A report without the last counts of its day would be sent for good.
      if (!this.#writeCounts() || state.read(() => true) === undefined) throw new StateUnusableError();
      const dmarc = await sendDmarc?.(today, signal) ?? [];
      const outcomes = [...dmarc, ...await tls?.send(today, signal) ?? []];
      await this.#prune(today);
      return outcomes;
    });
    this.#lastRun = run.catch(() => {});
    return run;
  }

  async #prune(today: string): Promise<void> {
    const { state, clock, keepMs, breathe } = this.#options;
    const firstDay = daysBefore(today, KEPT_DAYS);
    for (const prune of [pruneDmarcCounts, pruneTlsCounts]) {
      while (state.transact((sql) => prune(sql, firstDay))) await breathe();
    }
    state.transact((sql) => pruneReceived(sql, Math.floor((clock.now() - keepMs()) / 1000)));
  }
}
