/**
 * What operators suspended: destinations and recipient domains that nothing is delivered to for the time being. It is kept
 * in the file `suspensions` of the spool folder, one JSON object a line, so that it outlives a restart.
 */

import { isIP } from "node:net";
import type { Logger } from "../log/logger.ts";
import { normalizeDomain } from "../mail/mailbox.ts";
import type { Clock } from "../system/clock.ts";
import { type Files, readSmallText, writeDurable } from "../system/files.ts";

/** One suspension. */
export interface Suspension {
  /** A destination, a recipient domain, `*.domain` (its subdomains) or `*` (all remote mail); see {@linkcode parsePattern}. */
  readonly pattern: string;
  /** Why, in the operator's words; may be empty. */
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
}

/** The suspensions of one spool. */
export interface SuspensionStore {
  /** All of them, oldest first. */
  list(): readonly Suspension[];
  /** Adds one; durable when it resolves. False where the pattern is suspended already: its reason stays. */
  add(pattern: string, reason: string): Promise<boolean>;
  /** Takes one back; durable when it resolves. False where there is none. */
  remove(pattern: string): Promise<boolean>;
  /**
   * The suspension that keeps mail from a destination or a recipient domain, the most exact one first. To be asked for
   * mail to other hosts only: `*` matches everything.
   */
  matches(destination: string, domain: string): Suspension | undefined;
}

/** A store that is empty, and stays so. */
export const NO_SUSPENSIONS: SuspensionStore = {
  list: () => [],
  add: () => Promise.resolve(false),
  remove: () => Promise.resolve(false),
  matches: () => undefined,
};

/** What a store is made of. */
export interface SuspensionStoreOptions {
  /** The file system. */
  readonly files: Files;
  /** The spool folder; the file is in it. */
  readonly folder: string;
  /** The time. */
  readonly clock: Pick<Clock, "now">;
  /** Hears of lines that cannot be understood. */
  readonly logger: Logger;
}

/** A file of more octets was not written by us. */
const MAX_FILE_OCTETS = 4 * 2 ** 20;
const MAX_PATTERN_LENGTH = 300;

/**
 * Reads a pattern as operators write it and gives its one spelling: lower case, domains as A-labels.
 *
 * @returns Undefined for what is neither a destination, nor a domain, `*.domain` or `*`.
 */
export function parsePattern(text: string): string | undefined {
  if (text === "*") return text;
  if (text === "" || text.length > MAX_PATTERN_LENGTH || /[\s\x00-\x1f\x7f]/.test(text)) return undefined;
  const [, star = "", name = ""] = /^(\*\.)?(.*)$/s.exec(text) ?? [];
  const domain = isIP(name) === 0 ? normalizeDomain(name.replace(/\.$/, "")) : undefined;
  if (domain !== undefined) return star + domain;
  // The name of a destination may also be a URL or an address: any printable text, but no other use of a star.
  return text.includes("*") ? undefined : text.toLowerCase();
}

/** The rule of {@linkcode SuspensionStore.matches}, for suspensions by their pattern. */
export function findSuspension(
  byPattern: ReadonlyMap<string, Suspension>,
  destination: string,
  domain: string,
): Suspension | undefined {
  if (byPattern.size === 0) return undefined;
  const exact = byPattern.get(destination.toLowerCase()) ?? byPattern.get(domain);
  if (exact !== undefined) return exact;
  for (let dot = domain.indexOf("."); dot !== -1; dot = domain.indexOf(".", dot + 1)) {
    const above = byPattern.get(`*${domain.slice(dot)}`);
    if (above !== undefined) return above;
  }
  return byPattern.get("*");
}

/**
 * Opens the store. A line that cannot be understood is passed over with a warning: the rest still counts.
 *
 * @throws {Deno.errors} The file is there and cannot be read.
 */
export async function openSuspensions(options: SuspensionStoreOptions): Promise<SuspensionStore> {
  return new FileSuspensions(options, await load(options));
}

class FileSuspensions implements SuspensionStore {
  readonly #options: SuspensionStoreOptions;
  #byPattern: ReadonlyMap<string, Suspension>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: SuspensionStoreOptions, suspensions: readonly Suspension[]) {
    this.#options = options;
    this.#byPattern = new Map(suspensions.map((suspension) => [suspension.pattern, suspension]));
  }

  list(): readonly Suspension[] {
    return [...this.#byPattern.values()];
  }

  add(pattern: string, reason: string): Promise<boolean> {
    return this.#change((now) => {
      if (now.has(pattern)) return false;
      now.set(pattern, { pattern, reason, sinceMs: this.#options.clock.now() });
      return true;
    });
  }

  remove(pattern: string): Promise<boolean> {
    return this.#change((now) => now.delete(pattern));
  }

  matches(destination: string, domain: string): Suspension | undefined {
    return findSuspension(this.#byPattern, destination, domain);
  }

  /** One change after the other; what could not be written does not count. */
  #change(change: (now: Map<string, Suspension>) => boolean): Promise<boolean> {
    const changed = this.#last.then(async () => {
      const now = new Map(this.#byPattern);
      if (!change(now)) return false;
      const { files, folder } = this.#options;
      const lines = [...now.values()].map(encode).join("");
      await writeDurable(files, fileIn(folder), lines, { mode: 0o600, replace: true });
      this.#byPattern = now;
      return true;
    });
    this.#last = changed.catch(() => {});
    return changed;
  }
}

function fileIn(folder: string): string {
  return `${folder}/suspensions`;
}

function encode({ pattern, reason, sinceMs }: Suspension): string {
  return `${JSON.stringify({ pattern, reason, since: new Date(sinceMs).toISOString() })}\n`;
}

function decode(line: string): Suspension | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null) return undefined;
    const { pattern, reason, since }: Readonly<Record<string, unknown>> = { ...value };
    const sinceMs = typeof since === "string" ? Date.parse(since) : NaN;
    if (typeof pattern !== "string" || typeof reason !== "string" || Number.isNaN(sinceMs)) return undefined;
    const known = parsePattern(pattern);
    return known === undefined ? undefined : { pattern: known, reason, sinceMs };
  } catch {
    return undefined;
  }
}

async function load({ files, folder, logger }: SuspensionStoreOptions): Promise<Suspension[]> {
  const path = fileIn(folder);
  const text = await readSmallText(files, path, MAX_FILE_OCTETS).catch((error: unknown) => {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  });
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.flatMap((line, at) => {
    const suspension = decode(line);
    if (suspension === undefined) {
      logger.warning("Line {line} of {path} is no suspension and is passed over", { line: at + 1, path });
      return [];
    }
    return [suspension];
  });
}
