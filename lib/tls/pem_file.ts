/** Keys and certificates as PEM. */

/** Formats DER as PEM, 64 characters a line (RFC 7468 §2). */
export function toPem(label: string, octets: Uint8Array): string {
  const lines = octets.toBase64().match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
