/**
 * The DMARC record of a domain, read more strictly than receivers do: they pass over what they do not understand, and its
 * owner should know what that is (RFC 7489 §6.3, RFC 9989 §4.7).
 */

import { domainOf } from "../../mail/mailbox.ts";
import { type PublishedRecord, zoneLine } from "../record.ts";
import { isAgreement, needsAgreement, reportAgreement } from "../report_agreement.ts";
import {
  advice,
  ask,
  type CheckContext,
  type Finding,
  good,
  publish,
  recordsIn,
  replace,
  shown,
  unknown,
  wrong,
} from "./finding.ts";

const REQUESTS = /^(?:none|quarantine|reject)$/i;
const ALIGNMENT = /^[rs]$/i;
/** A list of mailto: addresses, with the sizes of RFC 7489 §6.2. */
const MAIL_URI = /^mailto:[^@\s,!]+@([a-z0-9.-]+)(?:![0-9]+[kmgt]?)?$/i;

/** Tags and what may stand in them. */
const TAGS: ReadonlyMap<string, RegExp> = new Map([
  ["p", REQUESTS],
  ["sp", REQUESTS],
  ["np", REQUESTS],
  ["adkim", ALIGNMENT],
  ["aspf", ALIGNMENT],
  ["pct", /^(?:100|\d{1,2})$/],
  ["fo", /^[01ds](?:\s*:\s*[01ds])*$/i],
  ["ri", /^\d{1,10}$/],
  ["rf", /^afrf$/i],
  ["psd", /^[ynu]$/i],
  ["t", /^[yn]$/i],
  ["rua", /./],
  ["ruf", /./],
]);
/** Domains for reports that are looked at. */
const MAX_REPORT_DOMAINS = 10;

/** Compares the record. */
export async function checkDmarcRecord(context: CheckContext, record: PublishedRecord): Promise<readonly Finding[]> {
  const answer = await ask(context, record.name, "TXT");
  if (answer.kind === "failed") return [unknown(record, answer.reason)];
  const all = answer.kind === "found" ? answer.records : [];
  const texts = all.filter((text) => /^v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)/.test(text));
  const [text] = texts;
  if (text === undefined) {
    const [other] = all;
    const meaning = other === undefined
      ? "There is no DMARC record: forged mail is not told from real mail, and big receivers demand one"
      : `${shown(other)} is no DMARC record: it must begin with "v=DMARC1;"`;
    return [wrong(record, meaning, other === undefined ? publish(record) : replace(record))];
  }
  if (texts.length > 1) {
    const mend = `Keep one of them: ${texts.map((one) => shown(one)).join(" or ")}`;
    return [wrong(record, `There are ${texts.length} DMARC records, and so none counts (RFC 7489 §6.6.3)`, mend)];
  }
  return await judge(context, record, text);
}

async function judge(context: CheckContext, record: PublishedRecord, text: string): Promise<readonly Finding[]> {
  const { tags, findings } = readTags(record, text);
  // What follows from a mistake is no mistake of its own.
  if (findings.some(({ kind }) => kind === "wrong")) return findings;
  const policy = tags.get("p")?.toLowerCase();
  if (policy === undefined) {
    findings.push(
      wrong(record, `${shown(text)} has no policy`, "Add p=none, p=quarantine or p=reject behind v=DMARC1;"),
    );
  }
  const places = (tags.get("rua") ?? "").split(",").map((uri) => uri.trim()).filter((uri) => uri !== "");
  if (places.length === 0) {
    findings.push(
      advice(record, "Nobody gets the reports on mail of the domain", `Add ${record.value.split("; ").at(-1)}`),
    );
  }
  for (const tag of ["rua", "ruf"]) findings.push(...await checkPlaces(context, record, tags.get(tag), tag));
  if (findings.some(({ kind }) => kind === "wrong")) return findings;
  const meaning = policy === "none"
    ? "asks for reports only; forged mail is delivered"
    : `forged mail is to be treated with ${policy}`;
  return [good(record, `${shown(text)}: ${meaning}`), ...findings];
}

function readTags(record: PublishedRecord, text: string): { tags: ReadonlyMap<string, string>; findings: Finding[] } {
  const tags = new Map<string, string>();
  const findings: Finding[] = [];
  for (const part of text.split(";").slice(1)) {
    const [, rawName = "", value = ""] = /^\s*([^=\s]*)\s*=\s*(.*?)\s*$/.exec(part) ?? [];
    const name = rawName.toLowerCase();
    if (part.trim() === "") continue;
    const form = TAGS.get(name);
    if (name === "") {
      findings.push(
        wrong(record, `${shown(part.trim())} is no tag`, "Tags are name=value, with a semicolon between them"),
      );
    } else if (form === undefined) {
      findings.push(
        advice(record, `Receivers pass over ${shown(part.trim())}, which is no tag of DMARC`, "Correct or remove it"),
      );
    } else if (tags.has(name)) {
      findings.push(wrong(record, `The tag ${name}= stands there twice`, "Remove one of them"));
    } else {
      tags.set(name, value);
      if (form.test(value)) continue;
      const text = `${shown(part.trim())} has a value that DMARC does not know`;
      findings.push(wrong(record, text, `Correct it; our proposal: ${record.value}`));
    }
  }
  return { tags, findings };
}

/** Other domains must agree to get the reports (RFC 7489 §7.1). */
async function checkPlaces(
  context: CheckContext,
  record: PublishedRecord,
  list: string | undefined,
  tag: string,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (
    const uri of (list ?? "").split(",").map((uri) => uri.trim()).filter((uri) => uri !== "").slice(
      0,
      MAX_REPORT_DOMAINS,
    )
  ) {
    const [, place = ""] = MAIL_URI.exec(uri) ?? [];
    if (place === "") {
      findings.push(
        wrong(record, `${tag}= names ${shown(uri)}, where no report can go`, "Write mailto: and an address"),
      );
      continue;
    }
    const other = place.toLowerCase();
    const { domain, reportsTo } = context.site;
    if (!needsAgreement(domain, other)) continue;
    const agreement = reportAgreement(domain, other);
    const answer = await ask(context, agreement.name, "TXT");
    if (answer.kind === "failed") findings.push(unknown(agreement, answer.reason));
    else if (!recordsIn(answer).some(isAgreement)) {
      const mend = domainOf(reportsTo) === other
        ? publish(agreement)
        : `Ask ${other} to publish: ${zoneLine(agreement)}; or let the reports go to ${reportsTo}`;
      const text = `${other} does not agree to get reports about ${domain}, so none are sent there`;
      findings.push(wrong(agreement, text, mend));
    }
  }
  return findings;
}

/** Compares the record by which reports about another domain of ours may come here. */
export async function checkAgreement(context: CheckContext, record: PublishedRecord): Promise<Finding> {
  const [about] = record.name.split("._report._dmarc.");
  const answer = await ask(context, record.name, "TXT");
  if (answer.kind === "failed") return unknown(record, answer.reason);
  if (recordsIn(answer).some(isAgreement)) return good(record, `reports about ${about} may come here`);
  return wrong(record, `Without it no reports about ${about} come here`, publish(record));
}
