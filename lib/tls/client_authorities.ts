/**
 * The authorities whose client certificates count, and the check of a certificate against them.
 *
 * The TLS library checks as well, and both must agree. Its word alone is not enough: on a resumed session it does not
 * check again, and a report to its makers says that it does not prove the key of a version 1 certificate.
 */

import { createHash, X509Certificate } from "node:crypto";
import { CertificateError } from "./certificate_error.ts";
import { issued, mayIssue, parseCertificate, type ParsedCertificate, validityProblem } from "./certificate_path.ts";
import { pemCertificates } from "./pem_file.ts";
import type { ClientCertificate } from "./tls_conn.ts";

/** What a client showed in its handshake. */
export interface PresentedCertificates {
  /** DER; its own certificate first. At least one. */
  readonly chain: readonly [Uint8Array, ...Uint8Array[]];
  /** What the TLS library found wrong; empty: nothing. */
  readonly libraryError: string;
  /** The handshake resumed an earlier session: neither the chain nor the possession of the key was checked in it. */
  readonly isResumed: boolean;
}

/** Whether a certificate counts. */
export type Verification =
  | { readonly kind: "verified"; readonly certificate: ClientCertificate }
  /** Why not, in a few words, fit for a log line. */
  | { readonly kind: "refused"; readonly reason: string };

/** Authorities between the leaf and one of ours; real chains have one or two. */
const MAX_INTERMEDIATES = 5;
/** More than the sessions that the TLS library keeps for resumption. */
const MAX_PROVEN = 1000;
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** The content of `tls.client_ca`. */
export class ClientAuthorities {
  /** PEM, as the TLS library takes it. */
  readonly pem: string;
  readonly #anchors: readonly ParsedCertificate[];
  readonly #now: () => number;
  /** Fingerprints of certificates that passed everything in a full handshake, the latest last. */
  readonly #proven = new Set<string>();

  /** Use `parseClientAuthorities`. */
  constructor(pem: string, anchors: readonly ParsedCertificate[], now: () => number) {
    this.pem = pem;
    this.#anchors = anchors;
    this.#now = now;
  }

  /**
   * Checks a client's certificate: signatures up to one of the authorities, validity in time, basicConstraints, keyUsage,
   * clientAuth where there is extKeyUsage. Revocation lists and OCSP are not asked.
   *
   * @see RFC 5280 §6.1
   */
  verify({ chain, libraryError, isResumed }: PresentedCertificates): Verification {
    const sha256 = createHash("sha256").update(chain[0]).digest("hex");
    const [leaf, ...others] = chain.slice(0, MAX_INTERMEDIATES + 2).map(parseCertificate);
    if (leaf === undefined) return { kind: "refused", reason: "it cannot be read" };
    const reason = this.#problemOf(leaf, others.filter((other) => other !== undefined)) ??
      (libraryError === "" ? undefined : `the TLS library finds ${libraryError.replace(/[^A-Z0-9_]/gi, "")}`) ??
      (isResumed && !this.#proven.has(sha256) ? "its TLS session was resumed and is not known" : undefined);
    if (reason !== undefined) return { kind: "refused", reason };
    this.#remember(sha256);
    const subject = leaf.x509.subject.split("\n").join(", ").replace(/[^\x20-\x7e]/g, "?").slice(0, 200);
    return { kind: "verified", certificate: { subject, sha256, emails: leaf.fields.emails } };
  }

  /** Takes over whom others have seen to own their certificates; whether these count is checked anew each time. */
  takeOver(previous: ClientAuthorities | undefined): void {
    if (previous === undefined) return;
    for (const sha256 of previous.#proven) this.#remember(sha256);
  }

  #problemOf(leaf: ParsedCertificate, others: readonly ParsedCertificate[]): string | undefined {
    if (leaf.fields.version !== 3) return "it is of X.509 version 1";
    if (leaf.fields.purposes?.includes(CLIENT_AUTH) === false) return "it is not for TLS clients (extKeyUsage)";
    let current = leaf;
    for (let intermediates = 0; intermediates <= MAX_INTERMEDIATES; intermediates++) {
      const problem = validityProblem(current.x509, this.#now());
      if (problem !== undefined) return current === leaf ? `it ${problem}` : `an authority in its chain ${problem}`;
      const { x509 } = current;
      // A certificate that stands in the file itself needs no other above it.
      if (this.#anchors.some((anchor) => anchor.x509.raw.equals(x509.raw))) return undefined;
      if (this.#anchors.some((anchor) => mayIssue(anchor, intermediates) && issued(anchor, x509))) return undefined;
      const next = others.find((other) => mayIssue(other, intermediates) && issued(other, x509));
      if (next === undefined) return "no authority of tls.client_ca issued it";
      current = next;
    }
    return "its chain is too long";
  }

  #remember(sha256: string): void {
    this.#proven.delete(sha256);
    this.#proven.add(sha256);
    for (const oldest of this.#proven) {
      if (this.#proven.size <= MAX_PROVEN) break;
      this.#proven.delete(oldest);
    }
  }
}

/**
 * Reads the authorities from PEM.
 *
 * @param now Wall clock, milliseconds.
 * @throws {CertificateError} Where the file has none, or one that cannot be used.
 */
export function parseClientAuthorities(pem: string, file: string, now: () => number): ClientAuthorities {
  const blocks = pemCertificates(pem);
  if (blocks.length === 0) {
    const mend = 'it must hold blocks "-----BEGIN CERTIFICATE-----"';
    throw new CertificateError(file, `Cannot use client authorities "${file}": no PEM certificate found; ${mend}`);
  }
  const anchors = blocks.map((block, i) => {
    const anchor = parsePem(block);
    const problem = anchor === undefined
      ? "is broken; copy the file again"
      : anchor.fields.version !== 3
      ? "is of X.509 version 1; make one of version 3 (openssl req -x509)"
      : undefined;
    if (anchor !== undefined && problem === undefined) return anchor;
    throw new CertificateError(file, `Cannot use client authorities "${file}": certificate ${i + 1} ${problem}`);
  });
  return new ClientAuthorities(pem, anchors, now);
}

function parsePem(pem: string): ParsedCertificate | undefined {
  try {
    return parseCertificate(new X509Certificate(pem).raw);
  } catch {
    return undefined;
  }
}
