/** SPF of the domain and of our host name (RFC 7208): one record, that can be evaluated, and that names our addresses. */

import type { PublishedRecord } from "../record.ts";
import {
  advice,
  ask,
  type CheckContext,
  type Finding,
  good,
  publish,
  replace,
  shown,
  unknown,
  wrong,
} from "./finding.ts";

/** Which addresses a record has to name. */
export interface SpfExpectation {
  /** As we would publish it. */
  readonly record: PublishedRecord;
  /** `mailfrom` for the domain, `helo` for the host name. */
  readonly identity: "mailfrom" | "helo";
  /** Addresses that mail leaves from. */
  readonly senders: readonly string[];
  /** Mail leaves elsewhere: the record has to be right, and need not name us. */
  readonly smarthost?: string;
}

const VERSION = /^v=spf1(?: |$)/i;

/** Compares one record. */
export async function checkSpfRecord(context: CheckContext, expected: SpfExpectation): Promise<readonly Finding[]> {
  const { record, identity } = expected;
  const answer = await ask(context, record.name, "TXT");
  if (answer.kind === "failed") return [unknown(record, answer.reason)];
  const texts = answer.kind === "found" ? answer.records.filter((text) => VERSION.test(text)) : [];
  const [text] = texts;
  if (text === undefined) {
    const nearly = answer.kind === "found" ? answer.records.find((other) => /^\W*v\s*=\s*spf/i.test(other)) : undefined;
    if (nearly !== undefined) {
      return [wrong(record, `${shown(nearly)} is no SPF record: it must begin with "v=spf1 "`, replace(record))];
    }
    if (identity === "helo") {
      const meaning = "There is no SPF record of our host name; receivers check it for reports, which have no sender";
      return [advice(record, meaning, publish(record))];
    }
    return [wrong(record, "There is no SPF record: receivers cannot know our servers from others", publish(record))];
  }
  if (texts.length > 1) {
    const mend = `Make them one record, with the terms of all of them: ${texts.map((one) => shown(one)).join(" and ")}`;
    return [wrong(record, `There are ${texts.length} SPF records, and so none counts (RFC 7208 §4.5)`, mend)];
  }
  return [...await judge(context, expected, text), ...habits(record, text)];
}

async function judge(context: CheckContext, expected: SpfExpectation, text: string): Promise<readonly Finding[]> {
  const { record, identity, senders, smarthost } = expected;
  // An address that no record names: what is broken shows all the same, unless a term in front matches.
  const addresses = smarthost === undefined && senders.length > 0 ? senders : ["192.0.2.1"];
  const refused: string[] = [];
  for (const address of addresses) {
    const finding = await context.checkSpf(identity, record.name, address);
    if (finding.result === "temperror") return [unknown(record, finding.problem ?? "a lookup failed")];
    if (finding.result === "permerror") {
      const reason = finding.problem ?? "it cannot be evaluated";
      return [wrong(record, `Receivers cannot use ${shown(text)}: ${reason}`, mendOf(reason, record))];
    }
    if (finding.result !== "pass") refused.push(`${address} (${finding.result})`);
  }
  if (smarthost !== undefined) {
    const meaning = `${shown(text)} can be evaluated; whether it names ${smarthost} is not known here`;
    return [
      text === record.value
        ? advice(record, `${meaning}, and nothing was added to our proposal`, includeMend(smarthost))
        : good(record, meaning),
    ];
  }
  if (senders.length === 0) return [good(record, `${shown(text)}; whether it names our addresses is not known here`)];
  if (refused.length === 0) return [good(record, shown(text))];
  return [
    wrong(record, `${shown(text)} does not let our mail pass from ${refused.join(", ")}`, termMend(record, text)),
  ];
}

function mendOf(reason: string, record: PublishedRecord): string {
  if (/need DNS lookups/.test(reason)) {
    return "Remove include:, a, mx, exists or redirect= terms that are not needed, or put addresses (ip4:, ip6:) in place of them";
  }
  return `Correct that; our proposal: ${record.value}`;
}

function includeMend(smarthost: string): string {
  return `Add the "include:" that the operator of ${smarthost} names`;
}

/** Keeps what other senders of the domain have in it. */
function termMend(record: PublishedRecord, text: string): string {
  const terms = record.value.split(" ").slice(1, -1).filter((term) => !text.split(" ").includes(term));
  if (terms.length === 0) return "Let these terms lead to our addresses, or add them with ip4: and ip6:";
  return `Put ${terms.join(" ")} behind v=spf1: ${text.replace(VERSION, `v=spf1 ${terms.join(" ")} `).trim()}`;
}

/** What can be evaluated, and still is no good idea. */
function habits(record: PublishedRecord, text: string): readonly Finding[] {
  const terms = text.toLowerCase().split(" ").slice(1);
  const findings: Finding[] = [];
  if (terms.includes("+all") || terms.includes("all")) {
    findings.push(
      wrong(record, "The record ends with +all, which lets everybody send as the domain", "Make it -all or ~all"),
    );
  } else if (terms.includes("?all")) {
    findings.push(
      advice(record, "The record ends with ?all, which says nothing about others", "Make it ~all, then -all"),
    );
  } else if (!terms.some((term) => /^[-~]all$/.test(term) || term.startsWith("redirect="))) {
    findings.push(
      advice(record, "The record does not end with -all or ~all, and so says nothing about others", "Add -all"),
    );
  }
  if (terms.some((term) => /^[+?~-]?ptr(?::|$)/.test(term))) {
    findings.push(
      advice(record, "The record uses ptr, which receivers may pass over (RFC 7208 §5.5)", "Use a, mx, ip4: or ip6:"),
    );
  }
  return findings;
}
