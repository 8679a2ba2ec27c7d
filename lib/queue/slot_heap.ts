/** A binary heap of slots by time: what comes next is found at once, and everything else takes O(log n). */

import { type Column, integerColumn, numberColumn } from "./columns.ts";

/** Slots are whole numbers from 1, each in the heap once. Slots of the same time come in an order of no meaning. */
export class SlotHeap {
  /** From 1; position 0 is not used. */
  readonly #slots: Column = integerColumn();
  readonly #times: Column = numberColumn();
  /** By slot: its position, 0 where it is not in the heap. */
  readonly #positions: Column = integerColumn();
  #size = 0;

  /** How many slots are in it. */
  get size(): number {
    return this.#size;
  }

  /** The slot with the earliest time; 0 where the heap is empty. */
  get first(): number {
    return this.#size === 0 ? 0 : this.#slots.get(1);
  }

  /** The earliest time; undefined where the heap is empty. */
  get firstMs(): number | undefined {
    return this.#size === 0 ? undefined : this.#times.get(1);
  }

  /** Adds a slot, or moves it to another time. */
  set(slot: number, timeMs: number): void {
    const position = this.#positions.get(slot);
    if (position === 0) this.#rise(++this.#size, slot, timeMs);
    else this.#restore(position, slot, timeMs);
  }

  /** Removes a slot; false where it was not in the heap. */
  delete(slot: number): boolean {
    const position = this.#positions.get(slot);
    if (position === 0) return false;
    this.#positions.set(slot, 0);
    const lastSlot = this.#slots.get(this.#size);
    const lastMs = this.#times.get(this.#size);
    this.#size--;
    if (lastSlot !== slot) this.#restore(position, lastSlot, lastMs);
    return true;
  }

  /** Forgets all, and gives the memory back. */
  clear(): void {
    for (const column of [this.#slots, this.#times, this.#positions]) column.clear();
    this.#size = 0;
  }

  #restore(position: number, slot: number, timeMs: number): void {
    if (position > 1 && timeMs < this.#times.get(position >> 1)) this.#rise(position, slot, timeMs);
    else this.#sink(position, slot, timeMs);
  }

  #rise(position: number, slot: number, timeMs: number): void {
    let at = position;
    for (let parent = at >> 1; parent > 0 && this.#times.get(parent) > timeMs; parent = at >> 1) {
      this.#place(at, this.#slots.get(parent), this.#times.get(parent));
      at = parent;
    }
    this.#place(at, slot, timeMs);
  }

  #sink(position: number, slot: number, timeMs: number): void {
    let at = position;
    for (let child = this.#earlierChild(at); child !== 0; child = this.#earlierChild(at)) {
      const childMs = this.#times.get(child);
      if (childMs >= timeMs) break;
      this.#place(at, this.#slots.get(child), childMs);
      at = child;
    }
    this.#place(at, slot, timeMs);
  }

  /** The position of the child with the earlier time; 0 where there is no child. */
  #earlierChild(position: number): number {
    const left = 2 * position;
    if (left > this.#size) return 0;
    return left < this.#size && this.#times.get(left + 1) < this.#times.get(left) ? left + 1 : left;
  }

  #place(position: number, slot: number, timeMs: number): void {
    this.#slots.set(position, slot);
    this.#times.set(position, timeMs);
    this.#positions.set(slot, position);
  }
}
