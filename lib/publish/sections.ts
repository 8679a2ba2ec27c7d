/** Makes the records of a domain, from what is needed to get mail at all to what helps users' programs. */

import { authenticationSection } from "./authentication_section.ts";
import { clientSection } from "./client_section.ts";
import { hostSection } from "./host_section.ts";
import type { PublishedRecord, RecordSection } from "./record.ts";
import type { Site } from "./site.ts";
import { transportSection } from "./transport_section.ts";

/** All sections of a domain, in the order to read them. */
export function sectionsOf(site: Site): readonly RecordSection[] {
  return [
    mailSection(site),
    ...(site.hasHostRecords ? [hostSection(site)] : []),
    authenticationSection(site),
    transportSection(site),
    clientSection(site),
  ];
}

/** The hosts that take mail, ten apart, so that others fit in between (RFC 5321 §5.1). */
function mailSection({ domain, hosts, hostname, hasHostRecords, takesMailOnPort25, aliasOf }: Site): RecordSection {
  const remarks: string[] = [];
  if (aliasOf !== undefined) {
    remarks.push(`${domain} is another name of ${aliasOf}; to DNS it is a domain like others.`);
  }
  if (!takesMailOnPort25) {
    remarks.push(
      "No listener of service mx is on port 25, where servers connect: something has to lead from there to us.",
    );
  }
  if (!hosts.includes(hostname)) {
    remarks.push(`${hostname}, this server, is not among its hosts (domains.${domain}.mx).`);
  }
  if (!hasHostRecords) {
    remarks.push(
      `The records of the host ${hostname} are those of another domain of ours: posthorn dns prints them there.`,
    );
  }
  const records = hosts.map((host, i): PublishedRecord => ({
    name: domain,
    type: "MX",
    value: `${10 * (i + 1)} ${host}.`,
    purpose: "names the host that takes the mail",
    importance: "required",
  }));
  return { title: "Mail for the domain comes here.", records, remarks };
}
