/** Keys and certificates as PEM. */

/** Formats DER as PEM, 64 characters a line (RFC 7468 §2). */
export function toPem(label: string, octets: Uint8Array): string {
  const lines = octets.toBase64().match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/** The blocks of a PEM file that are certificates, in their order; whatever stands around them is left out. */
export function pemCertificates(text: string): readonly string[] {
  return text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}
