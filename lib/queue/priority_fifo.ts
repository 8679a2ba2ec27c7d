/** First in, first out among those of one priority; the highest priority goes first (RFC 6710 §5). */

import { Fifo } from "./fifo.ts";

/** Keeps a list for each priority that occurs: in nearly all queues one. */
export class PriorityFifo<T> {
  /** By priority, highest first. */
  readonly #lists: { readonly priority: number; readonly items: Fifo<T> }[] = [];
  #size = 0;

  /** How many are in it. */
  get size(): number {
    return this.#size;
  }

  /** Puts one behind all of its priority. */
  push(item: T, priority: number): void {
    let at = this.#lists.findIndex((list) => list.priority <= priority);
    if (at < 0) at = this.#lists.length;
    let list = this.#lists[at];
    if (list?.priority !== priority) {
      list = { priority, items: new Fifo() };
      this.#lists.splice(at, 0, list);
    }
    list.items.push(item);
    this.#size++;
  }

  /** Takes the first of the highest priority; undefined when there is none. */
  shift(): T | undefined {
    const list = this.#lists[0];
    const item = list?.items.shift();
    if (list === undefined) return undefined;
    if (list.items.size === 0) this.#lists.shift();
    this.#size--;
    return item;
  }
}
