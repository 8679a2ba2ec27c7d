/** The certificates that the server shows, chosen by the name the client asks for. Replaced as a whole on reload. */

import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Logger } from "../log/logger.ts";
import type { CertificateFiles } from "../config/config.ts";
import { CertificateError } from "./certificate_error.ts";
import { type ClientAuthorities, parseClientAuthorities } from "./client_authorities.ts";
import { pemCertificates } from "./pem_file.ts";
import type { CertificatePair } from "./self_signed.ts";
import { serverEndPoint } from "./server_end_point.ts";

/** One certificate chain with its key, checked. */
export interface Certificate extends CertificatePair {
  /** Lower-case DNS names of the leaf; may begin with `*.`. */
  readonly names: readonly string[];
  /** Wall clock, milliseconds. */
  readonly notBeforeMs: number;
  /** Wall clock, milliseconds. */
  readonly notAfterMs: number;
  /** Chain and key as `node:tls` takes them; TLS 1.2 is the lowest version (RFC 8997). */
  readonly secureContext: SecureContext;
  /**
   * The same for connections on which a client certificate is asked for; absent without `tls.client_ca`. A context of its
   * own because Deno sends these authorities along with the chain.
   */
  readonly requestingContext?: SecureContext;
  /** The channel binding of connections on which it is shown (RFC 5929 §4); undefined where that is not defined. */
  readonly serverEndPoint?: Uint8Array;
}

/** Where certificates come from, and who hears about those that end soon. */
export interface LoadOptions {
  /** Reads a text file; rejects with the errors of Deno. */
  readonly read: (path: string) => Promise<string>;
  /** PEM file of the authorities whose client certificates count (`tls.client_ca`). */
  readonly clientCa?: string | undefined;
  /** Those in use until now: clients that they know can resume their sessions. */
  readonly previous?: Certificates | undefined;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
  /** Gets a warning for each certificate that ends within 14 days. */
  readonly logger: Logger;
}

const DAY_MS = 86_400_000;
/** ACME clients renew 30 days before the end: at 14, renewal has failed for two weeks. */
const WARN_BEFORE_MS = 14 * DAY_MS;

/** All certificates of the server; at least one. */
export class Certificates {
  /** In the order of the configuration. */
  readonly all: readonly Certificate[];
  /** Whose client certificates count; undefined where none are asked for. */
  readonly clientAuthorities?: ClientAuthorities;
  readonly #default: Certificate;
  readonly #exact = new Map<string, Certificate>();
  readonly #wildcard = new Map<string, Certificate>();

  /** Takes the certificates in order of preference; the first is the default. */
  constructor(all: readonly [Certificate, ...Certificate[]], clientAuthorities?: ClientAuthorities) {
    this.all = all;
    if (clientAuthorities !== undefined) this.clientAuthorities = clientAuthorities;
    this.#default = all[0];
    for (const certificate of all) {
      for (const name of certificate.names) {
        const [names, key] = name.startsWith("*.") ? [this.#wildcard, name.slice(2)] : [this.#exact, name];
        if (!names.has(key)) names.set(key, certificate);
      }
    }
  }

  /**
   * Chooses by the name that the client asked for (SNI): the exact name, then a wildcard for its leftmost label, then the
   * first certificate. Of two for one name, e.g. RSA and ECDSA, the first is shown to everybody: the runtime tells the name
   * before it tells what signatures the client understands. Mail clients that ask for a name we do not know get that one and judge themselves (RFC 6066 §3).
   *
   * @see RFC 9525 §6.3 (RFC 6125 §6.4.3)
   */
  select(serverName: string | undefined): Certificate {
    if (serverName === undefined) return this.#default;
    const name = serverName.toLowerCase().replace(/\.$/, "");
    const parent = name.slice(name.indexOf(".") + 1);
    return this.#exact.get(name) ?? (parent === name ? undefined : this.#wildcard.get(parent)) ?? this.#default;
  }
}

/**
 * Reads and checks the certificates of the configuration.
 *
 * @throws {CertificateError} For the first one that cannot be read or does not fit its key.
 */
export async function loadCertificates(
  files: readonly [CertificateFiles, ...CertificateFiles[]],
  { read, clientCa, previous, now, logger }: LoadOptions,
): Promise<Certificates> {
  const authorities = clientCa === undefined ? undefined : await loadClientAuthorities(clientCa, { read, now });
  authorities?.takeOver(previous?.clientAuthorities);
  const load = async ({ chain, key }: CertificateFiles): Promise<Certificate> => {
    const readOwn = (path: string, what: string): Promise<string> => readPem(path, what, "tls.certificates", read);
    const pair = { chain: await readOwn(chain, "certificate"), key: await readOwn(key, "key") };
    const certificate = parseCertificate(pair, { chain, key }, authorities?.pem);
    checkDates(certificate, chain, now(), logger);
    return certificate;
  };
  const [first, ...rest] = files;
  return new Certificates([await load(first), ...await Promise.all(rest.map(load))], authorities);
}

/**
 * Reads the authorities whose client certificates count (`tls.client_ca`).
 *
 * @throws {CertificateError}
 */
export async function loadClientAuthorities(
  file: string,
  { read, now }: Pick<LoadOptions, "read" | "now">,
): Promise<ClientAuthorities> {
  return parseClientAuthorities(await readPem(file, "client authorities", "tls.client_ca", read), file, now);
}

/**
 * Parses a certificate chain and its key, and checks that they belong together. Dates are not looked at.
 *
 * @param files The names to use in errors.
 * @param clientCa PEM of the authorities that client certificates are asked of.
 * @throws {CertificateError}
 */
export function parseCertificate(pair: CertificatePair, files: CertificateFiles, clientCa?: string): Certificate {
  const leaf = parseLeaf(pair.chain, files.chain);
  const key = parseKey(pair.key, files.key);
  if (!publicKeyOf(createPublicKey(key)).equals(publicKeyOf(leaf.publicKey))) {
    const mend =
      "give the key that the certificate was made for; in the chain file the server's own certificate comes first";
    throw new CertificateError(
      files.key,
      `Cannot use key "${files.key}": it does not fit certificate "${files.chain}"; ${mend}`,
    );
  }
  const binding = serverEndPoint(leafOctets(pair.chain));
  return {
    ...pair,
    names: namesOf(leaf),
    notBeforeMs: Date.parse(leaf.validFrom),
    notAfterMs: Date.parse(leaf.validTo),
    secureContext: makeContext(pair, files),
    ...(clientCa === undefined ? {} : { requestingContext: makeContext(pair, files, clientCa) }),
    ...(binding === undefined ? {} : { serverEndPoint: binding }),
  };
}

async function readPem(path: string, what: string, key: string, read: LoadOptions["read"]): Promise<string> {
  try {
    return await read(path);
  } catch (error) {
    const [reason, mend] = error instanceof Deno.errors.NotFound
      ? ["no such file", `correct ${key} in the configuration`]
      : error instanceof Deno.errors.PermissionDenied
      ? ["permission denied", "let the user that posthorn runs as read it"]
      : [error instanceof Error ? error.message : String(error), "check the file"];
    throw new CertificateError(path, `Cannot read ${what} "${path}": ${reason}; ${mend}`, { cause: error });
  }
}

/** The first block of a chain file, and what is in it. */
const LEAF = /-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/;

/** The leaf in DER; of a chain that `parseLeaf` takes. Deno 2.5 does not have `X509Certificate.raw`. */
function leafOctets(chain: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(LEAF.exec(chain)?.[1] ?? ""), (character) => character.charCodeAt(0));
}

function parseLeaf(chain: string, file: string): X509Certificate {
  // X509Certificate takes the first block; Let's Encrypt's fullchain.pem has the leaf there (RFC 8446 §4.4.2 wants it so).
  const [block] = pemCertificates(chain);
  try {
    if (block !== undefined) return new X509Certificate(block);
  } catch (error) {
    throw new CertificateError(
      file,
      `Cannot parse certificate "${file}": its PEM block is broken; copy the file again`,
      {
        cause: error,
      },
    );
  }
  const mend = 'it must hold a block "-----BEGIN CERTIFICATE-----"';
  throw new CertificateError(file, `Cannot parse certificate "${file}": no PEM certificate found; ${mend}`);
}

function parseKey(pem: string, file: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    const [reason, mend] = /ENCRYPTED/.test(pem)
      ? ["it is protected by a passphrase", 'remove that with "openssl pkey -in KEY -out NEWKEY"']
      : ["no PEM private key found", 'it must hold a block "-----BEGIN PRIVATE KEY-----"'];
    throw new CertificateError(file, `Cannot parse key "${file}": ${reason}; ${mend}`, { cause: error });
  }
}

function makeContext(pair: CertificatePair, files: CertificateFiles, ca?: string): SecureContext {
  const { chain: cert, key } = pair;
  try {
    return createSecureContext({ cert, key, ...(ca === undefined ? {} : { ca }), minVersion: "TLSv1.2" });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CertificateError(files.chain, `Cannot use certificate "${files.chain}": ${reason}`, { cause: error });
  }
}

/** Says what is wrong with the dates. A server with an old certificate still takes mail from everybody who does not check. */
function checkDates(certificate: Certificate, file: string, nowMs: number, logger: Logger): void {
  const notBefore = new Date(certificate.notBeforeMs).toISOString();
  const notAfter = new Date(certificate.notAfterMs).toISOString();
  if (nowMs < certificate.notBeforeMs) {
    logger.error("Certificate {file} is not valid before {notBefore}: check the clock", { file, notBefore });
  } else if (nowMs >= certificate.notAfterMs) {
    logger.error("Certificate {file} ended on {notAfter}: renew it, clients that check it refuse it", {
      file,
      notAfter,
    });
  } else if (certificate.notAfterMs - nowMs < WARN_BEFORE_MS) {
    const days = Math.floor((certificate.notAfterMs - nowMs) / DAY_MS);
    logger.warning("Certificate {file} ends in {days} days, on {notAfter}: renew it", { file, days, notAfter });
  }
}

/** DNS names in subjectAltName; Deno before 2.8 does not read that, and there the common name stands in. */
function namesOf(leaf: X509Certificate): readonly string[] {
  const alternatives = leaf.subjectAltName as string | undefined;
  if (alternatives === undefined) {
    return [...leaf.subject.matchAll(/(?:^|[\n,]\s*)CN=([^\n,]+)/g)].map((match) => lower(match[1]));
  }
  return [...alternatives.matchAll(/(?:^|, )DNS:([^,"]+)/g)].map((match) => lower(match[1]));
}

function lower(name = ""): string {
  return name.trim().toLowerCase();
}

/** SubjectPublicKeyInfo. Stands in for `checkPrivateKey`, which Deno before 2.8 does not have. */
function publicKeyOf(key: KeyObject): { equals(other: Uint8Array): boolean } & Uint8Array {
  return key.export({ type: "spki", format: "der" });
}
