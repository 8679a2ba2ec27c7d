/** What `posthorn dns --check` prints, and its exit code. */

import { findingLines } from "../../publish/check/check.ts";
import type { Finding } from "../../publish/check/finding.ts";
import { DATA_ERROR, OK, UNAVAILABLE } from "../../system/sysexits.ts";

/** Lines for people, or JSON. Exit codes: 0 nothing is wrong, 65 something is, 69 some of it could not be found out. */
export function checkReport(
  domain: string,
  findings: readonly Finding[],
  isJson: boolean,
): { readonly text: string; readonly exitCode: number } {
  const count = (kind: Finding["kind"]): number => findings.filter((finding) => finding.kind === kind).length;
  const [wrong, unknown] = [count("wrong"), count("unknown")];
  const exitCode = wrong > 0 ? DATA_ERROR : unknown > 0 ? UNAVAILABLE : OK;
  if (isJson) return { text: JSON.stringify({ domain, isGood: exitCode === OK, findings }, null, 2), exitCode };
  const sum = exitCode === OK
    ? `Nothing is wrong with the records of ${domain}`
    : `Of the records of ${domain}, ${wrong} are wrong, and ${unknown} could not be compared`;
  return { text: [...findingLines(findings), "", sum].join("\n"), exitCode };
}
