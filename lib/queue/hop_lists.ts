/**
 * Which next hop each message goes to, and for each hop the messages that wait for it, first come, first served. The name
 * of a hop is kept once, and for as long as a message goes there.
 */

import { type Column, integerColumn } from "./columns.ts";

interface Hop {
  readonly key: string;
  readonly handle: number;
  /** Slots that go there, in the list or not. */
  slots: number;
  /** Slots in the list, its first and its last one; 0 where it is empty. */
  listed: number;
  first: number;
  last: number;
}

/** How many messages go to a hop, and how many of them stand in its list. */
export interface HopCounts {
  /** The key of the hop. */
  readonly hop: string;
  /** All of it. */
  readonly messages: number;
  /** In its list. */
  readonly parked: number;
}

/** Slots are whole numbers from 1. All is O(1). */
export class HopLists {
  /** By slot: the handle of its hop; 0 where it has none. */
  readonly #handles: Column = integerColumn();
  /** By slot in a list: the one behind it, and the one in front of it. */
  readonly #behind: Column = integerColumn();
  readonly #before: Column = integerColumn();
  readonly #byKey: Map<string, Hop> = new Map();
  /** By handle, from 1; a handle that is free has none. */
  readonly #byHandle: (Hop | undefined)[] = [undefined];
  readonly #freeHandles: number[] = [];
  /** The keys of those with a list that is not empty. */
  readonly #listed: Set<string> = new Set();

  /** The hops that have a list. */
  get listedHops(): ReadonlySet<string> {
    return this.#listed;
  }

  /** Says that the slot, which is in no list, goes to this hop from now on; an empty key for none. */
  assign(slot: number, key: string): void {
    const before = this.#byHandle[this.#handles.get(slot)];
    if ((before?.key ?? "") === key) return;
    if (before !== undefined) this.#leave(before);
    if (key === "") {
      this.#handles.set(slot, 0);
      return;
    }
    const hop = this.#byKey.get(key) ?? this.#add(key);
    hop.slots++;
    this.#handles.set(slot, hop.handle);
  }

  /** The key of the slot's hop; empty where it has none. */
  hopOf(slot: number): string {
    return this.#byHandle[this.#handles.get(slot)]?.key ?? "";
  }

  /** Puts the slot at the end of the list of its hop; false where it has no hop. */
  push(slot: number): boolean {
    const hop = this.#byHandle[this.#handles.get(slot)];
    if (hop === undefined) return false;
    this.#behind.set(slot, 0);
    this.#before.set(slot, hop.last);
    if (hop.last === 0) hop.first = slot;
    else this.#behind.set(hop.last, slot);
    hop.last = slot;
    if (hop.listed++ === 0) this.#listed.add(hop.key);
    return true;
  }

  /** Takes a slot out of the list it is in. */
  remove(slot: number): void {
    const hop = this.#byHandle[this.#handles.get(slot)];
    if (hop === undefined) return;
    const behind = this.#behind.get(slot);
    const before = this.#before.get(slot);
    if (before === 0) hop.first = behind;
    else this.#behind.set(before, behind);
    if (behind === 0) hop.last = before;
    else this.#before.set(behind, before);
    if (--hop.listed === 0) this.#listed.delete(hop.key);
  }

  /** The first slot in the list of a hop; 0 where that is empty. */
  first(key: string): number {
    return this.#byKey.get(key)?.first ?? 0;
  }

  /** How many are in the list of a hop. */
  listed(key: string): number {
    return this.#byKey.get(key)?.listed ?? 0;
  }

  /** All hops that messages go to. */
  *counts(): Generator<HopCounts> {
    for (const { key, slots, listed } of this.#byKey.values()) yield { hop: key, messages: slots, parked: listed };
  }

  /** Forgets all, and gives the memory back. */
  clear(): void {
    for (const column of [this.#handles, this.#behind, this.#before]) column.clear();
    this.#byKey.clear();
    this.#listed.clear();
    this.#byHandle.length = 1;
    this.#freeHandles.length = 0;
  }

  #add(key: string): Hop {
    const handle = this.#freeHandles.pop() ?? this.#byHandle.length;
    const hop = { key, handle, slots: 0, listed: 0, first: 0, last: 0 };
    this.#byHandle[handle] = hop;
    this.#byKey.set(key, hop);
    return hop;
  }

  #leave(hop: Hop): void {
    hop.slots--;
    if (hop.slots > 0) return;
    this.#byKey.delete(hop.key);
    this.#byHandle[hop.handle] = undefined;
    this.#freeHandles.push(hop.handle);
  }
}
