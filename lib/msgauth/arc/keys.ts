/** The keys of a chain: each is looked up once, and few at a time. */

import type { Resolver } from "../../dns/resolver.ts";
import { type KeyLookup, type KeyQuery, lookUpKeys } from "../dkim/key_record.ts";

/** Lookups under way at a time: a chain of a stranger may name 51 keys. */
const MAX_PARALLEL = 8;

/** Keys that are being looked up from the moment on that this is made, while the body still streams in. */
export class ChainKeys {
  readonly #lookups = new Map<string, Promise<KeyLookup>>();

  /** Starts the lookups, in this order. @param queries Repetitions cost nothing. */
  constructor(queries: readonly KeyQuery[], resolver: Resolver, signal?: AbortSignal) {
    const unique = [...new Map(queries.map((query) => [nameOf(query), query]))];
    const lanes: Promise<unknown>[] = Array.from({ length: MAX_PARALLEL }, () => Promise.resolve());
    for (const [index, [name, query]] of unique.entries()) {
      const lane = index % MAX_PARALLEL;
      const lookup = (lanes[lane] ?? Promise.resolve()).then(() => lookUpKeys(query, resolver, signal));
      lanes[lane] = lookup;
      this.#lookups.set(name, lookup);
    }
  }

  /** What the lookup of a key gave. @throws {TypeError} For a query that the constructor did not have. */
  async get(query: KeyQuery): Promise<KeyLookup> {
    const lookup = this.#lookups.get(nameOf(query));
    if (lookup === undefined) throw new TypeError("Cannot give a key: it was not asked for");
    return await lookup;
  }
}

function nameOf({ domain, selector, algorithm }: KeyQuery): string {
  return `${algorithm} ${selector} ${domain}`;
}
