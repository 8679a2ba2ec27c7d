/**
 * Notices that no DNS server answers any more, and makes that cheap: lookups fail at once, instead of each after seconds,
 * until a server answers again.
 *
 * Some names take long because their own servers are away. That is no outage: before lookups are refused, the servers are
 * asked something that each of them knows, and whatever one answers counts.
 */

import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";

/** What an {@linkcode Outage} needs. */
export interface OutageOptions {
  /** Its monotonic time says when to ask again. */
  readonly clock: Clock;
  /** Told when it begins and when it ends. */
  readonly logger?: Logger | undefined;
  /** Asks all servers something easy; true as soon as one answers. Ends by itself, and never rejects. */
  readonly isAlive: () => Promise<boolean>;
}

/** So many questions without any answer in between make suspicious. */
const SUSPICIOUS_SILENCES = 3;
/** While it lasts, servers are asked again after this time by whoever looks something up then. */
const RECHECK_MS = 5_000;

/** Watches the servers of one resolver. */
export class Outage {
  readonly #options: OutageOptions;
  #silences = 0;
  #reason = "";
  /** Monotonic time; undefined: there is none. */
  #sinceMs: number | undefined;
  #recheckMs = 0;
  #check: Promise<void> | undefined;

  /** Begins with servers that are there. */
  constructor(options: OutageOptions) {
    this.#options = options;
  }

  /** True while no server answers. */
  get isOn(): boolean {
    return this.#sinceMs !== undefined;
  }

  /** A server said something, whatever it was. */
  answered(): void {
    this.#silences = 0;
    if (this.#sinceMs === undefined) return;
    const seconds = Math.round((this.#options.clock.monotonic() - this.#sinceMs) / 1000);
    this.#sinceMs = undefined;
    this.#options.logger?.info("DNS answers again, after {seconds} s", { seconds });
  }

  /** A question went to every server, and none answered. */
  silent(reason: string): void {
    this.#reason = reason;
    if (++this.#silences >= SUSPICIOUS_SILENCES && !this.isOn) this.#startCheck();
  }

  /**
   * Why a lookup need not be tried, or undefined. When it is time to ask the servers again, it waits for that: so nothing
   * fails once they are back.
   */
  async refusal(): Promise<string | undefined> {
    if (!this.isOn) return undefined;
    if (this.#options.clock.monotonic() >= this.#recheckMs) this.#startCheck();
    await this.#check;
    return this.isOn ? `no DNS server answers (last: ${this.#reason})` : undefined;
  }

  #startCheck(): void {
    this.#check ??= this.#ask().finally(() => this.#check = undefined);
  }

  async #ask(): Promise<void> {
    const { clock, logger, isAlive } = this.#options;
    const silences = this.#silences;
    if (await isAlive()) return this.answered();
    this.#recheckMs = clock.monotonic() + RECHECK_MS;
    // A late answer to another question counts as well.
    if (this.isOn || this.#silences < silences) return;
    this.#sinceMs = clock.monotonic();
    logger?.error("No DNS server answers: mail to other servers waits ({reason})", { reason: this.#reason });
  }
}
