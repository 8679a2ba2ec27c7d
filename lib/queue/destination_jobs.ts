/** The jobs that wait for one destination, and which of them goes next. */

import type { DestinationState } from "./destination.ts";
import { Fifo } from "./fifo.ts";
import { PriorityFifo } from "./priority_fifo.ts";

/** A job that waits. */
export interface WaitingJob<T> {
  /** What is to be done. */
  readonly job: T;
  /** Since when it waits; monotonic milliseconds. */
  readonly sinceMs: number;
}

/** What is kept about a destination that jobs go to. */
export interface DestinationJobs<T> {
  /** Its name. */
  readonly key: string;
  /** What is known about it. */
  readonly state: DestinationState;
  /** New jobs that wait. */
  readonly fresh: PriorityFifo<WaitingJob<T>>;
  /** Jobs that wait and were tried before. */
  readonly old: PriorityFifo<WaitingJob<T>>;
  /** Tried although it is closed. */
  readonly forced: Fifo<WaitingJob<T>>;
  /** Counts the turns of new and old. */
  turn: number;
  /** It stands in the line of destinations that may start a job. */
  isReady: boolean;
  /** The time at which it is looked at again. */
  alarm?: AbortController | undefined;
  /** So many jobs that were asked for are on their way, up to this time; those that are not here then come no more. */
  coming: number;
  /** Monotonic time; see `coming`. */
  comeUntilMs: number;
  /** When a job last came or ended; monotonic milliseconds. */
  usedMs: number;
}

/** Nothing waits yet. */
export function destinationJobs<T>(key: string, state: DestinationState): DestinationJobs<T> {
  return {
    key,
    state,
    fresh: new PriorityFifo(),
    old: new PriorityFifo(),
    forced: new Fifo(),
    turn: 0,
    isReady: false,
    coming: 0,
    comeUntilMs: 0,
    usedMs: 0,
  };
}

/** Jobs that wait for their turn, and may be given back. */
export function waitingOf<T>({ fresh, old }: DestinationJobs<T>): number {
  return fresh.size + old.size;
}

/** New mail first, and every fourth time mail that was tried before: neither keeps the other waiting for ever. */
export function takeWaiting<T>(destination: DestinationJobs<T>): WaitingJob<T> | undefined {
  const { fresh, old } = destination;
  const isOldsTurn = old.size > 0 && (fresh.size === 0 || ++destination.turn % 4 === 0);
  return isOldsTurn ? old.shift() : fresh.shift();
}

/** The next one: first what an operator wants tried. */
export function takeJob<T>(destination: DestinationJobs<T>): WaitingJob<T> | undefined {
  return destination.forced.shift() ?? takeWaiting(destination);
}
