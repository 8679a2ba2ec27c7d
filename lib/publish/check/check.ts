/** Compares all records of a domain with live DNS. */

import { recordsOf } from "../record.ts";
import { sectionsOf } from "../sections.ts";
import { checkDkimRecord } from "./dkim.ts";
import { checkAgreement, checkDmarcRecord } from "./dmarc.ts";
import type { CheckContext, Finding } from "./finding.ts";
import { wrong } from "./finding.ts";
import { checkHosts } from "./hosts.ts";
import { checkService } from "./services.ts";
import { checkSpfRecord } from "./spf.ts";
import { checkTlsa } from "./tlsa.ts";
import { checkSts, checkTlsReports } from "./transport.ts";

/** Compares; never rejects for what DNS or servers do. The findings are in the order of the records. */
export async function checkRecords(context: CheckContext): Promise<readonly Finding[]> {
  const { site } = context;
  const records = recordsOf(sectionsOf({ ...site, hasHostRecords: true }));
  const { findings, facts } = await checkHosts(context);
  for (const record of records) {
    if (record.type === "TXT" && record.name === site.hostname && record.name !== site.domain) {
      findings.push(...await checkSpfRecord(context, { record, identity: "helo", senders: facts.senders }));
    }
  }
  findings.push(...await checkTlsa(context));
  for (const record of records.filter(({ type }) => type === "TXT")) {
    if (record.name === site.domain) {
      const smarthost = site.smarthost === undefined ? {} : { smarthost: site.smarthost };
      const expected = { record, identity: "mailfrom", senders: facts.senders, ...smarthost } as const;
      findings.push(...await checkSpfRecord(context, expected));
    } else if (record.name.endsWith(`._domainkey.${site.domain}`)) {
      findings.push(await checkDkimRecord(context, record));
    } else if (record.name === `_dmarc.${site.domain}`) findings.push(...await checkDmarcRecord(context, record));
    else if (record.name.endsWith(`._report._dmarc.${site.domain}`)) {
      findings.push(await checkAgreement(context, record));
    } else if (record.name === `_smtp._tls.${site.domain}`) findings.push(await checkTlsReports(context, record));
  }
  for (const { selector, value } of site.dkimKeys) {
    if (value === undefined) findings.push(missingKey(context, selector));
  }
  findings.push(...await checkSts(context, facts.exchanges));
  for (const record of records.filter(({ type, importance }) => type === "SRV" && importance !== "optional")) {
    findings.push(await checkService(context, record));
  }
  return findings;
}

function missingKey({ site: { domain } }: CheckContext, selector: string): Finding {
  const place = { name: `${selector.toLowerCase()}._domainkey.${domain}`, type: "TXT" };
  return wrong(
    place,
    "The key that is to sign our mail is not there yet",
    `Run posthorn dkim create ${domain} ${selector}`,
  );
}

/** The findings as lines for people, what has to be mended behind each. What servers said cannot steer the terminal. */
export function findingLines(findings: readonly Finding[]): readonly string[] {
  return findings.flatMap(({ kind, name, type, text, mend }) => [
    `${kind.padEnd(8)} ${type} ${name}: ${text}`,
    ...(mend === undefined ? [] : [`${" ".repeat(8)} → ${mend}`]),
  ]).map((line) => line.replace(/[\0-\x1f\x7f-\x9f]/g, "?"));
}
