/** Tells of connections that cannot be accepted, because descriptors or memory run out: in a line a minute, not five a second. */

import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";

/** One line in this time, and one when it is over. */
const LINE_MS = 60_000;

/** The trouble of one listener. */
export class AcceptTrouble {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #address: string;
  #toldMs = -Infinity;
  /** Failures since the last line. */
  #failures = 0;
  #isTold = false;

  /** No trouble yet. @param address Of the listener, for the log. */
  constructor(clock: Clock, logger: Logger, address: string) {
    this.#clock = clock;
    this.#logger = logger;
    this.#address = address;
  }

  /** A connection could not be accepted, and will be tried again. */
  failed(reason: string): void {
    this.#failures++;
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#toldMs < LINE_MS) return;
    this.#logger.error(
      "Cannot accept connections on {address}: {reason}; they wait, and it is tried again until it works " +
        "({failures} failure(s) since the last such line)",
      { address: this.#address, reason, failures: this.#failures },
    );
    this.#toldMs = nowMs;
    this.#failures = 0;
    this.#isTold = true;
  }

  /** A connection was accepted. */
  accepted(): void {
    if (!this.#isTold) return;
    this.#isTold = false;
    this.#logger.info("Connections on {address} are accepted again", { address: this.#address });
  }
}

/** A file descriptor or memory is missing; anything else concerns one connection. */
export function isOutOfResources(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "EMFILE" || code === "ENFILE" || code === "ENOMEM" || code === "ENOBUFS";
}
