/**
 * The channel binding `tls-server-end-point` (RFC 5929 §4): a hash of the certificate that the server showed, by which
 * both sides of a login know that nobody sits between them with a certificate of their own.
 *
 * It is the only binding there can be. `tls-exporter` (RFC 9266) needs `exportKeyingMaterial`, which the `node:tls` of
 * Deno does not have; `tls-unique` (RFC 5929 §3) needs the Finished messages, and what its `getFinished` gives is not
 * them (32 octets also in TLS 1.2, where they have 12).
 */

import { createHash } from "node:crypto";
import { type DerElement, derElements, derObjectIdentifier } from "./der.ts";

const RSA = "1.2.840.113549.1.1.";
const ECDSA = "1.2.840.10045.4.";
const NIST_HASH = "2.16.840.1.101.3.4.2.";
const RSASSA_PSS = `${RSA}10`;

/** Signature algorithms with the one hash function they use (RFC 8017 appendix A.2.4, RFC 5758 §3). */
const HASHES: ReadonlyMap<string, string> = new Map([
  [`${RSA}4`, "md5"],
  [`${RSA}5`, "sha1"],
  [`${RSA}14`, "sha224"],
  [`${RSA}11`, "sha256"],
  [`${RSA}12`, "sha384"],
  [`${RSA}13`, "sha512"],
  [`${ECDSA}1`, "sha1"],
  [`${ECDSA}3.1`, "sha224"],
  [`${ECDSA}3.2`, "sha256"],
  [`${ECDSA}3.3`, "sha384"],
  [`${ECDSA}3.4`, "sha512"],
  // Not signatures, but the hash functions that RSASSA-PSS names in its parameters (RFC 4055 §2.1).
  ["1.3.14.3.2.26", "sha1"],
  [`${NIST_HASH}4`, "sha224"],
  [`${NIST_HASH}1`, "sha256"],
  [`${NIST_HASH}2`, "sha384"],
  [`${NIST_HASH}3`, "sha512"],
]);

/**
 * Hashes a certificate with the hash function of its own signature; SHA-256 in place of MD5 and SHA-1.
 *
 * @param certificate The leaf that was shown, DER.
 * @returns Undefined where the signature has no hash function of its own, as Ed25519: the binding is not defined there.
 * @see RFC 5929 §4.1
 */
export function serverEndPoint(certificate: Uint8Array): Uint8Array | undefined {
  const hash = signatureHash(certificate);
  if (hash === undefined) return undefined;
  const strong = hash === "md5" || hash === "sha1" ? "sha256" : hash;
  return new Uint8Array(createHash(strong).update(certificate).digest());
}

/** Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue } (RFC 5280 §4.1). */
function signatureHash(certificate: Uint8Array): string | undefined {
  try {
    const [, algorithm] = inside(derElements(certificate)[0]);
    const [identifier, parameters] = inside(algorithm);
    const id = identifierOf(identifier);
    return id === RSASSA_PSS ? pssHash(parameters) : HASHES.get(id);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0] AlgorithmIdentifier DEFAULT sha1, ... } (RFC 4055 §3.1). */
function pssHash(parameters: DerElement | undefined): string | undefined {
  const hashAlgorithm = inside(parameters).find(({ tag }) => tag === 0xa0);
  if (hashAlgorithm === undefined) return "sha1";
  return HASHES.get(identifierOf(inside(inside(hashAlgorithm)[0])[0]));
}

function inside(element: DerElement | undefined): readonly DerElement[] {
  return element === undefined ? [] : derElements(element.content);
}

function identifierOf(element: DerElement | undefined): string {
  return element?.tag === 0x06 ? derObjectIdentifier(element.content) : "";
}
