/**
 * Decides which job starts next: a limit for all together, a limit for each destination, and a waiting list for each
 * destination, served in turn. A destination that is slow fills its own share and never that of another.
 */

import { Fifo } from "./fifo.ts";
import { PriorityFifo } from "./priority_fifo.ts";

/** How much may run at the same time. */
export interface DispatchLimits {
  /** Jobs in all. */
  readonly total: number;
  /** Jobs of one destination. */
  readonly perDestination: number;
}

interface Destination<T> {
  readonly key: string;
  readonly jobs: PriorityFifo<T>;
  running: number;
  /** It stands in the line of destinations that may start a job. */
  isReady: boolean;
}

/** Starts jobs within the limits. */
export class Dispatcher<T> {
  readonly #start: (job: T) => Promise<void>;
  readonly #destinations: Map<string, Destination<T>> = new Map();
  readonly #ready: Fifo<Destination<T>> = new Fifo();
  #limits: DispatchLimits;
  #running = 0;
  #waiting = 0;
  #isStopped = false;
  #onIdle: (() => void)[] = [];

  /**
   * Takes the limits.
   *
   * @param start Does a job. What it throws ends the process, as it should: it takes care of its own errors.
   */
  constructor(limits: DispatchLimits, start: (job: T) => Promise<void>) {
    this.#limits = limits;
    this.#start = start;
  }

  /** Jobs that are being done. */
  get running(): number {
    return this.#running;
  }

  /** Jobs on waiting lists. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Takes new limits; jobs that run already are not stopped. */
  setLimits(limits: DispatchLimits): void {
    this.#limits = limits;
    for (const destination of this.#destinations.values()) this.#lineUp(destination);
    this.#fill();
  }

  /** Starts the job at once, or when its turn comes: behind those of its destination that have its priority or a higher. */
  submit(key: string, job: T, priority = 0): void {
    let destination = this.#destinations.get(key);
    if (destination === undefined) {
      destination = { key, jobs: new PriorityFifo(), running: 0, isReady: false };
      this.#destinations.set(key, destination);
    }
    destination.jobs.push(job, priority);
    this.#waiting++;
    this.#lineUp(destination);
    this.#fill();
  }

  /** Starts nothing more. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Resolves when nothing runs (any more); after `stop`, for good. */
  idle(): Promise<void> {
    return this.#running === 0 ? Promise.resolve() : new Promise((resolve) => this.#onIdle.push(resolve));
  }

  #lineUp(destination: Destination<T>): void {
    if (destination.isReady || destination.jobs.size === 0) return;
    if (destination.running >= this.#limits.perDestination) return;
    destination.isReady = true;
    this.#ready.push(destination);
  }

  #fill(): void {
    while (!this.#isStopped && this.#running < this.#limits.total) {
      const destination = this.#ready.shift();
      if (destination === undefined) return;
      destination.isReady = false;
      const job = destination.jobs.shift();
      if (job === undefined) continue;
      this.#waiting--;
      this.#running++;
      destination.running++;
      this.#lineUp(destination);
      this.#start(job).finally(() => this.#ended(destination));
    }
  }

  #ended(destination: Destination<T>): void {
    this.#running--;
    destination.running--;
    if (destination.running === 0 && destination.jobs.size === 0) this.#destinations.delete(destination.key);
    else this.#lineUp(destination);
    this.#fill();
    if (this.#running === 0) {
      for (const resolve of this.#onIdle.splice(0)) resolve();
    }
  }
}
