/** The fields of a certificate that `X509Certificate` of some runtimes does not give, read from its DER (RFC 5280 §4.1). */

import { type DerElement, derElements, derObjectIdentifier } from "./der.ts";

/** What the checks of client certificates look at. */
export interface CertificateFields {
  /** 1, 2 or 3. Extensions are there in version 3 only. */
  readonly version: number;
  /** basicConstraints: it may stand above others in a chain. */
  readonly isAuthority: boolean;
  /** How many authorities may stand between it and the leaf; undefined without a limit. */
  readonly pathLength?: number;
  /** keyUsage has keyCertSign, or there is no keyUsage. */
  readonly maySign: boolean;
  /** extKeyUsage as object identifiers; undefined without that extension: for every purpose. */
  readonly purposes?: readonly string[];
  /** The rfc822Name entries of subjectAltName, in their order; those that are not ASCII are left out (§4.2.1.6). */
  readonly emails: readonly string[];
}

/** The extension subjectAltName (§4.2.1.6). */
export const SUBJECT_ALT_NAME = "2.5.29.17";
const BASIC_CONSTRAINTS = "2.5.29.19";
const KEY_USAGE = "2.5.29.15";
const EXTENDED_KEY_USAGE = "2.5.29.37";

/** GeneralName ::= CHOICE { ..., rfc822Name [1] IA5String, ... } */
const RFC822_NAME = 0x81;

/**
 * Reads them.
 *
 * @param certificate DER.
 * @throws {RangeError} For what is not a certificate.
 */
export function certificateFields(certificate: Uint8Array): CertificateFields {
  const parts = certificateParts(certificate);
  const version = derInside(parts.find(({ tag }) => tag === 0xa0))[0];
  const extensions = readExtensions(parts.find(({ tag }) => tag === 0xa3));
  const constraints = derInside(derInside(extensions.get(BASIC_CONSTRAINTS))[0]);
  const pathLength = constraints.find(({ tag }) => tag === 0x02)?.content.at(-1);
  const keyUsage = derInside(extensions.get(KEY_USAGE))[0]?.content;
  const purposes = derInside(extensions.get(EXTENDED_KEY_USAGE))[0];
  return {
    version: (version?.content[0] ?? 0) + 1,
    isAuthority: constraints.some(({ tag, content }) => tag === 0x01 && content[0] === 0xff),
    ...(pathLength === undefined ? {} : { pathLength }),
    // BIT STRING: the number of unused bits, then digitalSignature (0x80) down to keyCertSign (0x04).
    maySign: keyUsage === undefined || ((keyUsage[1] ?? 0) & 0x04) !== 0,
    ...(purposes === undefined
      ? {}
      : { purposes: derInside(purposes).map(({ content }) => derObjectIdentifier(content)) }),
    emails: derInside(derInside(extensions.get(SUBJECT_ALT_NAME))[0])
      .filter(({ tag, content }) => tag === RFC822_NAME && content.every((octet) => octet > 0x20 && octet < 0x7f))
      .map(({ content }) => String.fromCharCode(...content)),
  };
}

/** The parts of TBSCertificate. @throws {RangeError} */
export function certificateParts(certificate: Uint8Array): readonly DerElement[] {
  const [outer] = derElements(certificate);
  const [body] = derInside(outer);
  return derInside(body);
}

/** Extension ::= SEQUENCE { extnID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }; the values by identifier. */
export function readExtensions(extensions: DerElement | undefined): ReadonlyMap<string, DerElement> {
  const values = new Map<string, DerElement>();
  for (const extension of derInside(derInside(extensions)[0])) {
    const [id, ...rest] = derInside(extension);
    const value = rest.at(-1);
    if (id?.tag === 0x06 && value?.tag === 0x04) values.set(derObjectIdentifier(id.content), value);
  }
  return values;
}

/** The elements in an element; none where there is none. @throws {RangeError} */
export function derInside(element: DerElement | undefined): readonly DerElement[] {
  return element === undefined ? [] : derElements(element.content);
}
