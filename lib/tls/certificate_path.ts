/** The single steps of checking a certificate path (RFC 5280 §6.1); who walks it decides where it may end. */

import { X509Certificate } from "node:crypto";
import { type CertificateFields, certificateFields } from "./certificate_fields.ts";

/** A certificate that could be read. */
export interface ParsedCertificate {
  /** As the runtime reads it. */
  readonly x509: X509Certificate;
  /** What the runtime does not give. */
  readonly fields: CertificateFields;
}

/** Reads DER; undefined for what is no certificate. */
export function parseCertificate(der: Uint8Array): ParsedCertificate | undefined {
  try {
    const x509 = new X509Certificate(der);
    return { x509, fields: certificateFields(x509.raw) };
  } catch {
    return undefined;
  }
}

/**
 * True for an authority that may stand above a path.
 *
 * @param intermediates Authorities between it and the leaf.
 * @see RFC 5280 §6.1.4 (k) to (n)
 */
export function mayIssue({ fields }: ParsedCertificate, intermediates: number): boolean {
  const { version, isAuthority, maySign, pathLength = Infinity } = fields;
  return version === 3 && isAuthority && maySign && intermediates <= pathLength;
}

/** True where the names fit, and the signature on `below` is that of the authority. */
export function issued({ x509 }: ParsedCertificate, below: X509Certificate): boolean {
  try {
    return below.checkIssued(x509) && below.verify(x509.publicKey);
  } catch {
    // A kind of key or signature that the runtime does not know.
    return false;
  }
}

/** Why it is not valid at this time (milliseconds since 1970), as the end of a sentence; undefined where it is. */
export function validityProblem({ validFrom, validTo }: X509Certificate, nowMs: number): string | undefined {
  if (!(nowMs >= Date.parse(validFrom))) return `is not valid before ${validFrom}`;
  if (!(nowMs <= Date.parse(validTo))) return `ended on ${validTo}`;
  return undefined;
}
