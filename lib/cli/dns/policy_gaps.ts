/** MTA-STS policies that are configured, and that nobody could fetch or believe. */

import type { Config } from "../../config/config.ts";
import { stsHost } from "../../publish/sts_policy.ts";
import type { Certificates } from "../../tls/certificates.ts";

/** Whether clients that ask for `mta-sts.DOMAIN` get a certificate that names it. */
export function coversPolicyHost(certificates: Certificates, domain: string): boolean {
  const host = stsHost(domain);
  const { names } = certificates.select(host);
  return names.includes(host) || names.includes(`*.${domain}`);
}

/** A sentence for each domain whose policy is given away by nobody, or under a certificate for other names. */
export function policyGaps({ domains, listeners }: Config, certificates: Certificates | undefined): readonly string[] {
  const web = listeners.filter(({ service }) => service === "web");
  const needsCertificate = web.some(({ tls }) => tls === "implicit");
  return [...domains.values()].flatMap(({ name, mtaSts }): readonly string[] => {
    if (mtaSts === undefined) return [];
    const host = stsHost(name);
    if (web.length === 0) {
      return [`No listener of service web gives away the MTA-STS policy of ${name}: a proxy has to`];
    }
    if (!needsCertificate || (certificates !== undefined && coversPolicyHost(certificates, name))) return [];
    return [
      `No certificate of tls.certificates names ${host}: other servers will not believe the MTA-STS policy of ${name}`,
    ];
  });
}
