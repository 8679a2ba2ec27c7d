/**
 * Names the destination of a hop: the MX site. All domains whose mail goes to the same servers have one name, so that
 * they share limits, back-off and rates.
 */

import type { DnsAnswer, RecordData, Resolver } from "../../dns/resolver.ts";
import type { Clock } from "../../system/clock.ts";
import { providerOf } from "./providers.ts";
import type { RemoteHop } from "./tls_policy.ts";

/** What naming needs. */
export interface SitesOptions {
  /** For MX records; best one with a cache. */
  readonly resolver: Resolver;
  /** Its monotonic time lets names expire. */
  readonly clock: Clock;
  /** Domains that are remembered; default 20,000. */
  readonly maxDomains?: number;
}

/** A name is asked for again after this time at the latest, and not before this time where its TTL is shorter. */
const MAX_AGE_MS = 3_600_000;
const MIN_AGE_MS = 60_000;
/** Without an answer it is asked for again soon. */
const FAILED_AGE_MS = 10_000;

/** Names sites, and remembers them. */
export class Sites {
  readonly #options: Required<SitesOptions>;
  /** Oldest first. */
  readonly #known = new Map<string, { readonly site: string; readonly untilMs: number }>();

  /** Knows nothing yet. */
  constructor(options: SitesOptions) {
    this.#options = { maxDomains: 20_000, ...options };
  }

  /** The name of a hop's destination: at once where it is known, else after a lookup. Never rejects. */
  of(hop: RemoteHop, signal: AbortSignal): string | Promise<string> {
    if (hop.kind === "smarthost" || hop.domain.startsWith("[")) return hop.key;
    const known = this.#known.get(hop.domain);
    if (known !== undefined && this.#options.clock.monotonic() < known.untilMs) return known.site;
    return this.#lookUp(hop.domain, hop.key, signal);
  }

  async #lookUp(domain: string, key: string, signal: AbortSignal): Promise<string> {
    const { resolver, clock, maxDomains } = this.#options;
    let answer: DnsAnswer<RecordData["MX"]>;
    try {
      answer = await resolver.lookup(domain, "MX", signal);
    } catch {
      return key;
    }
    const site = siteOf(answer) ?? key;
    if (signal.aborted) return site;
    const ageMs = answer.kind === "failed"
      ? FAILED_AGE_MS
      : Math.min(MAX_AGE_MS, Math.max(MIN_AGE_MS, answer.ttlSeconds * 1000));
    this.#known.delete(domain);
    this.#known.set(domain, { site, untilMs: clock.monotonic() + ageMs });
    const [oldest] = this.#known.keys();
    if (this.#known.size > maxDomains && oldest !== undefined) this.#known.delete(oldest);
    return site;
  }
}

/**
 * The site that an MX answer leads to.
 *
 * @returns The provider of the best hosts where it is a known one; else the best host, or where several are equally good
 * the first of them by name with the number of others and a checksum of all: `mx1.example.org+2-0a1b2c3d`. The domain
 * itself (after CNAME records) where it has no MX record. Undefined where it takes no mail, or nobody knows.
 */
export function siteOf(answer: DnsAnswer<RecordData["MX"]>): string | undefined {
  if (answer.kind === "noData") return providerOf(answer.canonicalName) ?? answer.canonicalName;
  if (answer.kind !== "found") return undefined;
  const exchanges = answer.records.map(({ preference, exchange }) => ({ preference, name: hostName(exchange) }))
    .filter(({ name }) => name !== "");
  const best = exchanges.reduce((least, { preference }) => Math.min(least, preference), Infinity);
  const names = [...new Set(exchanges.filter(({ preference }) => preference === best).map(({ name }) => name))].sort();
  const [first, ...others] = names;
  if (first === undefined) return undefined;
  const provider = providerOf(first);
  if (provider !== undefined && others.every((name) => providerOf(name) === provider)) return provider;
  return others.length === 0 ? first : `${first}+${others.length}-${checksum(names.join(" "))}`;
}

function hostName(exchange: string): string {
  return exchange.replace(/\.$/, "").toLowerCase();
}

/** FNV-1a of 32 bits, as eight hexadecimal digits: to tell sets of names apart, not to protect anything. */
function checksum(text: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}
