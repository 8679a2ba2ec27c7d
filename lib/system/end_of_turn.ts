/**
 * The end of a turn of the event loop: what all sockets brought in it has been looked at. Who answers then answers with others,
 * and their readers are woken once instead of once for each answer.
 */

import process from "node:process";

/** Waits for the end of the turn; who waits in the same one shares it. */
export class EndOfTurn {
  #end: Promise<void> | undefined;

  /**
   * Settles behind everything that follows from what has arrived already; some microseconds later where nothing has. Made of
   * `nextTick`, because `setImmediate` takes a millisecond on a runtime before Deno 2.9 when there is nothing else to do.
   */
  next(): Promise<void> {
    return this.#end ??= new Promise((resolve) => {
      process.nextTick(() => {
        this.#end = undefined;
        resolve();
      });
    });
  }
}
