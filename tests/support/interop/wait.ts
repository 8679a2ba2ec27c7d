/** Waiting for something that another process does: asks again and again until it is there or the time is up. */

/** How long to wait and how to name what is waited for. */
export interface WaitOptions {
  /** Named in the error, e.g. `2 messages in alice@example.org`. */
  readonly what: string;
  /** Default 15,000. */
  readonly timeoutMs?: number;
  /** Pause between two looks; default 25. */
  readonly everyMs?: number;
  /** Added to the error, e.g. the log of a server. */
  readonly detail?: () => string;
}

/** Resolves after `ms` milliseconds of real time. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Calls `look` until it returns something other than undefined, and returns that.
 *
 * @throws {Error} When the time is up: what was waited for, and the detail.
 */
export async function waitUntil<T>(
  look: () => T | undefined | Promise<T | undefined>,
  { what, timeoutMs = 15_000, everyMs = 25, detail }: WaitOptions,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end) {
      throw new Error(`Waited ${timeoutMs} ms in vain for ${what}${detail ? `\n${detail()}` : ""}`);
    }
    await pause(everyMs);
  }
}
