/** Connects to a host by whichever of its addresses answers first (RFC 8305). */

import type { Clock } from "../../system/clock.ts";
import { ClientError, errorText } from "./client_error.ts";

/** A connection that is being made. */
export interface Racer {
  /** Waits for it. @throws {ClientError} */
  opened(limitMs: number): Promise<void>;
  /** Gives it up. */
  fail(error: ClientError): unknown;
}

/** What the race needs. */
export interface RaceOptions {
  /** For each address, milliseconds. */
  readonly connectMs: number;
  /** Until the next address is tried while the one before gives no answer (RFC 8305 §5), milliseconds. */
  readonly nextAddressMs: number;
  /** For the wait between addresses. */
  readonly clock: Clock;
  /** Aborted: all are given up, with a fault of the kind `aborted`. */
  readonly signal: AbortSignal;
}

/** What came of it. `at` is the index of an address. */
export interface RaceResult<R extends Racer> {
  /** The one that was connected first; absent: none was. */
  readonly winner?: { readonly at: number; readonly racer: R };
  /** Those that failed before. An address that the winner outran is in neither. */
  readonly failures: readonly { readonly at: number; readonly error: ClientError }[];
}

/**
 * Starts with the first address. The next one is tried when one fails, or when nothing has happened for a while; those
 * before go on. The first connection counts, and all others are closed.
 *
 * @param addresses At least one, in the order of preference, families by turns (RFC 8305 §4).
 * @param start Begins to connect.
 */
export function race<A, R extends Racer>(
  addresses: readonly A[],
  start: (address: A) => R,
  options: RaceOptions,
): Promise<RaceResult<R>> {
  return new Race(addresses, start, options).run();
}

class Race<A, R extends Racer> {
  readonly #addresses: readonly A[];
  readonly #start: (address: A) => R;
  readonly #options: RaceOptions;
  readonly #running = new Map<number, R>();
  readonly #failures: { readonly at: number; readonly error: ClientError }[] = [];
  readonly #over = Promise.withResolvers<RaceResult<R>>();
  #next = 0;
  #isOver = false;
  #alarm: AbortController | undefined;

  constructor(addresses: readonly A[], start: (address: A) => R, options: RaceOptions) {
    this.#addresses = addresses;
    this.#start = start;
    this.#options = options;
  }

  async run(): Promise<RaceResult<R>> {
    const { signal } = this.#options;
    const onAbort = (): void => {
      const error = new ClientError("aborted", "Delivery was stopped");
      for (const at of [...this.#running.keys()]) this.#lose(at, error);
    };
    signal.addEventListener("abort", onAbort);
    this.#startNext();
    if (signal.aborted) onAbort();
    try {
      return await this.#over.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #startNext(): void {
    this.#alarm?.abort();
    const at = this.#next++;
    const address = this.#addresses[at];
    if (this.#isOver || address === undefined) return;
    const racer = this.#start(address);
    this.#running.set(at, racer);
    racer.opened(this.#options.connectMs).then(
      () => this.#win(at, racer),
      (error) => this.#lose(at, asClientError(error)),
    );
    if (this.#next === this.#addresses.length) return;
    const { clock, nextAddressMs } = this.#options;
    this.#alarm = new AbortController();
    clock.sleep(nextAddressMs, this.#alarm.signal).then(() => this.#startNext(), () => {});
  }

  #win(at: number, racer: R): void {
    // Two may be connected in the same moment.
    if (this.#running.delete(at)) this.#end({ winner: { at, racer }, failures: this.#failures });
  }

  #lose(at: number, error: ClientError): void {
    const racer = this.#running.get(at);
    if (!this.#running.delete(at)) return;
    racer?.fail(error);
    this.#failures.push({ at, error });
    const isStopped = this.#options.signal.aborted;
    if (!isStopped && this.#next < this.#addresses.length) this.#startNext();
    else if (this.#running.size === 0) this.#end({ failures: this.#failures });
  }

  #end(result: RaceResult<R>): void {
    this.#isOver = true;
    this.#alarm?.abort();
    for (const racer of this.#running.values()) racer.fail(new ClientError("aborted", "Another address was faster"));
    this.#running.clear();
    this.#over.resolve(result);
  }
}

function asClientError(error: unknown): ClientError {
  return error instanceof ClientError ? error : new ClientError("local", errorText(error), { cause: error });
}
