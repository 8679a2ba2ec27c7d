/**
 * Which destination each next hop leads to, as it was found last: the hop of a message is known from its envelope, its
 * destination (the MX site) only after a look into DNS.
 */

/** What is remembered at most; where messages are parked for many hops, twice as much as that takes. */
const MAX_HOPS = 20_000;

/** Remembers destinations. */
export class HopDestinations {
  readonly #destinations: Map<string, string> = new Map();
  readonly #hops: Map<string, Set<string>> = new Map();
  readonly #isNeeded: (hop: string) => boolean;
  #most = MAX_HOPS;

  /**
   * Starts empty.
   *
   * @param isNeeded True for a hop that must not be forgotten.
   */
  constructor(isNeeded: (hop: string) => boolean) {
    this.#isNeeded = isNeeded;
  }

  /** The destination that a hop led to; undefined where that is not known. */
  destinationOf(hop: string): string | undefined {
    return this.#destinations.get(hop);
  }

  /** Those of some hops that lead to a destination. */
  hopsOf(destination: string, among: ReadonlySet<string>): string[] {
    const hops = this.#hops.get(destination);
    if (hops === undefined) return [];
    // This is asked after each delivery, and a provider has thousands of domains, of which few wait as a rule.
    return hops.size <= among.size
      ? Array.from(hops).filter((hop) => among.has(hop))
      : Array.from(among).filter((hop) => hops.has(hop));
  }

  /** Notes where a hop leads; true where that was another destination before. */
  learn(hop: string, destination: string): boolean {
    const known = this.#destinations.get(hop);
    if (known === destination) return false;
    if (known !== undefined) this.#forget(hop, known);
    else if (this.#destinations.size >= this.#most) this.#makeRoom();
    this.#destinations.set(hop, destination);
    const hops = this.#hops.get(destination);
    if (hops === undefined) this.#hops.set(destination, new Set([hop]));
    else hops.add(hop);
    return known !== undefined;
  }

  #forget(hop: string, destination: string): void {
    this.#destinations.delete(hop);
    const hops = this.#hops.get(destination);
    hops?.delete(hop);
    if (hops?.size === 0) this.#hops.delete(destination);
  }

  /** Forgets what was learnt first, down to the half. */
  #makeRoom(): void {
    let surplus = this.#destinations.size - MAX_HOPS / 2;
    for (const [hop, destination] of this.#destinations) {
      if (surplus <= 0) break;
      if (this.#isNeeded(hop)) continue;
      this.#forget(hop, destination);
      surplus--;
    }
    this.#most = Math.max(MAX_HOPS, 2 * this.#destinations.size);
  }
}
