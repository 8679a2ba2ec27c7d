/** A share of a resolver: so many lookups at once, so that others always find room beside them. */

import type { DnsAnswer, RecordData, RecordType, Resolver } from "./resolver.ts";
import { Slots } from "./slots.ts";

/** For lookups whose names strangers choose: their servers need not answer, and would hold all lookups up. */
export class ShareResolver implements Resolver {
  readonly #resolver: Resolver;
  readonly #slots: Slots;

  /** Allows `maxConcurrent` lookups at a time; further ones wait in line. */
  constructor(resolver: Resolver, maxConcurrent: number) {
    this.#resolver = resolver;
    this.#slots = new Slots(maxConcurrent);
  }

  /** As the resolver does; `failed` where `signal` ends the wait for a turn. */
  async lookup<T extends RecordType>(
    name: string,
    type: T,
    signal: AbortSignal = new AbortController().signal,
  ): Promise<DnsAnswer<RecordData[T]>> {
    try {
      return await this.#slots.run(signal, () => this.#resolver.lookup(name, type, signal));
    } catch (error) {
      if (signal.aborted) return { kind: "failed", reason: `Cannot look up ${type} of ${name}: too many others wait` };
      throw error;
    }
  }
}
