/** Sends the aggregate reports of past days (RFC 7489 §7.2). */

import type { Resolver } from "../../dns/resolver.ts";
import type { Logger } from "../../log/logger.ts";
import type { StateDatabase } from "../../state/state_database.ts";
import type { Clock } from "../../system/clock.ts";
import { deleteSomeOf } from "../delete_rows.ts";
import { gzipPieces } from "../gzip.ts";
import type { ReportKey, ReportOutcome } from "../outcome.ts";
import { composeReportMail } from "../report_mail.ts";
import { sendEach, type SendResult } from "../send_each.ts";
import { hasReport, sendOnce, StateUnusableError } from "../send_once.ts";
import type { Submit } from "../submit.ts";
import { daySeconds } from "../utc_day.ts";
import { AGGREGATE_END, type AggregateHead, composeHead, composeRow } from "./compose.ts";
import { findDestinations, type MailUri } from "./destinations.ts";
import { reportRows } from "./report_rows.ts";
import { type DomainDay, type DomainPolicy, dueDmarcReports, finishDmarcReport, readDmarcPolicy } from "./store.ts";

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
  /** Lets the event loop do something else. */
  readonly breathe: () => Promise<void>;
  /** Between two domains, so that reports do not get in the way of mail; default 200 ms. */
  readonly pauseMs?: number;
}

/** A report that is ready to be sent. */
interface Packed {
  readonly head: AggregateHead;
  readonly octets: Uint8Array<ArrayBuffer>;
  readonly messages: number;
  readonly rows: number;
}

/**
 * Sends all reports on days before `today`, one a day and domain. What cannot be sent now (no DNS, a full disk) stays for
 * the next call. Rejects only with the reason of `signal`.
 */
export async function sendDmarcReports(
  options: SendOptions,
  today: string,
  signal: AbortSignal,
): Promise<readonly ReportOutcome[]> {
  const { state, clock, logger, breathe, pauseMs = 200 } = options;
  return await sendEach({
    kind: "dmarc",
    due: state.read((sql) => dueDmarcReports(sql, today)) ?? [],
    send: (due) => sendOne(options, due, signal),
    finish: async (due) => {
      if (!state.transact((sql) => (finishDmarcReport(sql, due), true))) return;
      while (state.transact((sql) => deleteSomeOf(sql, due.day, due.domain))) await breathe();
    },
    clock,
    logger,
    pauseMs,
  }, signal);
}

async function sendOne(options: SendOptions, due: DomainDay, signal: AbortSignal): Promise<SendResult> {
  const { state, sender, clock, logger } = options;
  const key: ReportKey = { kind: "dmarc", ...due };
  const published = state.read((sql) => readDmarcPolicy(sql, due) ?? "none");
  if (published === undefined) throw new StateUnusableError();
  if (published === "none") return { isDone: true, text: "nothing was counted" };
  const { uris, unknown, refused } = await findDestinations(due.domain, published.rua, options.resolver, signal);
  // Lookups that are given up look as if DNS did not answer.
  signal.throwIfAborted();
  const left = uris.filter(({ address }) => !hasReport(state, key, address));
  const packed = left.length === 0 ? undefined : await pack(options, due, published);
  if (packed?.rows === 0) return { isDone: true, text: "nothing was counted" };
  const sent: string[] = [];
  for (const uri of left) {
    if (packed === undefined) break;
    const random = new Uint8Array(16);
    options.randomOctets(random);
    const content = mailOf(packed, uri, sender, clock.now(), random);
    // RFC 7489 §6.3: the limit is about what is transported. There is no second, shorter report.
    if (content.length > (uri.maxOctets ?? Infinity)) continue;
    await sendOnce(options, key, { from: sender.from, to: uri.address, content });
    sent.push(uri.address);
  }
  const had = uris.filter((uri) => !left.includes(uri)).map(({ address }) => address);
  const result = resultOf(had, sent, refused);
  if (packed === undefined && unknown.length === 0) {
    logger.info("DMARC report on {domain} of {day}: {result}", { ...due, result });
  } else if (packed !== undefined) {
    logger.info("DMARC report on {domain} of {day}: {messages} messages in {rows} rows, {result}", {
      ...due,
      messages: packed.messages,
      rows: packed.rows,
      result,
    });
  }
  if (unknown.length === 0) return { isDone: true, text: result };
  logger.info("The DMARC report on {domain} of {day} waits: DNS does not say now whether {unknown} wants it", {
    ...due,
    unknown: unknown.join(", "),
  });
  return { isDone: false, text: `waits: DNS does not say now whether ${unknown.join(", ")} wants it` };
}

/** Makes the report while its rows are read. */
async function pack(options: SendOptions, due: DomainDay, { policy }: DomainPolicy): Promise<Packed> {
  const { organization, from, hostname } = options.sender;
  const head: AggregateHead = {
    organization,
    email: from,
    reportId: `${due.day.replaceAll("-", "")}.${due.domain}@${hostname}`,
    beginSeconds: daySeconds(due.day),
    endSeconds: daySeconds(due.day) + 86_399,
    policy,
  };
  const sum = { messages: 0, rows: 0 };
  const pieces = async function* (): AsyncGenerator<string> {
    yield composeHead(head);
    for await (const rows of reportRows(options, due)) {
      sum.rows += rows.length;
      for (const { count } of rows) sum.messages += count;
      yield rows.map(composeRow).join("");
    }
    yield AGGREGATE_END;
  };
  return { head, octets: await gzipPieces(pieces()), ...sum };
}

/** @param had Addresses that an earlier attempt reached. */
function resultOf(had: readonly string[], sent: readonly string[], refused: readonly string[]): string {
  const parts = had.map((address) => `${address} has it`);
  if (sent.length > 0) parts.push(`sent to ${sent.join(", ")}`);
  if (parts.length > 0) return parts.join(", ");
  return `sent to nobody${refused.length > 0 ? ` (${refused.join(", ")} did not agree to it)` : ""}`;
}

function mailOf(
  { head, octets }: Packed,
  uri: MailUri,
  { from, organization, hostname }: ReportSender,
  nowMs: number,
  random: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const { policy: { domain }, beginSeconds, endSeconds, reportId } = head;
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
