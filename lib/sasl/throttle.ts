/** Slows failed logins down, counted by account and by client address (RFC 4954 §9 asks servers to do so). */

import { networkKey } from "../dns/ip_address.ts";
import type { Clock } from "../system/clock.ts";

/** How failures are slowed. */
export interface LoginThrottleOptions {
  /** Its monotonic time is used. */
  readonly clock: Pick<Clock, "monotonic">;
  /** Accounts, and as many addresses, that are remembered. Default 10,000; the one longest without a failure goes first. */
  readonly maxEntries?: number;
}

/** Leave to check one login, after a wait. */
export interface LoginTurn {
  /** How long to wait before the password is looked at. At most 30 s. */
  readonly waitMs: number;
  /** To be called once: what the check said, or `abandoned` when there was none. */
  end(result: "succeeded" | "failed" | "abandoned"): void;
}

/** The failures of one account or address. */
interface Counter {
  failures: number;
  lastFailureMs: number;
}

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;
/** Failures are forgotten after this time without a new one. */
const FORGET_MS = 60 * 60 * 1000;
/** Attempts of one account or address that may wait at the same time. More only helps who guesses in parallel. */
const MAX_TURNS = 4;

/** Remembers failures in bounded memory. The wait after the nth failure in a row is 1 s, 2 s, 4 s … 30 s. */
export class LoginThrottle {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #maxEntries: number;
  /** By key, in the order of the last failure. */
  readonly #accounts = new Map<string, Counter>();
  readonly #addresses = new Map<string, Counter>();
  /** Attempts that wait, by key; holds open attempts only. */
  readonly #turns = new Map<string, number>();

  /** Takes the clock and the bound. */
  constructor({ clock, maxEntries = 10_000 }: LoginThrottleOptions) {
    this.#clock = clock;
    this.#maxEntries = maxEntries;
  }

  /**
   * Asks to check a login.
   *
   * @param identity Login name as given, whether or not there is such an account.
   * @param host Address of the client; IPv6 counts by /64, because that is what one customer has (RFC 6177).
   * @returns undefined when too many attempts of this account or address wait already: answer 454 4.7.0.
   */
  enter(identity: string, host: string): LoginTurn | undefined {
    const account = identity.normalize("NFC").toLowerCase();
    const address = networkKey(host);
    const waitMs = Math.max(this.#waitMs(this.#accounts.get(account)), this.#waitMs(this.#addresses.get(address)));
    const keys = waitMs === 0 ? [] : [`account ${account}`, `address ${address}`];
    if (keys.some((key) => (this.#turns.get(key) ?? 0) >= MAX_TURNS)) return undefined;
    for (const key of keys) this.#turns.set(key, (this.#turns.get(key) ?? 0) + 1);
    let ended = false;
    return {
      waitMs,
      end: (result): void => {
        if (ended) return;
        ended = true;
        for (const key of keys) this.#leave(key);
        if (result === "failed") {
          this.#count(this.#accounts, account);
          this.#count(this.#addresses, address);
        } else if (result === "succeeded") {
          this.#accounts.delete(account);
          this.#addresses.delete(address);
        }
      },
    };
  }

  /** Entries held, for tests and metrics. */
  get size(): { readonly accounts: number; readonly addresses: number; readonly waiting: number } {
    return { accounts: this.#accounts.size, addresses: this.#addresses.size, waiting: this.#turns.size };
  }

  #waitMs(counter: Counter | undefined): number {
    if (counter === undefined) return 0;
    const pause = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(counter.failures - 1, 10));
    return Math.max(0, counter.lastFailureMs + pause - this.#clock.monotonic());
  }

  #count(counters: Map<string, Counter>, key: string): void {
    const now = this.#clock.monotonic();
    const old = counters.get(key);
    const failures = old === undefined || now - old.lastFailureMs > FORGET_MS ? 1 : old.failures + 1;
    counters.delete(key); // A Map keeps its order of insertion: the newest failure goes to the end.
    counters.set(key, { failures, lastFailureMs: now });
    if (counters.size > this.#maxEntries) counters.delete(counters.keys().next().value ?? "");
  }

  #leave(key: string): void {
    const left = (this.#turns.get(key) ?? 0) - 1;
    if (left > 0) this.#turns.set(key, left);
    else this.#turns.delete(key);
  }
}
