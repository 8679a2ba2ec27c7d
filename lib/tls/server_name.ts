/** Whether a server's certificate is for a name (RFC 9525 §6.3). */

import { commonNames, dnsNames } from "./certificate_parts.ts";

/**
 * True where a certificate names this host: a dNSName of its subjectAltName, or, only where it has none, a common name of
 * the subject (RFC 7672 §3.2.3). A wildcard stands for the whole leftmost label.
 *
 * @param certificate DER.
 * @param host A-label form, lower case, without final dot.
 */
export function namesServer(certificate: Uint8Array, host: string): boolean {
  const names = readNames(certificate);
  const parent = host.includes(".") ? `*${host.slice(host.indexOf("."))}` : undefined;
  return names.some((name) => name === host || (parent !== undefined && name === parent));
}

function readNames(certificate: Uint8Array): readonly string[] {
  try {
    const names = dnsNames(certificate);
    return names.length > 0 ? names : commonNames(certificate);
  } catch (error) {
    if (error instanceof RangeError) return [];
    throw error;
  }
}
