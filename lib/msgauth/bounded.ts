/** Checks that end in time, whatever DNS does. */

import type { DnsAnswer, RecordData, RecordType, Resolver } from "../dns/resolver.ts";
import { TimeLimitError, withTimeLimit } from "../dns/time_limit.ts";
import type { Clock } from "../system/clock.ts";

/** RFC 7208 §4.6.4: a check should be given at least 20 seconds. */
export const CHECK_TIME_LIMIT_MS = 20_000;

/** How a check ended that did not come to its end. */
export type Unfinished = "time limit" | "given up";

/**
 * Runs a check that heeds a signal, and does not wait for it beyond a time, even where it does not heed it.
 *
 * @param limitMs `Infinity`: the signal is the only limit, and the resolver of the check ends by it; this costs nothing.
 * @param signal Ends the wait earlier.
 * @param onUnfinished The result where the check was not finished.
 */
export async function runBounded<T>(
  clock: Clock,
  limitMs: number,
  signal: AbortSignal | undefined,
  run: (signal: AbortSignal) => Promise<T>,
  onUnfinished: (why: Unfinished) => T,
): Promise<T> {
  if (signal?.aborted) return onUnfinished("given up");
  if (limitMs === Infinity && signal !== undefined) return await run(signal);
  return await withTimeLimit(clock, limitMs, signal, (limited) => {
    const unfinished = new Promise<T>((resolve) => {
      const end = (): void =>
        resolve(onUnfinished(limited.reason instanceof TimeLimitError ? "time limit" : "given up"));
      limited.addEventListener("abort", end, { once: true });
    });
    return Promise.race([run(limited), unfinished]);
  });
}

const GIVEN_UP = { kind: "failed", reason: "given up" } as const;

/** A resolver whose lookups are `failed` once a signal ends, even where the one below does not heed it. */
export function endingResolver(resolver: Resolver, ending: AbortSignal): Resolver {
  // One listener for all lookups: adding and removing one for each costs as much as an answer from the cache.
  const ended = new Promise<typeof GIVEN_UP>((resolve) => {
    ending.addEventListener("abort", () => resolve(GIVEN_UP), { once: true });
  });
  return {
    lookup<T extends RecordType>(name: string, type: T, signal = ending): Promise<DnsAnswer<RecordData[T]>> {
      if (ending.aborted) return Promise.resolve(GIVEN_UP);
      return Promise.race([resolver.lookup(name, type, signal), ended]);
    },
  };
}
