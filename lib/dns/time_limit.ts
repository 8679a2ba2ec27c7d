/** Waiting with an end. */

import type { Clock } from "../system/clock.ts";

/** The reason of a signal whose run has ended. */
const OVER = new DOMException("The run has ended", "AbortError");

/** The time limit of {@linkcode withTimeLimit} has passed. */
export class TimeLimitError extends Error {
  /** Tells this error from others. */
  override readonly name = "TimeLimitError";
}

/**
 * Runs something that heeds a signal, and aborts it after a time.
 *
 * @param signal Aborts it earlier, with its own reason.
 * @throws {TimeLimitError} By way of `run`, as the reason of the signal that it was given.
 */
export async function withTimeLimit<T>(
  clock: Clock,
  limitMs: number,
  signal: AbortSignal | undefined,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  clock.sleep(limitMs, controller.signal).then(
    () => controller.abort(new TimeLimitError(`No answer within ${limitMs} ms`)),
    () => {}, // The run ended first.
  );
  try {
    return await run(controller.signal);
  } finally {
    signal?.removeEventListener("abort", onAbort);
    // A reason made once: an exception for each run that ends well would cost more than the rest of this.
    controller.abort(OVER);
  }
}
