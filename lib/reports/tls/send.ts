/** Sends the TLS reports of past days, by mail or HTTPS (RFC 8460 §5). */

import type { Resolver } from "../../dns/resolver.ts";
import { withTimeLimit } from "../../dns/time_limit.ts";
import type { Logger } from "../../log/logger.ts";
import { plainField } from "../../dsn/field.ts";
import type { Fetch } from "../../sasl/oauth/fetch_json.ts";
import type { StateDatabase } from "../../state/state_database.ts";
import type { Clock } from "../../system/clock.ts";
import type { ReportSender } from "../dmarc/send.ts";
import { gzip } from "../gzip.ts";
import type { ReportKey, ReportOutcome } from "../outcome.ts";
import { composeReportMail } from "../report_mail.ts";
import type { ReportUri } from "../report_uri.ts";
import { sendEach, type SendResult } from "../send_each.ts";
import { hasReport, noteSent, sendOnce, StateUnusableError } from "../send_once.ts";
import type { Submit } from "../submit.ts";
import { daySeconds } from "../utc_day.ts";
import { composeTlsReport } from "./compose.ts";
import { lookUpTlsReportWish } from "./policy_record.ts";
import { dueTlsReports, finishTlsReport, readTlsCounts, type RecipientDay } from "./store.ts";
import type { TlsReport } from "./tls_report.ts";

/** What sending needs. */
export interface TlsSendOptions {
  /** The counts. */
  readonly state: StateDatabase;
  /** For the records of domains. */
  readonly resolver: Resolver;
  /** The queue. */
  readonly submit: Submit;
  /** Checks the certificates of https servers: a stranger's record cannot make us talk to a server inside. */
  readonly fetch: Fetch;
  /** The time. */
  readonly clock: Clock;
  /** One line for each report. */
  readonly logger: Logger;
  /** Who we are. */
  readonly sender: ReportSender;
  /** Fills an array with unpredictable octets. */
  readonly randomOctets: (into: Uint8Array<ArrayBuffer>) => void;
  /** Between two domains; default 200 ms. */
  readonly pauseMs?: number;
}

const POST_LIMIT_MS = 30_000;

/**
 * Sends all reports on days before `today`, one a day and domain. What cannot be sent now stays for the next call.
 * Rejects only with the reason of `signal`.
 */
export async function sendTlsReports(
  options: TlsSendOptions,
  today: string,
  signal: AbortSignal,
): Promise<readonly ReportOutcome[]> {
  const { state, clock, logger, pauseMs = 200 } = options;
  return await sendEach({
    kind: "tls",
    due: state.read((sql) => dueTlsReports(sql, today)) ?? [],
    send: (due) => sendOne(options, due, signal),
    finish: (due) => void state.transact((sql) => finishTlsReport(sql, due)),
    clock,
    logger,
    pauseMs,
  }, signal);
}

async function sendOne(options: TlsSendOptions, due: RecipientDay, signal: AbortSignal): Promise<SendResult> {
  const { state, resolver, sender, logger } = options;
  const wish = await lookUpTlsReportWish(resolver, due.domain, signal);
  signal.throwIfAborted();
  if (wish.kind === "none") return { isDone: true, text: "nobody asks for it" };
  if (wish.kind === "unknown") {
    logger.info("The TLS report on {domain} of {day} waits: {reason}", { ...due, reason: wish.reason });
    return { isDone: false, text: `waits: ${wish.reason}` };
  }
  const policies = state.read((sql) => readTlsCounts(sql, due));
  if (policies === undefined) throw new StateUnusableError();
  const report: TlsReport = {
    organization: sender.organization,
    contact: sender.from,
    reportId: `${due.day.replaceAll("-", "")}.${due.domain}@${sender.hostname}`,
    beginSeconds: daySeconds(due.day),
    endSeconds: daySeconds(due.day) + 86_399,
    policies,
  };
  const octets = await gzip(new TextEncoder().encode(composeTlsReport(report)));
  const results = [];
  for (const uri of wish.uris) results.push(await sendTo(uri, report, due, octets, options, signal));
  const text = results.map(({ text }) => text).join(", ");
  const sessions = policies.reduce((sum, { successes, failures }) => sum + successes + failures, 0);
  const failures = policies.reduce((sum, { failures }) => sum + failures, 0);
  logger.info("TLS report on {domain} of {day}: {sessions} sessions, {failures} failed; {results}", {
    ...due,
    sessions,
    failures,
    results: text,
  });
  // Where one has it, that is enough: an https server may be gone for good.
  return { isDone: results.some(({ isSent }) => isSent), text };
}

interface Reach {
  readonly isSent: boolean;
  /** For the log. */
  readonly text: string;
}

async function sendTo(
  uri: ReportUri,
  report: TlsReport,
  due: RecipientDay,
  octets: Uint8Array<ArrayBuffer>,
  options: TlsSendOptions,
  signal: AbortSignal,
): Promise<Reach> {
  const { sender, clock, randomOctets, state } = options;
  const key: ReportKey = { kind: "tls", ...due };
  const destination = uri.kind === "https" ? uri.url : uri.address;
  if (hasReport(state, key, destination)) return { isSent: true, text: `${destination} has it` };
  if (uri.kind === "https") {
    const result = await post(uri.url, octets, options, signal);
    if (result.isSent) noteSent(state, key, destination);
    return result;
  }
  const random = new Uint8Array(16);
  randomOctets(random);
  const content = mailOf(uri.address, report, due.domain, octets, { sender, nowMs: clock.now(), random });
  if (content.length > (uri.maxOctets ?? Infinity)) return { isSent: true, text: `too long for ${uri.address}` };
  await sendOnce(options, key, { from: sender.from, to: uri.address, content });
  return { isSent: true, text: `sent to ${uri.address}` };
}

/** RFC 8460 §5.5 suggests the media type; redirections are not followed, as the record has to name the right place. */
async function post(
  url: string,
  body: Uint8Array<ArrayBuffer>,
  { fetch, clock }: TlsSendOptions,
  signal: AbortSignal,
): Promise<Reach> {
  try {
    return await withTimeLimit(clock, POST_LIMIT_MS, signal, async (signal) => {
      const headers = { "Content-Type": "application/tlsrpt+gzip", "User-Agent": "posthorn" };
      const response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
      await response.body?.cancel();
      // A refusal of the report itself is final, whatever else is wrong there may not be.
      const isSent = response.ok || [400, 410, 413, 415, 422].includes(response.status);
      return { isSent, text: `${response.ok ? "posted to" : `refused with ${response.status} by`} ${url}` };
    });
  } catch (error) {
    signal.throwIfAborted();
    return { isSent: false, text: `not posted to ${url}: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function mailOf(
  to: string,
  { beginSeconds, endSeconds, reportId }: TlsReport,
  domain: string,
  octets: Uint8Array<ArrayBuffer>,
  { sender, nowMs, random }: { readonly sender: ReportSender; readonly nowMs: number; readonly random: Uint8Array },
): Uint8Array<ArrayBuffer> {
  const { from, organization, hostname } = sender;
  const date = new Date(beginSeconds * 1000).toISOString().slice(0, 10);
  return composeReportMail({
    from,
    organization,
    to,
    // RFC 8460 §5.3: subject and fields; §5.1: the file name.
    subject: `Report Domain: ${domain} Submitter: ${hostname} Report-ID: <${reportId}>`,
    moreFields: plainField("TLS-Report-Domain", domain) + plainField("TLS-Report-Submitter", hostname) +
      // A report on broken TLS must arrive where TLS is broken (RFC 8689 §5).
      "TLS-Required: No\r\n",
    type: 'multipart/report; report-type="tlsrpt"',
    words:
      `This is a report on TLS in deliveries from ${hostname}\r\nto ${domain} on ${date} (UTC), see RFC 8460.\r\n` +
      `It was asked for in the DNS record _smtp._tls.${domain}.\r\n`,
    attachment: {
      type: "application/tlsrpt+gzip",
      fileName: `${hostname}!${domain}!${beginSeconds}!${endSeconds}.json.gz`,
      octets,
    },
    hostname,
    nowMs,
    random,
  });
}
