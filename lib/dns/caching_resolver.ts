/** Spares the servers: keeps answers, and lets identical lookups that run at the same time share one. */

import type { DnsCache } from "./cache.ts";
import type { DnsAnswer, RecordData, RecordType, Resolver } from "./resolver.ts";

/** What a {@linkcode CachingResolver} stands in front of. */
export interface CachingResolverOptions {
  /** Asked for what is not kept. */
  readonly resolver: Resolver;
  /** Where answers are kept. */
  readonly cache: DnsCache;
}

/** A lookup that is under way. */
interface Flight {
  readonly answer: Promise<DnsAnswer<RecordData[RecordType]>>;
  readonly controller: AbortController;
  waiting: number;
}

/** A {@linkcode Resolver} with a cache. */
export class CachingResolver implements Resolver {
  readonly #resolver: Resolver;
  readonly #cache: DnsCache;
  readonly #flights = new Map<string, Flight>();

  /** Uses `cache` alone; nobody else should put answers into it. */
  constructor({ resolver, cache }: CachingResolverOptions) {
    this.#resolver = resolver;
    this.#cache = cache;
  }

  /**
   * Answers from the cache, or from a lookup that runs already, or starts one. A shared lookup ends early only when
   * nobody waits for it any more; who leaves by `signal` gets `failed`.
   */
  async lookup<T extends RecordType>(name: string, type: T, signal?: AbortSignal): Promise<DnsAnswer<RecordData[T]>> {
    const key = cacheKey(name, type);
    // Such a name has no records. The resolver says why without asking anybody.
    if (key === undefined) return await this.#resolver.lookup(name, type, signal);
    // The key holds the type, so what is kept under it has the data of this type.
    const kept = this.#cache.get(key) as DnsAnswer<RecordData[T]> | undefined;
    if (kept !== undefined) return kept;
    const flight = this.#flights.get(key) ?? this.#start(key, name, type);
    return await this.#join(key, flight, signal) as DnsAnswer<RecordData[T]>;
  }

  #start(key: string, name: string, type: RecordType): Flight {
    const controller = new AbortController();
    const run = async (): Promise<DnsAnswer<RecordData[RecordType]>> => {
      try {
        const answer = await this.#resolver.lookup(name, type, controller.signal);
        if (!controller.signal.aborted) this.#cache.put(key, answer);
        return answer;
      } finally {
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
      }
    };
    const flight: Flight = { answer: Promise.resolve().then(run), controller, waiting: 0 };
    this.#flights.set(key, flight);
    return flight;
  }

  /** Waits for the flight as long as `signal` allows. The last one to leave stops it. */
  #join(key: string, flight: Flight, signal: AbortSignal | undefined): Promise<DnsAnswer<RecordData[RecordType]>> {
    flight.waiting++;
    if (signal === undefined) return flight.answer;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        if (--flight.waiting === 0) {
          if (this.#flights.get(key) === flight) this.#flights.delete(key);
          flight.controller.abort(signal.reason);
        }
        resolve({ kind: "failed", reason: `Cannot look up ${key}: given up before there was an answer` });
      };
      if (signal.aborted) return leave();
      signal.addEventListener("abort", leave, { once: true });
      flight.answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
    });
  }
}

/** One key for all spellings of a name; undefined for what is no name, or too long to be one. */
function cacheKey(name: string, type: RecordType): string | undefined {
  return /^[\x21-\x7e]{1,254}$/.test(name) ? `${type} ${name.toLowerCase().replace(/\.$/, "")}` : undefined;
}
