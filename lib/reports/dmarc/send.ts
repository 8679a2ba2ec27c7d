/** Sends the aggregate reports of past days (RFC 7489 §7.2). */

import type { Resolver } from "../../dns/resolver.ts";
import type { Logger } from "../../log/logger.ts";
import type { StateDatabase } from "../../state/state_database.ts";
import type { Clock } from "../../system/clock.ts";
import { gzip } from "../gzip.ts";
import { composeReportMail } from "../report_mail.ts";
import type { Submit } from "../submit.ts";
import { daySeconds } from "../utc_day.ts";
import type { AggregateReport } from "./aggregate.ts";
import { composeAggregate } from "./compose.ts";
import { findDestinations, type MailUri } from "./destinations.ts";
import { type DomainDay, dueDmarcReports, finishDmarcReport, readDmarcCounts } from "./store.ts";

/** Who we are in reports. */
export interface ReportSender {
  /** An address of ours. */
  readonly from: string;
  /** How we call ourselves. */
  readonly organization: string;
  /** Ours: the "submitter". */
  readonly hostname: string;
}

/** What sending needs. */
export interface SendOptions {
  /** For the records of other domains. */
  readonly resolver: Resolver;
  /** The counts. */
  readonly state: StateDatabase;
  /** The queue. */
  readonly submit: Submit;
  /** The time. */
  readonly clock: Clock;
  /** One line for each report. */
  readonly logger: Logger;
  /** Who we are. */
  readonly sender: ReportSender;
  /** Fills an array with unpredictable octets. */
  readonly randomOctets: (into: Uint8Array<ArrayBuffer>) => void;
  /** Between two domains, so that reports do not get in the way of mail; default 200 ms. */
  readonly pauseMs?: number;
}

/** A report that is ready to be sent. */
interface Packed {
  readonly report: AggregateReport;
  readonly octets: Uint8Array<ArrayBuffer>;
}

/**
 * Sends all reports on days before `today`, one a day and domain. What cannot be sent now (no DNS, a full disk) stays for
 * the next call. Rejects only with the reason of `signal`.
 */
export async function sendDmarcReports(options: SendOptions, today: string, signal: AbortSignal): Promise<void> {
  const { state, clock, logger, pauseMs = 200 } = options;
  for (const due of state.transact((sql) => dueDmarcReports(sql, today)) ?? []) {
    signal.throwIfAborted();
    try {
      if (await sendOne(options, due, signal)) state.transact((sql) => finishDmarcReport(sql, due));
    } catch (error) {
      signal.throwIfAborted();
      logger.warning("The DMARC report on {domain} of {day} cannot be sent now: {error}", { ...due, error });
    }
    await clock.sleep(pauseMs, signal);
  }
}

/** Returns false where it is to be tried again. */
async function sendOne(options: SendOptions, due: DomainDay, signal: AbortSignal): Promise<boolean> {
  const { state, sender, submit, clock, logger } = options;
  const counts = state.transact((sql) => readDmarcCounts(sql, due) ?? "none");
  if (counts === undefined) return false;
  if (counts === "none" || counts.rows.length === 0) return true;
  const { uris, unknown, refused } = await findDestinations(due.domain, counts.rua, options.resolver, signal);
  if (uris.length === 0 && unknown.length > 0) {
    logger.info("The DMARC report on {domain} of {day} waits: DNS does not say now whether {unknown} wants it", {
      ...due,
      unknown: unknown.join(", "),
    });
    return false;
  }
  const id = `${due.day.replaceAll("-", "")}.${due.domain}`;
  const report: AggregateReport = {
    organization: sender.organization,
    email: sender.from,
    reportId: `${id}@${sender.hostname}`,
    beginSeconds: daySeconds(due.day),
    endSeconds: daySeconds(due.day) + 86_399,
    policy: counts.policy,
    rows: counts.rows,
  };
  const packed = { report, octets: await gzip(new TextEncoder().encode(composeAggregate(report))) };
  const sent: string[] = [];
  for (const uri of uris) {
    const random = new Uint8Array(16);
    options.randomOctets(random);
    const content = mailOf(packed, uri, sender, clock.now(), random);
    // RFC 7489 §6.3: the limit is about what is transported. There is no second, shorter report.
    if (content.length > (uri.maxOctets ?? Infinity)) continue;
    await submit({ from: sender.from, to: uri.address, content });
    sent.push(uri.address);
  }
  logger.info("DMARC report on {domain} of {day}: {messages} messages in {rows} rows, sent to {recipients}", {
    ...due,
    messages: counts.rows.reduce((sum, { count }) => sum + count, 0),
    rows: counts.rows.length,
    recipients: sent.length > 0 ? sent.join(", ") : nobody(refused),
  });
  return true;
}

function nobody(refused: readonly string[]): string {
  return refused.length > 0 ? `nobody (${refused.join(", ")} did not agree to it)` : "nobody";
}

function mailOf(
  { report, octets }: Packed,
  uri: MailUri,
  { from, organization, hostname }: ReportSender,
  nowMs: number,
  random: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const { policy: { domain }, beginSeconds, endSeconds, reportId } = report;
  const date = new Date(beginSeconds * 1000).toISOString().slice(0, 10);
  // RFC 7489 §7.2.1.1: file name and subject.
  return composeReportMail({
    from,
    organization,
    to: uri.address,
    subject: `Report Domain: ${domain} Submitter: ${hostname} Report-ID: <${reportId}>`,
    moreFields: "",
    type: "multipart/mixed",
    words: `This is a DMARC aggregate report on mail in the name of ${domain}\r\n` +
      `that ${hostname} received on ${date} (UTC).\r\n` +
      `It was asked for in the DNS record _dmarc.${domain}.\r\n`,
    attachment: {
      type: "application/gzip",
      fileName: `${hostname}!${domain}!${beginSeconds}!${endSeconds}.xml.gz`,
      octets,
    },
    hostname,
    nowMs,
    random,
  });
}
