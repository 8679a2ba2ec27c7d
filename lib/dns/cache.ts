/** Keeps answers for as long as their records allow (RFC 1035 §3.2.1, RFC 2308). */

import type { Clock } from "../system/clock.ts";
import type { DnsAnswer, RecordData, RecordType } from "./resolver.ts";

/** The bounds of a {@linkcode DnsCache}. */
export interface DnsCacheOptions {
  /** Its monotonic time lets answers expire. */
  readonly clock: Clock;
  /** Default: 10000. */
  readonly maxEntries?: number;
  /** Memory for all entries, by estimate. Default: 8 MiB. */
  readonly maxOctets?: number;
  /** Longest time for records. Default: 86400. */
  readonly maxTtlSeconds?: number;
  /** Longest time for a negative answer (RFC 2308 §5 advises one to three hours). Default: 3600. */
  readonly maxNegativeTtlSeconds?: number;
  /** Time for a failed lookup, so that a dead server is not asked for each message (RFC 2308 §7). Default: 5. */
  readonly failedSeconds?: number;
}

/** An answer of any type; the key says which. */
export type CachedAnswer = DnsAnswer<RecordData[RecordType]>;

interface Entry {
  readonly answer: CachedAnswer;
  /** Monotonic time. */
  readonly expiresAt: number;
  readonly octets: number;
}

/** What an entry takes besides its texts: objects, map slot, numbers. */
const ENTRY_OCTETS = 300;

/** Answers by key. When it is full, the one that was used longest ago goes. */
export class DnsCache {
  readonly #options: Required<DnsCacheOptions>;
  /** In order of use: a map keeps the order of insertion. */
  readonly #entries = new Map<string, Entry>();
  #octets = 0;

  /** Starts empty. */
  constructor(options: DnsCacheOptions) {
    this.#options = {
      maxEntries: 10_000,
      maxOctets: 8 * 1024 * 1024,
      maxTtlSeconds: 86_400,
      maxNegativeTtlSeconds: 3600,
      failedSeconds: 5,
      ...options,
    };
  }

  /** How many answers are kept, expired ones that were not asked for since included. */
  get size(): number {
    return this.#entries.size;
  }

  /** The answer with the rest of its TTL, rounded down; undefined when there is none or it has expired. */
  get(key: string): CachedAnswer | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const leftMs = entry.expiresAt - this.#options.clock.monotonic();
    this.#remove(key, entry);
    if (leftMs <= 0) return undefined;
    this.#add(key, entry);
    return entry.answer.kind === "failed" ? entry.answer : { ...entry.answer, ttlSeconds: Math.floor(leftMs / 1000) };
  }

  /** Keeps an answer, in place of an older one; not at all when its TTL is 0 or it would fill the cache alone. */
  put(key: string, answer: CachedAnswer): void {
    const old = this.#entries.get(key);
    if (old !== undefined) this.#remove(key, old);
    const seconds = this.#lifetimeSeconds(answer);
    const octets = ENTRY_OCTETS + 2 * key.length + weigh(answer);
    if (seconds <= 0 || octets > this.#options.maxOctets / 4) return;
    this.#add(key, { answer, expiresAt: this.#options.clock.monotonic() + seconds * 1000, octets });
    for (const [oldKey, entry] of this.#entries) {
      if (this.#entries.size <= this.#options.maxEntries && this.#octets <= this.#options.maxOctets) break;
      this.#remove(oldKey, entry);
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#entries.clear();
    this.#octets = 0;
  }

  #lifetimeSeconds(answer: CachedAnswer): number {
    const { maxTtlSeconds, maxNegativeTtlSeconds, failedSeconds } = this.#options;
    if (answer.kind === "failed") return failedSeconds;
    return Math.min(answer.ttlSeconds, answer.kind === "found" ? maxTtlSeconds : maxNegativeTtlSeconds);
  }

  #add(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
    this.#octets += entry.octets;
  }

  #remove(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#octets -= entry.octets;
  }
}

/** The octets of the texts and data in an answer, about. */
function weigh(answer: CachedAnswer): number {
  if (answer.kind === "failed") return 2 * answer.reason.length;
  if (answer.kind !== "found") return 0;
  return answer.records.reduce((sum, record) => {
    if (typeof record === "string") return sum + 40 + 2 * record.length;
    if ("data" in record) return sum + 120 + record.data.length;
    return sum + 120 + 2 * ("exchange" in record ? record.exchange : record.target).length;
  }, 0);
}
