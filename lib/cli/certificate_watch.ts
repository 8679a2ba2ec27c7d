/** Notices certificates that were renewed on disk: the next connection uses them, without a signal or a restart. */

import type { CertificateFiles } from "../config/config.ts";
import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";
import type { Files } from "../system/files.ts";
import { CertificateError } from "../tls/certificate_error.ts";
import { type Certificates, loadCertificates } from "../tls/certificates.ts";
import type { Live } from "./live.ts";

/** How often the files are looked at: two stat calls for each certificate, one for `tls.client_ca`. */
export const CERTIFICATE_CHECK_MS = 5_000;

/** Files may be looked at between the writing of the chain and that of its key: only what lasts is worth a log line. */
const CHECKS_BEFORE_LOG = 2;

/** What the watch works with. */
export interface CertificateWatchOptions {
  /** The configuration and the certificates in use now; a reload changes what it returns. */
  readonly live: () => Live;
  /** Takes certificates into use. */
  readonly use: (certificates: Certificates) => void;
  /** Tells whether a file changed. */
  readonly files: Pick<Files, "stat">;
  /** Reads a text file; rejects with the errors of Deno. */
  readonly read: (path: string) => Promise<string>;
  /** Its sleep is the pause between two looks, its wall clock judges validity. */
  readonly clock: Clock;
  /** Hears of renewed certificates, and once of broken ones. */
  readonly logger: Logger;
}

/** The files to look at. */
interface TlsFiles {
  readonly pairs: readonly [CertificateFiles, ...CertificateFiles[]];
  readonly clientCa: string | undefined;
}

/** What the files held: text, or the error of the attempt to read. */
type Contents = ReadonlyMap<string, string | Error>;

/** Looks at the files of the configuration until the signal comes. Never rejects. A self-signed one is not watched. */
export async function watchCertificates(options: CertificateWatchOptions, signal: AbortSignal): Promise<void> {
  const watch = new CertificateWatch(options);
  const sleep = (): Promise<boolean> => options.clock.sleep(CERTIFICATE_CHECK_MS, signal).then(() => true, () => false);
  while (await sleep()) await watch.check();
}

class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  /** The reading of the configuration, and the stamps of its files, that are known to be in use. */
  #settled: { readonly live: Live; readonly stamps: string } | undefined;
  /** What could not be used, and how often that was seen in a row. */
  #broken: { readonly fingerprint: string; readonly checks: number } | undefined;

  constructor(options: CertificateWatchOptions) {
    this.#options = options;
  }

  async check(): Promise<void> {
    const live = this.#options.live();
    const [first, ...others] = live.config.certificates;
    if (first === undefined) return;
    const files: TlsFiles = { pairs: [first, ...others], clientCa: live.config.clientCa };
    // The stamps are older than the contents: a change in between is seen at the next check.
    const stamps = await this.#stampsOf(files);
    if (this.#settled?.live === live && this.#settled.stamps === stamps) return;
    const contents = await this.#read(files);
    if (!isInUse(files, contents, live.certificates) && !await this.#take(files, contents, live)) return;
    this.#broken = undefined;
    this.#settled = { live: this.#options.live(), stamps };
  }

  /** Takes the contents into use; false where they are none to use, or a reload was faster. */
  async #take(
    files: TlsFiles,
    contents: Contents,
    live: Live,
  ): Promise<boolean> {
    const { clock, logger, use } = this.#options;
    const fingerprint = fingerprintOf(contents);
    const checks = this.#broken?.fingerprint === fingerprint ? this.#broken.checks : 0;
    if (checks >= CHECKS_BEFORE_LOG) return false;
    const read = (path: string): Promise<string> => {
      const content = contents.get(path);
      return typeof content === "string" ? Promise.resolve(content) : Promise.reject(content);
    };
    try {
      const certificates = await loadCertificates(files.pairs, {
        read,
        clientCa: files.clientCa,
        previous: live.certificates,
        now: () => clock.now(),
        logger,
      });
      if (this.#options.live() !== live) return false;
      use(certificates);
      logger.info("Certificates changed on disk; new connections get {files}", {
        files: files.pairs.map(({ chain }) => chain).join(", "),
      });
      return true;
    } catch (error) {
      this.#broken = { fingerprint, checks: checks + 1 };
      if (checks + 1 === CHECKS_BEFORE_LOG) this.#complain(error);
      return false;
    }
  }

  #complain(error: unknown): void {
    const { logger } = this.#options;
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof CertificateError && error.cause instanceof Deno.errors.PermissionDenied) {
      logger.info("{file} can be read as root only: a renewed certificate needs a restart", { file: error.file });
    } else logger.error("{reason}; the certificates in use stay", { reason });
  }

  async #stampsOf(files: TlsFiles): Promise<string> {
    const stamps = pathsOf(files).map(async (path) => {
      try {
        const { mtime, size } = await this.#options.files.stat(path);
        return `${path} ${mtime?.getTime()} ${size}`;
      } catch (error) {
        return `${path} ${error}`;
      }
    });
    return (await Promise.all(stamps)).join("\n");
  }

  async #read(files: TlsFiles): Promise<Contents> {
    const read = async (path: string): Promise<[string, string | Error]> => {
      try {
        return [path, await this.#options.read(path)];
      } catch (error) {
        return [path, error instanceof Error ? error : new Error(String(error))];
      }
    };
    return new Map(await Promise.all(pathsOf(files).map(read)));
  }
}

function pathsOf({ pairs, clientCa }: TlsFiles): string[] {
  return [...pairs.flatMap(({ chain, key }) => [chain, key]), ...(clientCa === undefined ? [] : [clientCa])];
}

function isInUse({ pairs, clientCa }: TlsFiles, contents: Contents, { all, clientAuthorities }: Certificates): boolean {
  return pairs.length === all.length &&
    pairs.every(({ chain, key }, i) => contents.get(chain) === all[i]?.chain && contents.get(key) === all[i]?.key) &&
    (clientCa === undefined ? undefined : contents.get(clientCa)) === clientAuthorities?.pem;
}

/** Never logged: it has the keys in it. */
function fingerprintOf(contents: Contents): string {
  return [...contents.values()].map((content) => `${content}`).join("\0");
}
