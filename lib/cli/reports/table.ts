/** What reports say, for people. */

import type { DomainSummary, SourceSummary, TlsSummary } from "../../reports/received/store.ts";
import { columnWidth, countText, printable } from "../queue/units.ts";

/** All that reports say. */
export interface Overview {
  /** Reports that it is made from. */
  readonly reports: number;
  /** All mail in the name of each domain. */
  readonly domains: readonly DomainSummary[];
  /** By domain, most messages first; of many clients those with most. */
  readonly dmarc: readonly SourceSummary[];
  /** By domain. */
  readonly tls: readonly TlsSummary[];
}

/** Lines about who sends in our name; for each domain the sum and its clients. */
export function dmarcLines({ domains, dmarc: sources }: Pick<Overview, "domains" | "dmarc">): string[] {
  return domains.flatMap(({ domain, count, pass }) => {
    const own = sources.filter((source) => source.domain === domain);
    const left = count - own.reduce((sum, source) => sum + source.count, 0);
    const width = columnWidth(own.map(({ sourceIp }) => sourceIp), 7, 40);
    return [
      `Mail in the name of ${printable(domain)}: ${countText(count, "message")}, ${share(pass, count)} pass DMARC`,
      `  ${
        "ADDRESS".padEnd(width)
      }  MESSAGES      PASS      DKIM       SPF    ASIDE  REFUSED  FROM, SIGNED BY, REPORTED BY`,
      ...own.map((source) => `  ${sourceLine(source, width)}`),
      ...left > 0 ? [`  and ${countText(left, "message")} of other addresses`] : [],
      "",
    ];
  });
}

function sourceLine(source: SourceSummary, width: number): string {
  const { sourceIp, count, pass, dkim, spf, quarantined, rejected, headerFrom, signers, organizations } = source;
  const numbers = [count, pass, dkim, spf].map((number) => String(number).padStart(10)).join("").slice(1);
  const actions = [quarantined, rejected].map((number) => String(number).padStart(9)).join("");
  const names = [headerFrom, signers, organizations].map((list) => list.length === 0 ? "-" : some(list)).join("; ");
  return `${printable(sourceIp).padEnd(width)} ${numbers}${actions}  ${names}`;
}

/** Lines about TLS with our servers. */
export function tlsLines(summaries: readonly TlsSummary[]): string[] {
  return summaries.flatMap(({ domain, type, successes, failures, details, organizations }) => [
    `TLS to ${printable(domain)} (${printable(type)}): ${countText(successes + failures, "session")}, ${
      share(successes, successes + failures)
    } as wanted; reported by ${some(organizations)}`,
    ...details.map(({ text, count }) => `  ${String(count).padStart(8)}  ${printable(text)}`),
    "",
  ]);
}

function some(names: readonly string[]): string {
  const more = names.length > 3 ? `, ${names.length - 3} more` : "";
  return printable(names.slice(0, 3).join(", ")) + more;
}

function share(part: number, whole: number): string {
  return whole === 0 ? "none" : `${(Math.floor(part / whole * 1000) / 10).toFixed(1)}%`;
}
