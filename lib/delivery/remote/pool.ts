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
  readonly keys: readonly string[];
  readonly session: Session;
  readonly sinceMs: number;
}

/** Idle connections by key. A key names everything that must be equal: next hop or host, and TLS policy. */
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
    for (let entry = this.#idle.get(key)?.at(-1); entry !== undefined; entry = this.#idle.get(key)?.at(-1)) {
      this.#remove(entry);
      const { session } = entry;
      if (session.connection.isReusable && this.#clock.monotonic() - entry.sinceMs < this.#idleMs) return session;
      this.#close(session);
    }
    return undefined;
  }

  /**
   * Takes a connection back, or closes it where it cannot or should not be used again: then, where the peer said 421, with
   * all others of its keys. Does not wait.
   *
   * @param keys Each of them may be used to take it again.
   */
  give(keys: readonly string[], session: Session): void {
    const { connection, openedMs } = session;
    if (connection.farewell !== undefined) {
      // Who is told to go need not wait to be told so on each connection.
      for (const key of keys) for (const entry of [...this.#idle.get(key) ?? []]) this.#drop(entry);
    }
    const now = this.#clock.monotonic();
    const isSpent = connection.transactions >= this.#maxTransactions || !connection.mayTransact ||
      now - openedMs >= this.#maxAgeMs;
    if (this.#isDisposed || isSpent || !connection.isReusable || this.#count >= this.#maxIdle) {
      return this.#close(session);
    }
    const entry = { keys, session, sinceMs: now };
    for (const key of keys) {
      const idle = this.#idle.get(key);
      if (idle === undefined) this.#idle.set(key, [entry]);
      else idle.push(entry);
    }
    this.#count++;
    this.#startSweep();
  }

  #remove(entry: Idle): void {
    this.#count--;
    for (const key of entry.keys) {
      const left = this.#idle.get(key)?.filter((other) => other !== entry) ?? [];
      if (left.length === 0) this.#idle.delete(key);
      else this.#idle.set(key, left);
    }
  }

  #drop(entry: Idle): void {
    this.#remove(entry);
    this.#close(entry.session);
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
    for (const entry of this.#entries()) {
      if (entry.sinceMs <= oldest || !entry.session.connection.isReusable) this.#drop(entry);
    }
  }

  #entries(): ReadonlySet<Idle> {
    return new Set([...this.#idle.values()].flat());
  }

  /** Closes all with QUIT; connections that are in use are closed when they are given back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    this.#sweep?.abort();
    for (const entry of this.#entries()) this.#drop(entry);
    while (this.#closing.size > 0) await Promise.all(this.#closing);
  }
}
