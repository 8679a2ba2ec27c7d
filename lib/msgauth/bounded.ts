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
  return await withTimeLimit(clock, limitMs, signal, (limited) => {
    const unfinished = new Promise<T>((resolve) => {
      const end = (): void =>
        resolve(onUnfinished(limited.reason instanceof TimeLimitError ? "time limit" : "given up"));
      limited.addEventListener("abort", end, { once: true });
    });
    return Promise.race([run(limited), unfinished]);
  });
}

/** A resolver whose lookups are `failed` once a signal ends, even where the one below does not heed it. */
export function endingResolver(resolver: Resolver, ending: AbortSignal): Resolver {
  return {
    lookup<T extends RecordType>(name: string, type: T, signal = ending): Promise<DnsAnswer<RecordData[T]>> {
      const ended = { kind: "failed", reason: "given up" } as const;
      if (ending.aborted) return Promise.resolve(ended);
      return new Promise((resolve) => {
        const end = (): void => resolve(ended);
        ending.addEventListener("abort", end, { once: true });
        resolver.lookup(name, type, signal).then(resolve, end)
          .finally(() => ending.removeEventListener("abort", end));
      });
    },
  };
}
