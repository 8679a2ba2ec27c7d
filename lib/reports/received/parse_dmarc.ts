/**
 * Reads a DMARC aggregate report: the forms of RFC 7489 Appendix C and RFC 9990, and what reporters make of them. Of an element that
 * is missing or makes no sense the usual value stands in, as far as a person can still use the rest.
 */

import { formatIpAddress, parseIpAddress, unmapped } from "../../dns/ip_address.ts";
import type { DkimResult, SpfResult } from "../../msgauth/findings.ts";
import {
  type AggregateReport,
  type AggregateRow,
  type DkimAuthResult,
  MAX_SIGNATURES,
  type OverrideReason,
  type OverrideType,
  type SpfAuthResult,
} from "../dmarc/aggregate.ts";
import { XmlError, type XmlToken, xmlTokens } from "./xml.ts";

/** An element: its text, and the elements in it. */
interface Element {
  readonly name: string;
  text: string;
  readonly children: Element[];
}

/** More are in no report on a site of this size. */
const MAX_ROWS = 50_000;
/** Elements in one row, or in the head. */
const MAX_ELEMENTS = 2_000;
const MAX_VALUE = 500;
/** Tokens between two breaths of the event loop: about 5 ms. */
const TOKENS_AT_A_TIME = 5_000;

const REQUESTS = ["none", "quarantine", "reject"] as const;
const DKIM_RESULTS = ["none", "pass", "fail", "policy", "neutral", "temperror", "permerror"] as const;
const SPF_RESULTS = ["none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"] as const;
const OVERRIDES = [
  "forwarded",
  "sampled_out",
  "trusted_forwarder",
  "mailing_list",
  "local_policy",
  "policy_test_mode",
] as const;

/**
 * Reads a report.
 *
 * @param breathe Is waited for now and then: a long report must not hold up the server.
 * @param maxRows Rows that are read; the rest is left out.
 * @throws {XmlError} It is none.
 */
export async function parseAggregate(
  document: string,
  breathe: () => Promise<void>,
  maxRows: number = MAX_ROWS,
): Promise<AggregateReport> {
  const root: Element = { name: "", text: "", children: [] };
  const path: Element[] = [root];
  const rows: AggregateRow[] = [];
  let elements = 0;
  let tokens = 0;
  for (const token of xmlTokens(document)) {
    if (++tokens % TOKENS_AT_A_TIME === 0) await breathe();
    if (token.kind === "open") {
      if (path.length === 1 && token.name !== "feedback") throw new XmlError(`<${token.name}> is no report of DMARC`);
      if (++elements > MAX_ELEMENTS) throw new XmlError("A part of it has too many elements");
    }
    const closed = addToken(path, token);
    if (closed?.name !== "record" || path.length !== 2) continue;
    // Each row is used and forgotten: memory follows what is kept, not what was sent.
    path.at(-1)?.children.pop();
    elements = 0;
    const row = rows.length < maxRows ? rowOf(closed) : undefined;
    if (row !== undefined) rows.push(row);
  }
  return reportOf(root, rows);
}

/** Returns the element that was closed. */
function addToken(path: Element[], token: XmlToken): Element | undefined {
  const inner = path.at(-1);
  if (token.kind === "text") {
    if (inner !== undefined && inner.text.length < MAX_VALUE) inner.text += token.text;
  } else if (token.kind === "open") {
    const element: Element = { name: token.name, text: "", children: [] };
    inner?.children.push(element);
    path.push(element);
  } else return path.pop();
  return undefined;
}

function reportOf(root: Element, rows: readonly AggregateRow[]): AggregateReport {
  const metadata = find(root, "feedback", "report_metadata");
  const published = find(root, "feedback", "policy_published");
  const domain = domainAt(published, "domain");
  if (metadata === undefined || domain === "") throw new XmlError("It does not say which domain it is about");
  const p = oneOf(REQUESTS, textAt(published, "p"), "none");
  const sp = oneOf(REQUESTS, textAt(published, "sp"), p);
  const np = textAt(published, "np");
  const contactInfo = textAt(metadata, "extra_contact_info");
  return {
    organization: textAt(metadata, "org_name"),
    email: textAt(metadata, "email"),
    ...(contactInfo === "" ? {} : { contactInfo }),
    reportId: textAt(metadata, "report_id"),
    beginSeconds: seconds(textAt(metadata, "date_range", "begin")),
    endSeconds: seconds(textAt(metadata, "date_range", "end")),
    policy: {
      domain,
      adkim: textAt(published, "adkim") === "s" ? "s" : "r",
      aspf: textAt(published, "aspf") === "s" ? "s" : "r",
      p,
      sp,
      ...(np === "" ? {} : { np: oneOf(REQUESTS, np, sp) }),
      pct: Math.min(100, number(textAt(published, "pct"), 100)),
      fo: textAt(published, "fo") || "0",
      ...(textAt(published, "testing") === "y" ? { isTesting: true } : {}),
    },
    rows,
  };
}

/** Undefined for a row without a client or without messages. */
function rowOf(record: Element): AggregateRow | undefined {
  const address = parseIpAddress(textAt(record, "row", "source_ip"));
  const count = number(textAt(record, "row", "count"), 0);
  if (address === undefined || count === 0) return undefined;
  const evaluated = find(record, "row", "policy_evaluated");
  const results = find(record, "auth_results");
  return {
    sourceIp: formatIpAddress(unmapped(address)),
    count,
    // RFC 9990: "pass" is mail that passed under an enforcing policy.
    disposition: oneOf(REQUESTS, textAt(evaluated, "disposition"), "none"),
    isDkimAligned: textAt(evaluated, "dkim") === "pass",
    isSpfAligned: textAt(evaluated, "spf") === "pass",
    reasons: all(evaluated, "reason").slice(0, 10).map(reasonOf),
    headerFrom: domainAt(record, "identifiers", "header_from"),
    envelopeFrom: domainAt(record, "identifiers", "envelope_from"),
    dkim: all(results, "dkim").slice(0, MAX_SIGNATURES).map(dkimOf),
    spf: all(results, "spf").slice(0, 2).map(spfOf),
  };
}

function reasonOf(reason: Element): OverrideReason {
  const comment = textAt(reason, "comment");
  const type: OverrideType = oneOf(OVERRIDES, textAt(reason, "type"), "other");
  return { type, ...(comment === "" ? {} : { comment }) };
}

function dkimOf(dkim: Element): DkimAuthResult {
  const selector = textAt(dkim, "selector");
  return {
    domain: domainAt(dkim, "domain"),
    ...(selector === "" ? {} : { selector }),
    result: oneOf<DkimResult>(DKIM_RESULTS, textAt(dkim, "result"), "none"),
  };
}

function spfOf(spf: Element): SpfAuthResult {
  const result = textAt(spf, "result");
  // Names from before RFC 7208 that some still send: see the comments of the schema.
  const usual = { unknown: "temperror", error: "permerror", hardfail: "fail" }[result] ?? result;
  return {
    domain: domainAt(spf, "domain"),
    scope: textAt(spf, "scope") === "helo" ? "helo" : "mfrom",
    result: oneOf<SpfResult>(SPF_RESULTS, usual, "none"),
  };
}

function find(element: Element | undefined, ...names: readonly string[]): Element | undefined {
  let found = element;
  for (const name of names) found = found?.children.find((child) => child.name === name);
  return found;
}

function all(element: Element | undefined, name: string): readonly Element[] {
  return element?.children.filter((child) => child.name === name) ?? [];
}

/** One line, without blanks around it; empty where there is none. */
function textAt(element: Element | undefined, ...names: readonly string[]): string {
  const text = find(element, ...names)?.text ?? "";
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, " ").slice(0, MAX_VALUE).trim();
}

function domainAt(element: Element | undefined, ...names: readonly string[]): string {
  return textAt(element, ...names).toLowerCase().replace(/\.$/, "");
}

function oneOf<T extends string>(words: readonly T[], text: string, fallback: T): T;
function oneOf<T extends string, F extends string>(words: readonly T[], text: string, fallback: F): T | F;
function oneOf<T extends string>(words: readonly T[], text: string, fallback: T): T {
  const lower = text.toLowerCase();
  return words.find((word) => word === lower) ?? fallback;
}

function number(text: string, fallback: number): number {
  return /^\d{1,12}$/.test(text) ? Number(text) : fallback;
}

/** Some send a fraction, or milliseconds. */
function seconds(text: string): number {
  const [, digits = "0"] = /^(\d{1,14})(?:\.\d+)?$/.exec(text) ?? [];
  const value = Number(digits);
  return value > 1e11 ? Math.floor(value / 1000) : value;
}
