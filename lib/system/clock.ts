/** Time as the rest of posthorn sees it, so that tests can move it. */

/** A source of time and of waiting. */
export interface Clock {
  /** Wall clock, milliseconds since 1970-01-01 UTC. May jump. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes back. For time limits and durations. */
  monotonic(): number;
  /** Waits `ms` milliseconds; rejects with the reason of `signal` when that is aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      // setTimeout holds 31 bits; a longer wait is cut short and its caller looks at the clock again. A part of a
      // millisecond would be cut off: nobody is woken before the time.
      const timer = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, Math.min(Math.max(0, Math.ceil(ms)), 0x7fff_ffff));
      signal?.addEventListener("abort", onAbort, { once: true });
    }),
};
