/** Waits that have an end. */

import type { Clock } from "../../system/clock.ts";

/**
 * Waits for a promise, but not for longer than a time.
 *
 * @returns True where it was fulfilled in time; what it does later is nobody's concern here.
 * @throws What it was rejected with, in time.
 */
export async function withinTime(clock: Clock, ms: number, waited: Promise<unknown>): Promise<boolean> {
  const timer = new AbortController();
  const late = clock.sleep(ms, timer.signal).then(() => false, () => false);
  try {
    return await Promise.race([waited.then(() => true), late]);
  } finally {
    timer.abort();
  }
}
