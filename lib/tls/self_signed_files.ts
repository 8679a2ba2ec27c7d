/** The self-signed certificate of a server that has no other: kept in the data folder, so that clients may pin it. */

import type { Logger } from "../log/logger.ts";
import type { CertificateFiles } from "../config/config.ts";
import { type Files, writeDurable } from "../system/files.ts";
import { CertificateError } from "./certificate_error.ts";
import { type Certificate, parseCertificate } from "./certificates.ts";
import { makeSelfSigned } from "./self_signed.ts";

/** What `ensureSelfSigned` works with. */
export interface SelfSignedOptions {
  /** The keys folder, e.g. `data/keys`; made with mode 0700 where missing. */
  readonly folder: string;
  /** A-label form. */
  readonly hostname: string;
  /** Wall clock, milliseconds. */
  readonly nowMs: number;
  /** The file system. */
  readonly files: Files;
  /** Reads a text file. */
  readonly read: (path: string) => Promise<string>;
  /** Hears when a certificate is made, and why. */
  readonly logger: Logger;
}

/** A new one is made this long before the old one ends. */
const RENEW_BEFORE_MS = 30 * 86_400_000;

/**
 * Makes `self-signed.crt.pem` and `self-signed.key.pem` (0600), or keeps those that are there.
 *
 * New ones are made when the host name changed, when the old certificate ends within 30 days, and when the two files do
 * not fit each other (as after a crash between their renames).
 */
export async function ensureSelfSigned(options: SelfSignedOptions): Promise<CertificateFiles> {
  const { folder, hostname, nowMs, files, logger } = options;
  const paths = { chain: `${folder}/self-signed.crt.pem`, key: `${folder}/self-signed.key.pem` };
  const reason = whyNew(await readExisting(paths, options.read), options);
  if (reason === undefined) return paths;
  const pair = await makeSelfSigned(hostname, nowMs);
  await files.makeFolder(folder, 0o700);
  await writeDurable(files, paths.key, pair.key, { mode: 0o600, replace: true });
  await writeDurable(files, paths.chain, pair.chain, { mode: 0o644, replace: true });
  logger.info("Made self-signed certificate {file} for {hostname}: {reason}", { file: paths.chain, hostname, reason });
  return paths;
}

function whyNew(existing: Certificate | string, { hostname, nowMs }: SelfSignedOptions): string | undefined {
  if (typeof existing === "string") return existing;
  if (!existing.names.includes(hostname.toLowerCase())) return "the host name changed";
  if (nowMs < existing.notBeforeMs) return "the old one is not valid yet";
  if (nowMs > existing.notAfterMs - RENEW_BEFORE_MS) return "the old one ends";
  return undefined;
}

/** The certificate on disk, or why there is none to use. */
async function readExisting(
  paths: CertificateFiles,
  read: (path: string) => Promise<string>,
): Promise<Certificate | string> {
  try {
    return parseCertificate({ chain: await read(paths.chain), key: await read(paths.key) }, paths);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "none is configured";
    if (error instanceof CertificateError) return "the old one cannot be used";
    throw error;
  }
}
