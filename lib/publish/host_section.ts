/** The records of the host itself: addresses, their names, SPF for its greeting, TLSA for its certificate. */

import { reverseName } from "../dns/reverse_name.ts";
import type { PublishedRecord, RecordSection } from "./record.ts";
import type { Site } from "./site.ts";

/** What the host can be reached at, and what others check about it. */
export function hostSection(site: Site): RecordSection {
  const { hostname, addresses, otherSources } = site;
  const remarks = addresses.length > 0 ? [] : [
    `The addresses of ${hostname} are not known here, because this machine has none that others can reach: publish A and ` +
    "AAAA records, or name them: posthorn dns DOMAIN --address 192.0.2.1,2001:db8::1",
  ];
  const pointers = [...addresses, ...otherSources].map((address) => pointer(address, hostname));
  if (pointers.length > 0) {
    remarks.push(
      `PTR records are set by whoever gave us the address, in most cases in their control panel ("reverse DNS"). Big ` +
        `receivers refuse mail from addresses whose name does not lead back to them.`,
    );
  }
  const tlsa = tlsaOf(site);
  return {
    title: `The host ${hostname}.`,
    records: [
      ...addresses.map((address) => addressRecord(hostname, address)),
      ...helo(site),
      ...tlsa.records,
      ...pointers,
    ],
    remarks: [...remarks, ...tlsa.remarks],
  };
}

function addressRecord(name: string, value: string): PublishedRecord {
  const type = value.includes(":") ? "AAAA" : "A";
  return { name, type, value, purpose: "where the host is reached", importance: "required" };
}

/** RFC 1912 §2.1. */
function pointer(address: string, hostname: string): PublishedRecord {
  return {
    name: reverseName(address),
    type: "PTR",
    value: `${hostname}.`,
    purpose: `the name of ${address}`,
    importance: "required",
    isElsewhere: true,
  };
}

/** Reports have no sender: receivers check the name of our greeting then (RFC 7208 §2.4). */
function helo({ hostname, domain, otherSources }: Site): readonly PublishedRecord[] {
  // The record of the domain is about the host as well then.
  if (hostname === domain) return [];
  return [{
    name: hostname,
    type: "TXT",
    value: `v=spf1 a${otherSources.map(ipMechanism).join("")} -all`,
    purpose: "SPF for the name in our greeting, which counts for reports (RFC 7208 §2.4)",
    importance: "recommended",
  }];
}

/** ` ip4:192.0.2.1` or ` ip6:2001:db8::1`. */
export function ipMechanism(address: string): string {
  return ` ip${address.includes(":") ? 6 : 4}:${address}`;
}

/** `3 1 1`: the key, whoever signed it (RFC 7671 §5.1, RFC 7672 §3.1.1). */
function tlsaOf({ hostname, certificate }: Site): Pick<RecordSection, "records" | "remarks"> {
  if (certificate.kind === "none") {
    return { records: [], remarks: [`There is no TLSA record (DANE), because ${certificate.reason}.`] };
  }
  const remark =
    "The TLSA record (DANE) counts where the zone is signed (DNSSEC), and then it must always fit the key: keep " +
    "the key when the certificate is renewed (certbot: --reuse-key), and publish a new one two days before it is used. " +
    "Otherwise servers that keep to DANE stop sending. So it is a remark here.";
  const record: PublishedRecord = {
    name: `_25._tcp.${hostname}`,
    type: "TLSA",
    value: `3 1 1 ${certificate.keyHash}`,
    purpose: "the key of our certificate, for DANE (RFC 7672)",
    importance: "optional",
  };
  return { records: [record], remarks: [remark] };
}
