/** The records by which other servers know that they can insist on TLS to us: MTA-STS, and reports about it. */

import type { PublishedRecord, RecordSection } from "./record.ts";
import type { Site } from "./site.ts";
import { STS_PATH, stsHost } from "./sts_policy.ts";

/** MTA-STS (RFC 8461) and TLS-RPT (RFC 8460). */
export function transportSection(site: Site): RecordSection {
  const { domain, reportsTo } = site;
  const reports: PublishedRecord = {
    name: `_smtp._tls.${domain}`,
    type: "TXT",
    value: `v=TLSRPTv1; rua=mailto:${reportsTo}`,
    purpose: "TLS-RPT: where servers report that TLS to us failed",
    importance: "recommended",
  };
  const { records, remarks } = stsOf(site);
  return {
    title: "Other servers know by these that mail to the domain can insist on TLS.",
    records: [...records, reports],
    remarks,
  };
}

function stsOf({ domain, hostname, sts }: Site): Pick<RecordSection, "records" | "remarks"> {
  if (sts === undefined) {
    const remark = `There is no MTA-STS policy: domains.${domain}.mta_sts and a listener of service web make one.`;
    return { records: [], remarks: [remark] };
  }
  const remarks: string[] = [];
  if (!sts.isServed) {
    remarks.push(
      `No listener of service web gives the MTA-STS policy away: something else has to serve ` +
        `https://${stsHost(domain)}${STS_PATH} with this text: ${sts.text.trimEnd().replaceAll("\r\n", " | ")}`,
    );
  } else if (!sts.isCertified) {
    remarks.push(
      `No certificate of tls.certificates names ${stsHost(domain)}: without one, nobody believes the MTA-STS policy.`,
    );
  }
  if (sts.mode === "testing") {
    remarks.push(
      "The MTA-STS policy is being tested: where the TLS reports show no failures for some weeks, change mta_sts to enforce.",
    );
  }
  remarks.push("The id of _mta-sts is made from the policy: publish it anew whenever the policy changes.");
  return {
    records: [
      {
        name: `_mta-sts.${domain}`,
        type: "TXT",
        value: `v=STSv1; id=${sts.id}`,
        purpose: "MTA-STS: there is a policy, and which one",
        importance: "recommended",
      },
      {
        name: stsHost(domain),
        type: "CNAME",
        value: `${hostname}.`,
        purpose: "MTA-STS: the host that gives the policy away",
        importance: "recommended",
      },
    ],
    remarks,
  };
}
