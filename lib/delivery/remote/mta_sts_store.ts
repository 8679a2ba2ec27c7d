/** Keeps MTA-STS policies on disk, one small file for each domain, so that a restart does not open a gap. */

import type { Logger } from "../../log/logger.ts";
import { type Files, parentOf, readSmallText, syncFolder, writeDurable } from "../../system/files.ts";
import { parseStsPolicy, type StsPolicy } from "./mta_sts_policy.ts";

/** A policy with what is to be known of its age. */
export interface KeptPolicy {
  /** Of the TXT record that led to it. */
  readonly id: string;
  /** Wall clock, milliseconds since 1970. */
  readonly fetchedMs: number;
  /** What it says. */
  readonly policy: StsPolicy;
}

/** What the store needs. */
export interface StsStoreOptions {
  /** Where the folder is. */
  readonly files: Files;
  /** Made when the first policy is kept. */
  readonly folder: string;
  /** Told of files that cannot be read or written. */
  readonly logger: Logger;
  /** Files; the domain whose policy was written longest ago loses its file first. Default: 10000. */
  readonly maxPolicies?: number;
}

/** No policy file is longer: the policy itself is bounded by 64 KiB. */
const MAX_FILE_OCTETS = 256 * 1024;
/** A domain in A-labels is a safe name for a file. */
const SAFE_NAME = /^[a-z0-9_][a-z0-9_.-]{0,250}$/;

/** Policies by domain. Losing them costs nothing but the protection until they are fetched again. */
export class StsStore {
  readonly #options: Required<StsStoreOptions>;
  /** Domains that have a file, in the order of writing; undefined: not looked yet. */
  #domains: Promise<Set<string>> | undefined;
  #isMade = false;
  /** One write at a time. */
  #writing: Promise<void> = Promise.resolve();

  /** Touches nothing yet. */
  constructor(options: StsStoreOptions) {
    this.#options = { maxPolicies: 10_000, ...options };
  }

  /** The policy on disk, whatever its age. */
  async load(domain: string): Promise<KeptPolicy | undefined> {
    if (!(await this.#known()).has(domain)) return undefined;
    const path = this.#path(domain);
    try {
      return parseKept(await readSmallText(this.#options.files, path, MAX_FILE_OCTETS));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      this.#options.logger.warning("Cannot read the MTA-STS policy {path}, fetching it anew: {error}", {
        path,
        error: error instanceof Error ? error.message : String(error),
      });
      return undefined;
    }
  }

  /** Writes a policy durably. A failure is logged: the policy then counts until the next restart. */
  save(domain: string, kept: KeptPolicy): Promise<void> {
    const writing = this.#writing.then(() => this.#write(domain, kept));
    this.#writing = writing;
    return writing;
  }

  async #write(domain: string, { id, fetchedMs, policy }: KeptPolicy): Promise<void> {
    if (!SAFE_NAME.test(domain)) return;
    const { files, logger, maxPolicies } = this.#options;
    const domains = await this.#known();
    const text = JSON.stringify({ id, fetched: new Date(fetchedMs).toISOString(), policy: policy.lines.join("\n") });
    try {
      await this.#makeFolder();
      await writeDurable(files, this.#path(domain), `${text}\n`, { mode: 0o600, replace: true });
      domains.delete(domain);
      domains.add(domain);
      for (const oldest of domains) {
        if (domains.size <= maxPolicies) break;
        domains.delete(oldest);
        await files.remove(this.#path(oldest));
      }
    } catch (error) {
      logger.warning("Cannot keep the MTA-STS policy of {domain}: {error}", {
        domain,
        error: error instanceof Error ? error.message : String(error),
      });
    }
  }

  async #makeFolder(): Promise<void> {
    if (this.#isMade) return;
    const { files, folder } = this.#options;
    await files.makeFolder(folder, 0o700);
    await syncFolder(files, parentOf(folder));
    this.#isMade = true;
  }

  #known(): Promise<Set<string>> {
    this.#domains ??= this.#list();
    return this.#domains;
  }

  async #list(): Promise<Set<string>> {
    const { files, folder, logger } = this.#options;
    const domains = new Set<string>();
    try {
      for await (const { name, isFile } of files.list(folder)) {
        const domain = name.replace(/\.json$/, "");
        if (isFile && domain !== name && SAFE_NAME.test(domain)) domains.add(domain);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) {
        logger.warning("Cannot read the MTA-STS policies in {folder}: {error}", {
          folder,
          error: error instanceof Error ? error.message : String(error),
        });
      }
    }
    return domains;
  }

  #path(domain: string): string {
    return `${this.#options.folder}/${domain}.json`;
  }
}

function parseKept(text: string): KeptPolicy {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null) throw new TypeError("not a JSON object");
  const { id, fetched, policy }: { id?: unknown; fetched?: unknown; policy?: unknown } = value;
  if (typeof id !== "string" || typeof fetched !== "string" || typeof policy !== "string") {
    throw new TypeError("a field is missing");
  }
  const fetchedMs = Date.parse(fetched);
  const reading = parseStsPolicy(policy);
  if (reading.kind === "invalid") throw new TypeError(reading.reason);
  if (Number.isNaN(fetchedMs)) throw new TypeError("its time is malformed");
  return { id, fetchedMs, policy: reading.policy };
}
