/** Lets few mailboxes be counted at a time: after a change of quotas it is the turn of all of them. */

const AT_A_TIME = 2;

/** A queue of counts. */
export class Countings {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** Runs it once there is room. */
  async run<T>(count: () => Promise<T>): Promise<T> {
    if (this.#running >= AT_A_TIME) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running++;
    try {
      return await count();
    } finally {
      // The place goes to the next one, or is free.
      const next = this.#waiting.shift();
      if (next !== undefined) next();
      else this.#running--;
    }
  }
}
