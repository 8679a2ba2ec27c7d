/** Reads a TLS report (RFC 8460 §4.4). Of what makes no sense the usual value stands in. */

import type { TlsFailureDetails, TlsPolicyResult, TlsReport } from "../tls/tls_report.ts";

/** What is no TLS report. */
export class TlsReportError extends Error {
  /** Tells this error from others. */
  override readonly name = "TlsReportError";
}

/** The longest report that is read, in characters: all of it is parsed at once. */
const MAX_CHARACTERS = 2 * 2 ** 20;
const MAX_POLICIES = 1_000;
const MAX_DETAILS = 500;
const MAX_STRINGS = 50;
const MAX_VALUE = 500;

type Values = Readonly<Record<string, unknown>>;

/** Reads a report. @throws {TlsReportError} It is none. */
export function parseTlsReport(text: string): TlsReport {
  if (text.length > MAX_CHARACTERS) throw new TlsReportError("It is too long for a TLS report");
  const report = objectOf(parse(text));
  const policies = report?.["policies"];
  if (report === undefined || !Array.isArray(policies)) throw new TlsReportError("It is no TLS report");
  const range = objectOf(report["date-range"]);
  return {
    organization: textOf(report["organization-name"]),
    contact: textOf(report["contact-info"]),
    reportId: textOf(report["report-id"]),
    beginSeconds: seconds(range?.["start-datetime"]),
    endSeconds: seconds(range?.["end-datetime"]),
    policies: policies.slice(0, MAX_POLICIES).flatMap((one) => policyOf(objectOf(one))),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TlsReportError("It is no JSON", { cause: error });
  }
}

function policyOf(one: Values | undefined): TlsPolicyResult[] {
  const policy = objectOf(one?.["policy"]);
  if (one === undefined || policy === undefined) return [];
  const summary = objectOf(one["summary"]);
  const details = one["failure-details"];
  return [{
    type: textOf(policy["policy-type"]),
    domain: textOf(policy["policy-domain"]).toLowerCase().replace(/\.$/, ""),
    strings: textsOf(policy["policy-string"]),
    mxHosts: textsOf(policy["mx-host"]),
    successes: countOf(summary?.["total-successful-session-count"]),
    failures: countOf(summary?.["total-failure-session-count"]),
    details: Array.isArray(details) ? details.slice(0, MAX_DETAILS).flatMap((one) => detailsOf(objectOf(one))) : [],
  }];
}

function detailsOf(one: Values | undefined): TlsFailureDetails[] {
  if (one === undefined) return [];
  const mxHost = textOf(one["receiving-mx-hostname"]);
  const receivingIp = textOf(one["receiving-ip"]);
  const sendingIp = textOf(one["sending-mta-ip"]);
  const reason = textOf(one["additional-information"]) || textOf(one["failure-reason-code"]);
  return [{
    resultType: textOf(one["result-type"]) || "unknown",
    count: countOf(one["failed-session-count"]),
    ...(mxHost === "" ? {} : { mxHost }),
    ...(receivingIp === "" ? {} : { receivingIp }),
    ...(sendingIp === "" ? {} : { sendingIp }),
    ...(reason === "" ? {} : { reason }),
  }];
}

function objectOf(value: unknown): Values | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Values : undefined;
}

function textOf(value: unknown): string {
  if (typeof value !== "string") return "";
  return value.slice(0, MAX_VALUE).replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Cs}]+/gu, " ").trim();
}

/** Some send one text in place of a list. */
function textsOf(value: unknown): readonly string[] {
  const list = Array.isArray(value) ? value : [value];
  return list.slice(0, MAX_STRINGS).map(textOf).filter((text) => text !== "");
}

/** Some send numbers as text. */
function countOf(value: unknown): number {
  const count = Number(typeof value === "string" && /^\d{1,15}$/.test(value) ? value : value);
  return typeof value !== "boolean" && Number.isSafeInteger(count) && count >= 0 ? count : 0;
}

function seconds(value: unknown): number {
  const ms = typeof value === "string" ? Date.parse(value) : NaN;
  return Number.isNaN(ms) || ms < 0 ? 0 : Math.floor(ms / 1000);
}
