/**
 * Writes the XML of an aggregate report (RFC 7489 Appendix C).
 *
 * RFC 9990 has a schema of its own, with another namespace and without `pct`. Google, Microsoft and Yahoo send the older
 * form, without a namespace, and everybody reads it; so do we. Order and presence of elements follow the schema as it is printed.
 */

import { isIPv6 } from "node:net";
import type { AggregateReport, AggregateRow, OverrideReason, PublishedPolicy } from "./aggregate.ts";

/** A report without its rows, of which there may be many. */
export type AggregateHead = Omit<AggregateReport, "rows">;

/** Longest text of an element, in characters. */
const MAX_TEXT = 1000;
// What XML 1.0 has no way to write (§2.2 Char), lone surrogates included.
// deno-lint-ignore no-control-regex
const NO_XML = /[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Cs}/gu;

/** The report as XML, UTF-8, ended by a line feed. */
export function composeAggregate(report: AggregateReport): string {
  return composeHead(report) + report.rows.map(composeRow).join("") + AGGREGATE_END;
}

/** What stands in front of the rows. */
export function composeHead(head: AggregateHead): string {
  const { organization, email, contactInfo, reportId, beginSeconds, endSeconds, policy } = head;
  const metadata = element("org_name", organization) + element("email", email) +
    (contactInfo === undefined ? "" : element("extra_contact_info", contactInfo)) + element("report_id", reportId) +
    group("date_range", element("begin", beginSeconds) + element("end", endSeconds));
  const content = element("version", "1.0") + group("report_metadata", metadata) +
    group("policy_published", formatPolicy(policy));
  return `<?xml version="1.0" encoding="UTF-8"?>\n<feedback>\n${content}`;
}

/** One row. */
export function composeRow(row: AggregateRow): string {
  return group("record", formatRow(row));
}

/** What stands behind the rows. */
export const AGGREGATE_END = "</feedback>\n";

function formatPolicy({ domain, adkim, aspf, p, sp, pct, fo, isTesting }: PublishedPolicy): string {
  // The older form cannot say t=y: it means what pct=0 did (RFC 9989 Appendix A.6).
  return element("domain", domain) + element("adkim", adkim) + element("aspf", aspf) + element("p", p) +
    element("sp", sp) +
    element("pct", isTesting ? 0 : pct) + element("fo", fo);
}

function formatRow(row: AggregateRow): string {
  const { sourceIp, count, disposition, isDkimAligned, isSpfAligned, reasons, headerFrom, envelopeFrom } = row;
  const evaluated = element("disposition", disposition) + element("dkim", isDkimAligned ? "pass" : "fail") +
    element("spf", isSpfAligned ? "pass" : "fail") + reasons.map(formatReason).join("");
  const identifiers = element("envelope_from", envelopeFrom) + element("header_from", headerFrom);
  const dkim = row.dkim.map(({ domain, selector, result }) =>
    group(
      "dkim",
      element("domain", domain) + (selector === undefined ? "" : element("selector", selector)) +
        element("result", result),
    )
  );
  const spf = row.spf.map(({ domain, scope, result }) =>
    group("spf", element("domain", domain) + element("scope", scope) + element("result", result))
  );
  return group(
    "row",
    element("source_ip", fullAddress(sourceIp)) + element("count", count) + group("policy_evaluated", evaluated),
  ) + group("identifiers", identifiers) + group("auth_results", dkim.join("") + spf.join(""));
}

function formatReason({ type, comment }: OverrideReason): string {
  // RFC 9990 has this one, the older schema does not.
  const isNew = type === "policy_test_mode";
  const words = isNew ? comment ?? "t=y" : comment;
  return group(
    "reason",
    element("type", isNew ? "other" : type) + (words === undefined ? "" : element("comment", words)),
  );
}

function group(name: string, content: string): string {
  return `<${name}>\n${content}</${name}>\n`;
}

function element(name: string, value: string | number): string {
  const text = String(value).slice(0, MAX_TEXT).replace(NO_XML, "").replaceAll("&", "&amp;").replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
  return `<${name}>${text}</${name}>\n`;
}

/** The schema knows no `::` in an IPv6 address. */
function fullAddress(address: string): string {
  if (!isIPv6(address) || address.includes(".") || address.includes("%")) return address;
  const [head = "", tail] = address.split("::");
  const before = head === "" ? [] : head.split(":");
  if (tail === undefined) return address;
  const after = tail === "" ? [] : tail.split(":");
  return [...before, ...Array<string>(8 - before.length - after.length).fill("0"), ...after].join(":");
}
