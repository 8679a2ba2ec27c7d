/**
 * Self-signed certificates, so that a first start has TLS without any set-up.
 *
 * Writes just the DER that one certificate needs; a certificate library would bring some twenty packages for this one use.
 */

import { toPem } from "./pem_file.ts";

/** A certificate and its private key, both PEM. */
export interface CertificatePair {
  /** PEM of the certificate, or of a chain with the leaf first. */
  readonly chain: string;
  /** PEM of the private key (PKCS#8). */
  readonly key: string;
}

/** Validity of a self-signed certificate in days. Nobody checks it, so it should not run out on its own either. */
const VALIDITY_DAYS = 3650;
const DAY_MS = 86_400_000;

/**
 * Makes an EC P-256 key and a certificate for a host name, signed by that key itself.
 *
 * @param hostname A-label form; goes into subjectAltName, and into the common name where it fits (64 octets).
 * @param nowMs Wall clock. The certificate is valid from a day before, so that a peer whose clock is behind takes it.
 * @see RFC 5280 §4.1, RFC 5480, RFC 5758 §3.2
 */
export async function makeSelfSigned(hostname: string, nowMs: number): Promise<CertificatePair> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const publicKeyInfo = new Uint8Array(await crypto.subtle.exportKey("spki", keys.publicKey));
  const privateKey = new Uint8Array(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  const body = certificateBody(hostname, nowMs, publicKeyInfo);
  const rawSignature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, keys.privateKey, body);
  const signature = ecdsaSignature(new Uint8Array(rawSignature));
  const certificate = sequence(body, signatureAlgorithm(), bitString(signature));
  return { chain: toPem("CERTIFICATE", certificate), key: toPem("PRIVATE KEY", privateKey) };
}

/** TBSCertificate (RFC 5280 §4.1.2): version 3, issuer and subject the same. */
function certificateBody(hostname: string, nowMs: number, publicKeyInfo: Uint8Array): Uint8Array<ArrayBuffer> {
  const name = distinguishedName(hostname);
  return sequence(
    tagged(0xa0, integer(Uint8Array.of(2))),
    integer(serialNumber()),
    signatureAlgorithm(),
    name,
    sequence(time(nowMs - DAY_MS), time(nowMs + VALIDITY_DAYS * DAY_MS)),
    name,
    publicKeyInfo,
    tagged(0xa3, extensions(hostname)),
  );
}

/** Extensions that a TLS server certificate needs (RFC 5280 §4.2.1). */
function extensions(hostname: string): Uint8Array {
  const dnsName = tagged(0x82, ascii(hostname));
  const digitalSignature = tagged(0x03, Uint8Array.of(7, 0x80));
  return sequence(
    extension("2.5.29.17", false, sequence(dnsName)),
    extension("2.5.29.19", true, sequence()), // basicConstraints: cA is FALSE by default, and DER leaves a default out
    extension("2.5.29.15", true, digitalSignature),
    extension("2.5.29.37", false, sequence(objectIdentifier("1.3.6.1.5.5.7.3.1"))), // serverAuth
  );
}

function extension(id: string, critical: boolean, value: Uint8Array): Uint8Array {
  const flag = critical ? [tagged(0x01, Uint8Array.of(0xff))] : [];
  return sequence(objectIdentifier(id), ...flag, tagged(0x04, value));
}

/** CN=hostname, as UTF8String; a name above ub-common-name (64) stands in subjectAltName only. */
function distinguishedName(hostname: string): Uint8Array {
  const commonName = hostname.length <= 64 ? hostname : "posthorn";
  return sequence(tagged(0x31, sequence(objectIdentifier("2.5.4.3"), tagged(0x0c, ascii(commonName)))));
}

/** ecdsa-with-SHA256 (RFC 5758 §3.2), without parameters. */
function signatureAlgorithm(): Uint8Array {
  return sequence(objectIdentifier("1.2.840.10045.4.3.2"));
}

/** WebCrypto gives r and s side by side; X.509 wants a SEQUENCE of two INTEGERs (RFC 3279 §2.2.3). */
function ecdsaSignature(raw: Uint8Array): Uint8Array {
  const half = raw.length / 2;
  return sequence(integer(raw.subarray(0, half)), integer(raw.subarray(half)));
}

/** A positive random number of at most 20 octets (RFC 5280 §4.1.2.2). */
function serialNumber(): Uint8Array {
  const serial = crypto.getRandomValues(new Uint8Array(16));
  serial[0] = 0x40 | (serial[0] ?? 0) & 0x3f;
  return serial;
}

/** UTCTime up to the year 2049, GeneralizedTime from 2050 on (RFC 5280 §4.1.2.5). */
function time(ms: number): Uint8Array {
  const digits = new Date(ms).toISOString().slice(0, 19).replace(/[-:T]/g, "") + "Z";
  return digits < "2050" ? tagged(0x17, ascii(digits.slice(2))) : tagged(0x18, ascii(digits));
}

/** INTEGER from unsigned big-endian octets: no needless zeros in front, one where the top bit is set. */
function integer(magnitude: Uint8Array): Uint8Array {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const octets = magnitude.subarray(start);
  return tagged(0x02, ...((octets[0] ?? 0) & 0x80 ? [Uint8Array.of(0), octets] : [octets]));
}

function objectIdentifier(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const octets: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc & 0x7f];
    for (let left = arc >> 7; left > 0; left >>= 7) groups.unshift(left & 0x7f | 0x80);
    octets.push(...groups);
  }
  return tagged(0x06, Uint8Array.from(octets));
}

function bitString(octets: Uint8Array): Uint8Array {
  return tagged(0x03, Uint8Array.of(0), octets);
}

function sequence(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return tagged(0x30, ...parts);
}

/** One DER element: tag, length in the shortest form (X.690 §10.1), content. */
function tagged(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const header = length < 0x80
    ? [tag, length]
    : length < 0x100
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff];
  const element = new Uint8Array(header.length + length);
  element.set(header);
  let at = header.length;
  for (const part of parts) {
    element.set(part, at);
    at += part.length;
  }
  return element;
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
