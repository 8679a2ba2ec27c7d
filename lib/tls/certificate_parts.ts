/** Parts of a certificate that servers are recognised by, read from its DER (RFC 5280 §4.1). */

import { certificateParts, derInside, readExtensions, SUBJECT_ALT_NAME } from "./certificate_fields.ts";

/** GeneralName ::= CHOICE { ..., dNSName [2] IA5String, ... } */
const DNS_NAME = 0x82;
/** TBSCertificate ::= SEQUENCE { version [0] OPTIONAL, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, ... } */
const KEY_INFO_INDEX = 5;
const COMMON_NAME = [0x55, 0x04, 0x03];

/**
 * The subjectPublicKeyInfo as it stands in the certificate, tag and length included: what selector 1 of a TLSA record
 * is about (RFC 6698 §1.1).
 *
 * @param certificate DER. The result is a view of it.
 * @throws {RangeError} For what is no certificate.
 */
export function publicKeyInfo(certificate: Uint8Array): Uint8Array {
  const parts = certificateParts(certificate);
  const at = KEY_INFO_INDEX + (parts[0]?.tag === 0xa0 ? 1 : 0);
  const [before, info] = [parts[at - 1]?.content, parts[at]?.content];
  if (before === undefined || info === undefined) throw new RangeError("Cannot find the public key of a certificate");
  const start = before.byteOffset + before.length;
  return new Uint8Array(info.buffer, start, info.byteOffset + info.length - start);
}

/** The dNSName entries of subjectAltName in lower case, in their order; what is not printable ASCII is left out. @throws {RangeError} */
export function dnsNames(certificate: Uint8Array): readonly string[] {
  const extensions = readExtensions(certificateParts(certificate).find(({ tag }) => tag === 0xa3));
  return derInside(derInside(extensions.get(SUBJECT_ALT_NAME))[0])
    .filter(({ tag, content }) => tag === DNS_NAME && isPrintable(content))
    .map(({ content }) => asText(content));
}

/** The common names of the subject in lower case: what old certificates have instead of subjectAltName. @throws {RangeError} */
export function commonNames(certificate: Uint8Array): readonly string[] {
  const parts = certificateParts(certificate);
  const subject = parts[KEY_INFO_INDEX - 1 + (parts[0]?.tag === 0xa0 ? 1 : 0)];
  // Name ::= SEQUENCE OF SET OF SEQUENCE { type, value }
  return derInside(subject).flatMap((set) => derInside(set)).map((attribute) => derInside(attribute))
    .filter(([type, value]) =>
      type !== undefined && COMMON_NAME.every((octet, i) => type.content[i] === octet) &&
      type.content.length === COMMON_NAME.length && value !== undefined && isPrintable(value.content)
    )
    .map(([, value]) => asText(value?.content ?? new Uint8Array()));
}

function isPrintable(octets: Uint8Array): boolean {
  return octets.length > 0 && octets.length <= 255 && octets.every((octet) => octet > 0x20 && octet < 0x7f);
}

function asText(octets: Uint8Array): string {
  return String.fromCharCode(...octets).toLowerCase();
}
