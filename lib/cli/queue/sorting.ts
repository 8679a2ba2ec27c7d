/** The orders of `queue list`, and how the first N of many messages are found without keeping them all. */

import { domainOf } from "../../mail/mailbox.ts";
import type { QueuedMessage } from "../../queue/spool.ts";
import { stateNameOf } from "./filter.ts";

/** What messages are ordered by. */
export type SortKey = "arrived" | "next" | "size" | "attempts" | "sender" | "domain";

/** What is compared: numbers by value, text by code unit. */
export type SortValue = number | string;

/** The value of a message; `next` is its earliest attempt, `attempts` the most of a recipient, `domain` the first one. */
export function sortValue({ envelope, content, recipients, queueId }: QueuedMessage, key: SortKey): SortValue {
  switch (key) {
    case "arrived":
      return queueId;
    case "next":
      return recipients.reduce(
        (next, state) => stateNameOf(state) === "waiting" ? Math.min(next, state.nextAttemptMs) : next,
        Infinity,
      );
    case "size":
      return content.octets;
    case "attempts":
      return recipients.reduce((most, { attempts }) => Math.max(most, attempts), 0);
    case "sender":
      return envelope.reversePath.toLowerCase();
    case "domain":
      return domainOf(envelope.recipients[0]?.address ?? "");
  }
}

/** Keeps the first of many, and forgets the others as they come. */
export class FirstOf<T> {
  readonly #limit: number;
  readonly #sign: number;
  #kept: { readonly value: SortValue; readonly order: number; readonly item: T }[] = [];
  #count = 0;

  /** Takes how many are wanted; all of them where that is undefined. */
  constructor(limit: number | undefined, isReverse: boolean) {
    this.#limit = limit ?? Infinity;
    this.#sign = isReverse ? -1 : 1;
  }

  /** Takes one. */
  add(value: SortValue, item: T): void {
    this.#kept.push({ value, order: this.#count++, item });
    if (this.#kept.length >= 2 * this.#limit + 64) this.#trim();
  }

  /** The first ones, in order; equals in the order they came. */
  items(): T[] {
    this.#trim();
    return this.#kept.map(({ item }) => item);
  }

  #trim(): void {
    this.#kept.sort((a, b) => this.#sign * compare(a.value, b.value) || a.order - b.order);
    if (this.#kept.length > this.#limit) this.#kept.length = this.#limit;
  }
}

function compare(a: SortValue, b: SortValue): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
