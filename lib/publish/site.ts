/** What the records of a domain are made from: facts about this server, as far as they can be known here. */

import type { OwnStsPolicy } from "./sts_policy.ts";

/** The facts about one of our domains. */
export interface Site {
  /** A-label form, lower case. */
  readonly domain: string;
  /** The domain that it is another name of. */
  readonly aliasOf?: string;
  /** Our name, A-label form, lower case. */
  readonly hostname: string;
  /** The hosts that take its mail, preferred first. */
  readonly hosts: readonly string[];
  /** The addresses that `hostname` leads to; none where this machine does not know them, as behind NAT. */
  readonly addresses: readonly string[];
  /** Addresses that mail leaves from, and that are none of `addresses`. */
  readonly otherSources: readonly string[];
  /** The server that mail for others goes through; absent: it goes to MX hosts. */
  readonly smarthost?: string;
  /** Whether the records of `hostname` itself are printed here: it is in no other domain of ours. */
  readonly hasHostRecords: boolean;
  /** Keys that sign its mail, the configured ones first. */
  readonly dkimKeys: readonly SiteKey[];
  /** Ports where users submit mail, of listeners that others can reach. */
  readonly submission: { readonly starttls?: number; readonly implicit?: number };
  /** Whether a listener takes mail on port 25, the only one that servers use (RFC 5321 §4.5.4.2 leaves no other). */
  readonly takesMailOnPort25: boolean;
  /** Absent: none is configured. */
  readonly sts?: SitePolicy;
  /** The key of the certificate that servers get to see. */
  readonly certificate: SiteCertificate;
  /** Where reports about the domain go: a mailbox of it, or of another domain of ours. */
  readonly reportsTo: string;
  /** Other domains of ours whose reports come to a mailbox of this one, and that this one must agree to that for. */
  readonly reportsAlsoOn: readonly string[];
}

/** A DKIM key. */
export interface SiteKey {
  /** The label, or labels, in front of `_domainkey`. */
  readonly selector: string;
  /** The text of its record; absent: there is no such key yet. */
  readonly value?: string;
  /** Named in the configuration. */
  readonly isConfigured: boolean;
}

/** The MTA-STS policy, and whether it can be fetched. */
export interface SitePolicy extends OwnStsPolicy {
  /** A listener gives it away. */
  readonly isServed: boolean;
  /** The certificates that clients of `mta-sts.DOMAIN` get name that host; true where a proxy does the TLS. */
  readonly isCertified: boolean;
}

/** What a TLSA record can be made from. */
export type SiteCertificate =
  | {
    readonly kind: "key"; /** SHA-256 of its subjectPublicKeyInfo, hexadecimal. */
    readonly keyHash: string;
    /** Of the certificate, DER. */
    readonly certificate: Uint8Array;
  }
  | { readonly kind: "none"; /** The end of a sentence that begins with "because". */ readonly reason: string };
