/**
 * What the queue keeps in memory of each message that is not being worked on: when it is due, and where it goes. All else
 * is on disk. It takes about 60 octets for a message, so a million of them fit anywhere.
 *
 * A message is in one of three states:
 *
 * ```
 * waiting   for its time: `takeDue` gives it out then
 * parked    it was due, but its next hop takes nothing now: it stands in the list of the hop, and `unpark` gives it out
 * held      by an operator: nothing gives it out
 * ```
 *
 * It has no clock. Times are of one clock, monotonic by choice of the caller, so that setting the wall clock moves nothing.
 */

import { type Column, numberColumn, octetColumn, PIECE_SLOTS } from "./columns.ts";
import { type HopCounts, HopLists } from "./hop_lists.ts";
import { IdTable } from "./id_table.ts";
import { SlotHeap } from "./slot_heap.ts";

/** What a message in the index is doing. */
export type IndexState = "waiting" | "parked" | "held";

/** What is told about a message. */
export interface IndexTimes {
  /** When it is due. */
  readonly dueMs: number;
  /**
   * When it has to be looked at even though its hop takes nothing: its sender is to be warned, or it expires. Default:
   * Infinity.
   */
  readonly deadlineMs?: number;
  /** The key of its next hop; empty or absent where it has several, or where it is not known. */
  readonly hop?: string;
  /** An operator holds it. */
  readonly isHeld?: boolean;
}

/** A message of the index. */
export interface IndexEntry {
  /** Its queue id. */
  readonly queueId: string;
  /** As it was put. */
  readonly dueMs: number;
  /** As it was put. */
  readonly deadlineMs: number;
  /** As it was put; empty where it has several, or where it is not known. */
  readonly hop: string;
  /** What it does, or did when it was taken: one that was parked is taken because of its deadline. */
  readonly state: IndexState;
}

const STATES: readonly IndexState[] = ["waiting", "parked", "held"];
const WAITING = 0;
const PARKED = 1;
const HELD = 2;

/** The messages that wait. Each operation takes O(log n) at most. */
export class QueueIndex {
  readonly #ids: IdTable = new IdTable();
  /** Waiting by the earlier of due time and deadline, parked by deadline. */
  readonly #heap: SlotHeap = new SlotHeap();
  readonly #hops: HopLists = new HopLists();
  readonly #dues: Column = numberColumn();
  readonly #deadlines: Column = numberColumn();
  readonly #states: Column = octetColumn();
  #parked = 0;
  #held = 0;

  /** How many messages are in it, in whatever state. */
  get size(): number {
    return this.#ids.size;
  }

  /** How many of them are parked. */
  get parkedSize(): number {
    return this.#parked;
  }

  /** How many of them are held. */
  get heldSize(): number {
    return this.#held;
  }

  /** When `takeDue` has something next; undefined where that is never. */
  get nextDueMs(): number | undefined {
    return this.#heap.firstMs;
  }

  /** True for a message of the index. */
  has(queueId: string): boolean {
    return this.#ids.find(queueId) !== 0;
  }

  /** What is known about a message; undefined where it is not in the index. */
  get(queueId: string): IndexEntry | undefined {
    const slot = this.#ids.find(queueId);
    return slot === 0 ? undefined : this.#entry(slot);
  }

  /**
   * Adds a message, or replaces all that is known about it: one that was parked or held waits then, unless it is to be held.
   *
   * @throws {RangeError} The id is none.
   */
  put(queueId: string, { dueMs, deadlineMs = Infinity, hop = "", isHeld = false }: IndexTimes): void {
    const before = this.#ids.size;
    const slot = this.#ids.add(queueId);
    if (this.#ids.size === before) this.#leaveState(slot);
    this.#dues.set(slot, dueMs);
    this.#deadlines.set(slot, deadlineMs);
    this.#hops.assign(slot, hop);
    this.#enterState(slot, isHeld ? HELD : WAITING);
  }

  /** Makes a message due at another time; it is no longer parked then, but held still if it was. False where there is none. */
  reschedule(queueId: string, dueMs: number): boolean {
    const slot = this.#ids.find(queueId);
    if (slot === 0) return false;
    const state = this.#states.get(slot);
    this.#leaveState(slot);
    this.#dues.set(slot, dueMs);
    this.#enterState(slot, state === HELD ? HELD : WAITING);
    return true;
  }

  /** Holds a message, or lets it wait for its time again. False where there is none. */
  setHeld(queueId: string, isHeld: boolean): boolean {
    const slot = this.#ids.find(queueId);
    if (slot === 0) return false;
    if (isHeld !== (this.#states.get(slot) === HELD)) {
      this.#leaveState(slot);
      this.#enterState(slot, isHeld ? HELD : WAITING);
    }
    return true;
  }

  /** Forgets a message; false where there is none. */
  delete(queueId: string): boolean {
    const slot = this.#ids.find(queueId);
    if (slot === 0) return false;
    this.#delete(slot);
    return true;
  }

  /** The message that `takeDue` would give out. */
  peekDue(nowMs: number): IndexEntry | undefined {
    const dueMs = this.#heap.firstMs;
    return dueMs === undefined || dueMs > nowMs ? undefined : this.#entry(this.#heap.first);
  }

  /**
   * Gives out the message that is due first: its due time has come, or its deadline. It leaves the index.
   *
   * @returns Undefined where none is due.
   */
  takeDue(nowMs: number): IndexEntry | undefined {
    const entry = this.peekDue(nowMs);
    if (entry !== undefined) this.#delete(this.#heap.first);
    return entry;
  }

  /**
   * Lets a message that waits stand at the end of the list of its hop until `unpark` comes to it, or its deadline comes.
   * A deadline that is over already makes it due at once: give it a later one (`put`) before. False where there is no such
   * message, it has no hop, or it is held; one that is parked already keeps its place.
   */
  park(queueId: string): boolean {
    const slot = this.#ids.find(queueId);
    if (slot === 0 || this.#states.get(slot) === HELD || this.#hops.hopOf(slot) === "") return false;
    if (this.#states.get(slot) === WAITING) {
      this.#leaveState(slot);
      this.#enterState(slot, PARKED);
    }
    return true;
  }

  /** Gives out up to `count` messages parked for a hop, in the order in which they came. They leave the index. */
  unpark(hop: string, count: number): string[] {
    const taken: string[] = [];
    while (taken.length < count) {
      const slot = this.#hops.first(hop);
      if (slot === 0) break;
      taken.push(this.#ids.idOf(slot));
      this.#delete(slot);
    }
    return taken;
  }

  /** How many messages are parked for a hop. O(1). */
  parked(hop: string): number {
    return this.#hops.listed(hop);
  }

  /** The hops that messages are parked for. */
  get parkedHops(): ReadonlySet<string> {
    return this.#hops.listedHops;
  }

  /** The hops that messages of the index go to, in no order. */
  hops(): Iterable<HopCounts> {
    return this.#hops.counts();
  }

  #entry(slot: number): IndexEntry {
    return {
      queueId: this.#ids.idOf(slot),
      dueMs: this.#dues.get(slot),
      deadlineMs: this.#deadlines.get(slot),
      hop: this.#hops.hopOf(slot),
      state: STATES[this.#states.get(slot)] ?? "waiting",
    };
  }

  #enterState(slot: number, state: number): void {
    this.#states.set(slot, state);
    const deadlineMs = this.#deadlines.get(slot);
    if (state === HELD) this.#held++;
    else if (state === WAITING) this.#heap.set(slot, Math.min(this.#dues.get(slot), deadlineMs));
    else {
      this.#parked++;
      this.#hops.push(slot);
      if (deadlineMs < Infinity) this.#heap.set(slot, deadlineMs);
    }
  }

  #leaveState(slot: number): void {
    const state = this.#states.get(slot);
    this.#heap.delete(slot);
    if (state === HELD) this.#held--;
    if (state !== PARKED) return;
    this.#parked--;
    this.#hops.remove(slot);
  }

  #delete(slot: number): void {
    this.#leaveState(slot);
    this.#hops.assign(slot, "");
    this.#ids.delete(slot);
    // After a flood the memory goes back when the queue is empty.
    if (this.#ids.size === 0 && this.#ids.lastSlot > PIECE_SLOTS) this.#clear();
  }

  #clear(): void {
    for (const part of [this.#ids, this.#heap, this.#hops, this.#dues, this.#deadlines, this.#states]) part.clear();
  }
}
