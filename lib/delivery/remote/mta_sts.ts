/** The MTA-STS policy of a domain as it counts now: discovered, fetched, kept and refreshed (RFC 8461 §3.3, §5.1). */

import type { Resolver } from "../../dns/resolver.ts";
import type { Logger } from "../../log/logger.ts";
import type { Clock } from "../../system/clock.ts";
import type { StsFetch } from "./mta_sts_fetch.ts";
import { parseStsPolicy, type StsPolicy, stsRecordId } from "./mta_sts_policy.ts";
import type { KeptPolicy, StsStore } from "./mta_sts_store.ts";
import type { TlsFailure, TlsResults } from "./tls_results.ts";

/** What it works with, and its bounds. */
export interface MtaStsOptions {
  /** For the TXT records. */
  readonly resolver: Resolver;
  /** For the policies. */
  readonly fetch: StsFetch;
  /** Where policies outlive a restart. */
  readonly store: Pick<StsStore, "load" | "save">;
  /** Its wall clock says how old a policy is. */
  readonly clock: Clock;
  /** Told of policies that change or cannot be fetched. */
  readonly logger: Logger;
  /** Told of policies that cannot be fetched. */
  readonly results: TlsResults;
  /** Domains in memory; the one that was used longest ago goes first. Default: 10000. */
  readonly maxDomains?: number;
  /** Of their policies in memory, which are on disk as well; a usual one has some hundreds. Default: 16 MiB. */
  readonly maxOctets?: number;
}

/** A kept policy is fetched again after this time, so that it never runs out while mail flows (RFC 8461 §3.3). */
const REFRESH_MS = 24 * 3_600_000;
/** After a failure nothing is fetched for so long (RFC 8461 §3.3 suggests 5 minutes or more). */
const RETRY_MS = 5 * 60_000;

/** What is known of a domain. */
interface Entry {
  readonly kept?: KeptPolicy;
  /** Fetching failed; not before this monotonic time again for the same id. */
  readonly retryMs?: number;
  readonly failedId?: string;
}

/** Knows the policies of domains. */
export class MtaSts implements AsyncDisposable {
  readonly #options: Required<MtaStsOptions>;
  /** In order of use. */
  readonly #domains = new Map<string, Entry>();
  #octets = 0;
  readonly #fetching = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();

  /** Starts with what the store has. */
  constructor(options: MtaStsOptions) {
    this.#options = { maxDomains: 10_000, maxOctets: 16 * 2 ** 20, ...options };
  }

  /**
   * The policy that mail for a domain is under now; undefined where there is none, or it says `none`.
   *
   * A policy that was fetched counts until its max_age is over, whatever has become of the TXT record since: only so an
   * attacker who controls DNS cannot switch it off (RFC 8461 §10.2). One that cannot be fetched leaves the old one in force.
   *
   * @param domain A-label form, lower case.
   */
  async policyOf(domain: string, signal: AbortSignal): Promise<StsPolicy | undefined> {
    const { resolver, clock } = this.#options;
    const [kept, answer] = await Promise.all([
      this.#kept(domain),
      resolver.lookup(`_mta-sts.${domain}`, "TXT", signal),
    ]);
    const id = answer.kind === "found" ? stsRecordId(answer.records) : undefined;
    if (id === undefined) return active(kept);
    if (kept?.id === id) {
      const ageMs = Math.abs(clock.now() - kept.fetchedMs);
      // Nobody waits for this one.
      if (ageMs >= Math.min(REFRESH_MS, kept.policy.maxAgeSeconds * 500)) this.#fetch(domain, id);
      return active(kept);
    }
    const fetching = this.#fetch(domain, id);
    if (fetching !== undefined) await untilAborted(fetching, signal);
    return active(await this.#kept(domain));
  }

  /** The policy in memory or on disk, while it counts. */
  async #kept(domain: string): Promise<KeptPolicy | undefined> {
    let entry = this.#domains.get(domain);
    if (entry === undefined) {
      const kept = await this.#options.store.load(domain);
      // It may have been fetched while the disk was read.
      entry = this.#domains.get(domain) ?? (kept === undefined ? {} : { kept });
    }
    if (entry.kept === undefined && entry.retryMs === undefined) return undefined;
    this.#keep(domain, entry);
    const { kept } = entry;
    if (kept === undefined) return undefined;
    return this.#isCurrent(kept) ? kept : undefined;
  }

  #isCurrent({ fetchedMs, policy }: KeptPolicy): boolean {
    return this.#options.clock.now() < fetchedMs + policy.maxAgeSeconds * 1000;
  }

  /** Starts to fetch, or joins who does; undefined where it failed a short while ago. */
  #fetch(domain: string, id: string): Promise<void> | undefined {
    const running = this.#fetching.get(domain);
    if (running !== undefined) return running;
    const { retryMs = 0, failedId } = this.#domains.get(domain) ?? {};
    if (failedId === id && this.#options.clock.monotonic() < retryMs) return undefined;
    const fetching = this.#fetchNow(domain, id).finally(() => this.#fetching.delete(domain));
    this.#fetching.set(domain, fetching);
    return fetching;
  }

  async #fetchNow(domain: string, id: string): Promise<void> {
    const { fetch, store, clock, logger } = this.#options;
    const fetched = await fetch(domain, this.#stopping.signal);
    if (this.#stopping.signal.aborted) return;
    if (fetched.kind === "failed") return this.#failed(domain, id, fetched.failure, fetched.reason);
    const reading = parseStsPolicy(fetched.text);
    if (reading.kind === "invalid") return this.#failed(domain, id, "sts-policy-invalid", reading.reason);
    const { policy } = reading;
    const old = this.#domains.get(domain)?.kept;
    const kept = { id, fetchedMs: clock.now(), policy };
    this.#keep(domain, { kept });
    if (old?.id !== id) {
      const fields = { domain, mode: policy.mode, mx: policy.mx.join(", "), maxAge: policy.maxAgeSeconds };
      logger.info("MTA-STS policy of {domain}: {mode}, mx {mx}, for {maxAge} s", fields);
    }
    await store.save(domain, kept);
  }

  #failed(domain: string, id: string, failure: TlsFailure, reason: string): void {
    const { clock, logger, results } = this.#options;
    const kept = this.#domains.get(domain)?.kept;
    this.#keep(domain, { ...(kept && { kept }), failedId: id, retryMs: clock.monotonic() + RETRY_MS });
    const isKept = kept !== undefined && this.#isCurrent(kept);
    const still = isKept ? "the one from before stays in force" : "none is in force";
    logger.warning("Cannot fetch the MTA-STS policy of {domain}, {still}: {reason}", { domain, still, reason });
    const policy = { type: "sts", domain, strings: kept?.policy.lines ?? [] } as const;
    results.record({ recipientDomain: domain, policy, failure, reason });
  }

  #keep(domain: string, entry: Entry): void {
    const { maxDomains, maxOctets } = this.#options;
    this.#forget(domain);
    this.#domains.set(domain, entry);
    this.#octets += octetsOf(entry);
    for (const oldest of this.#domains.keys()) {
      if (this.#domains.size <= maxDomains && this.#octets <= maxOctets) break;
      this.#forget(oldest);
    }
  }

  #forget(domain: string): void {
    const entry = this.#domains.get(domain);
    if (entry !== undefined) this.#octets -= octetsOf(entry);
    this.#domains.delete(domain);
  }

  /** Gives up what is being fetched. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#fetching.values());
  }
}

function octetsOf({ kept }: Entry): number {
  return kept?.policy.lines.reduce((sum, line) => sum + line.length, 0) ?? 0;
}

function active(kept: KeptPolicy | undefined): StsPolicy | undefined {
  return kept === undefined || kept.policy.mode === "none" ? undefined : kept.policy;
}

/** Waits for a promise, but not longer than the signal allows. */
async function untilAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  let leave = (): void => {};
  const aborted = new Promise<void>((resolve) => leave = resolve);
  signal.addEventListener("abort", leave, { once: true });
  await Promise.race([promise, aborted]);
  signal.removeEventListener("abort", leave);
}
