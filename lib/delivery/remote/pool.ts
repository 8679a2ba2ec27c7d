/** Keeps connections for a few seconds, so that the next message for the same hop needs no new one. */

import type { Clock } from "../../system/clock.ts";
import type { Session } from "./session.ts";

/** The bounds of the pool; each has a default. */
export interface PoolOptions {
  /** For idle and age. */
  readonly clock: Clock;
  /** How long a connection may be idle; default 5 s. */
  readonly idleMs?: number;
  /** How old one may get, so that a better MX is found again; default 5 min. */
  readonly maxAgeMs?: number;
  /** Transactions over one connection; default 100. */
  readonly maxTransactions?: number;
  /** Idle connections in all; default 100. */
  readonly maxIdle?: number;
}

interface Idle {
  readonly session: Session;
  readonly sinceMs: number;
}

/** Idle connections by key. The key names everything that must be equal: next hop and TLS policy. */
export class ConnectionPool implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #maxAgeMs: number;
  readonly #maxTransactions: number;
  readonly #maxIdle: number;
  readonly #idle = new Map<string, Idle[]>();
  readonly #closing = new Set<Promise<void>>();
  #count = 0;
  #sweep: AbortController | undefined;
  #isDisposed = false;

  /** Starts empty. */
  constructor(options: PoolOptions) {
    this.#clock = options.clock;
    this.#idleMs = options.idleMs ?? 5_000;
    this.#maxAgeMs = options.maxAgeMs ?? 300_000;
    this.#maxTransactions = options.maxTransactions ?? 100;
    this.#maxIdle = options.maxIdle ?? 100;
  }

  /** Number of idle connections. */
  get idleConnections(): number {
    return this.#count;
  }

  /** Takes the connection that was used last, if one can still be used as far as is known here. */
  take(key: string): Session | undefined {
    const idle = this.#idle.get(key);
    for (let entry = idle?.pop(); entry !== undefined; entry = idle?.pop()) {
      this.#count--;
      const { session } = entry;
      if (session.connection.isReusable && this.#clock.monotonic() - entry.sinceMs < this.#idleMs) return session;
      this.#close(session);
    }
    this.#idle.delete(key);
    return undefined;
  }

  /** Takes a connection back, or closes it where it cannot or should not be used again. Does not wait. */
  give(key: string, session: Session): void {
    const { connection, openedMs } = session;
    const now = this.#clock.monotonic();
    const isSpent = connection.transactions >= this.#maxTransactions || !connection.mayTransact ||
      now - openedMs >= this.#maxAgeMs;
    if (this.#isDisposed || isSpent || !connection.isReusable || this.#count >= this.#maxIdle) {
      return this.#close(session);
    }
    const idle = this.#idle.get(key);
    const entry = { session, sinceMs: now };
    if (idle === undefined) this.#idle.set(key, [entry]);
    else idle.push(entry);
    this.#count++;
    this.#startSweep();
  }

  #close({ connection }: Session): void {
    const closing = connection.quit().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  /** One alarm for the whole pool, only while there is something in it. */
  #startSweep(): void {
    if (this.#sweep !== undefined) return;
    const sweep = this.#sweep = new AbortController();
    const wake = (): void => {
      this.#sweep = undefined;
      this.#closeIdle();
      if (this.#count > 0) this.#startSweep();
    };
    this.#clock.sleep(this.#idleMs, sweep.signal).then(wake, () => {});
  }

  #closeIdle(): void {
    const oldest = this.#clock.monotonic() - this.#idleMs;
    for (const [key, idle] of this.#idle) {
      const isKept = ({ session, sinceMs }: Idle): boolean => sinceMs > oldest && session.connection.isReusable;
      const kept = idle.filter(isKept);
      this.#count -= idle.length - kept.length;
      for (const entry of idle) if (!kept.includes(entry)) this.#close(entry.session);
      if (kept.length === 0) this.#idle.delete(key);
      else this.#idle.set(key, kept);
    }
  }

  /** Closes all with QUIT; connections that are in use are closed when they are given back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    this.#sweep?.abort();
    for (const idle of this.#idle.values()) for (const { session } of idle) this.#close(session);
    this.#idle.clear();
    this.#count = 0;
    while (this.#closing.size > 0) await Promise.all(this.#closing);
  }
}
