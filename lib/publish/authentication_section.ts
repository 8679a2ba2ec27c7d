/** The records by which receivers know that mail of a domain is real: SPF, DKIM and DMARC. */

import { domainOf } from "../mail/mailbox.ts";
import { ipMechanism } from "./host_section.ts";
import type { PublishedRecord, RecordSection } from "./record.ts";
import { needsAgreement, reportAgreement } from "./report_agreement.ts";
import type { Site } from "./site.ts";

/** SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 7489). */
export function authenticationSection(site: Site): RecordSection {
  const { domain, smarthost, dkimKeys, reportsTo } = site;
  const remarks: string[] = [];
  if (smarthost !== undefined) {
    remarks.push(
      `Mail for others goes through ${smarthost}: put the "include:" that its operator names in front of ~all, then ` +
        "change ~all to -all. A domain has one SPF record; two are none.",
    );
  } else remarks.push("A domain has one SPF record: terms for other senders of its mail go into this one.");
  for (const { selector, value, isConfigured } of dkimKeys) {
    if (value === undefined) {
      remarks.push(
        `The DKIM key ${selector} is not there yet: posthorn serve makes it, and so does posthorn dkim create.`,
      );
    } else if (!isConfigured) {
      remarks.push(
        `The DKIM key ${selector} is not in domains.${domain}.dkim: leave its record while mail signed with it is on its way.`,
      );
    }
  }
  if (dkimKeys.length === 0) remarks.push(`No DKIM key signs its mail: name a selector in domains.${domain}.dkim.`);
  remarks.push(
    "The DMARC policy none only asks for reports. Where they show for some weeks that all real mail passes, change it to " +
      "p=quarantine, then to p=reject.",
  );
  const place = domainOf(reportsTo);
  if (needsAgreement(domain, place)) {
    remarks.push(`The reports go to ${place}, which has to agree: posthorn dns ${place} prints the record for that.`);
  }
  return {
    title: "Receivers know by these that mail from the domain is real.",
    records: [
      spf(site),
      ...dkim(site),
      dmarc(site),
      ...site.reportsAlsoOn.map((name) => reportAgreement(name, domain)),
    ],
    remarks,
  };
}

function spf({ domain, hostname, hosts, otherSources, smarthost }: Site): PublishedRecord {
  const own = hosts.includes(hostname) ? "mx" : `a:${hostname}`;
  return {
    name: domain,
    type: "TXT",
    value: `v=spf1 ${own}${otherSources.map(ipMechanism).join("")} ${smarthost === undefined ? "-all" : "~all"}`,
    purpose: "SPF: the servers that send its mail",
    importance: "required",
  };
}

function dkim({ domain, dkimKeys }: Site): readonly PublishedRecord[] {
  return dkimKeys.flatMap(({ selector, value, isConfigured }): readonly PublishedRecord[] =>
    value === undefined ? [] : [{
      name: `${selector.toLowerCase()}._domainkey.${domain}`,
      type: "TXT",
      value,
      purpose: "DKIM: the key that signs its mail",
      // A key signs only once its record was seen; but where no RSA key has one, an RSA key signs all the same.
      importance: isConfigured && /k=rsa/.test(value) ? "required" : "recommended",
    }]
  );
}

function dmarc({ domain, reportsTo }: Site): PublishedRecord {
  return {
    name: `_dmarc.${domain}`,
    type: "TXT",
    value: `v=DMARC1; p=none; rua=mailto:${reportsTo}`,
    purpose: "DMARC: what to do with mail that is not real, and where reports go",
    importance: "required",
  };
}
