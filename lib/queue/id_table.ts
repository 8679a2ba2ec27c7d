/**
 * Gives queue ids small numbers (slots), by which columns keep what is known about each.
 *
 * An id is kept as its 80 bits, not as a string, in a hash table with chains. The table grows by linear hashing: each new
 * id splits one bucket at most, so that there is never a moment at which all have to move. It takes about 20 octets for
 * each id, where a `Map` takes about 90 and stops for a tenth of a second when it grows to a million.
 *
 * @see Litwin, "Linear hashing: a new tool for file and table addressing" (1980)
 */

import { type Column, integerColumn } from "./columns.ts";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
/** By character code: the five bits of a character, or -1. */
const VALUES: Int8Array = new Int8Array(128).fill(-1);
for (let value = 0; value < ALPHABET.length; value++) VALUES[ALPHABET.charCodeAt(value)] = value;
/** Two characters for each number of ten bits. */
const PAIRS: readonly string[] = Array.from(
  { length: 1024 },
  (_, value) => ALPHABET.charAt(value >> 5) + ALPHABET.charAt(value & 31),
);
const ID_LENGTH = 16;
const FIRST_BUCKETS = 1024;

/** Slots of queue ids. A slot is a whole number from 1; 0 means none. */
export class IdTable {
  /** Characters 1 to 6, 7 to 12, and 13 to 16 of an id. */
  readonly #front: Column = integerColumn();
  readonly #middle: Column = integerColumn();
  readonly #back: Column = integerColumn();
  /** The first slot of each bucket. */
  readonly #heads: Column = integerColumn();
  /** The next slot of the same bucket, or of the list of free ones. */
  readonly #next: Column = integerColumn();
  #buckets = FIRST_BUCKETS;
  /** The largest power of two that is not above the number of buckets. */
  #half = FIRST_BUCKETS;
  #size = 0;
  #used = 0;
  #free = 0;
  // The id that was parsed last.
  #a = 0;
  #b = 0;
  #c = 0;

  /** How many ids there are. */
  get size(): number {
    return this.#size;
  }

  /** The slots that were ever given out since `clear` are those from 1 to this one. */
  get lastSlot(): number {
    return this.#used;
  }

  /** The slot of an id; 0 where it has none. O(1). */
  find(id: string): number {
    return this.#parse(id) ? this.#find() : 0;
  }

  /**
   * The slot of an id, which gets one where it has none. O(1).
   *
   * @throws {RangeError} It is no queue id.
   */
  add(id: string): number {
    if (!this.#parse(id)) throw new RangeError(`"${id}" is no queue id`);
    const found = this.#find();
    if (found !== 0) return found;
    const slot = this.#takeSlot();
    this.#front.set(slot, this.#a);
    this.#middle.set(slot, this.#b);
    this.#back.set(slot, this.#c);
    this.#size++;
    this.#link(slot, this.#bucketOf(hash(this.#a, this.#b, this.#c)));
    if (this.#size > this.#buckets) this.#split();
    return slot;
  }

  /** Takes the slot away from its id; it is given out again. O(1). */
  delete(slot: number): void {
    const bucket = this.#bucketOf(this.#hashOf(slot));
    const next = this.#next.get(slot);
    let at = this.#heads.get(bucket);
    if (at === slot) this.#heads.set(bucket, next);
    else {
      while (this.#next.get(at) !== slot) at = this.#next.get(at);
      this.#next.set(at, next);
    }
    this.#next.set(slot, this.#free);
    this.#free = slot;
    this.#size--;
  }

  /** The id of a slot that has one. */
  idOf(slot: number): string {
    const front = this.#front.get(slot);
    const middle = this.#middle.get(slot);
    const back = this.#back.get(slot);
    return `${PAIRS[front >> 20]}${PAIRS[(front >> 10) & 1023]}${PAIRS[front & 1023]}` +
      `${PAIRS[middle >> 20]}${PAIRS[(middle >> 10) & 1023]}${PAIRS[middle & 1023]}` +
      `${PAIRS[back >> 10]}${PAIRS[back & 1023]}`;
  }

  /** Forgets all, and gives the memory back. */
  clear(): void {
    for (const column of [this.#front, this.#middle, this.#back, this.#heads, this.#next]) column.clear();
    this.#buckets = FIRST_BUCKETS;
    this.#half = FIRST_BUCKETS;
    this.#size = 0;
    this.#used = 0;
    this.#free = 0;
  }

  #parse(id: string): boolean {
    if (id.length !== ID_LENGTH) return false;
    this.#a = bitsOf(id, 0, 6);
    this.#b = bitsOf(id, 6, 12);
    this.#c = bitsOf(id, 12, 16);
    return this.#a >= 0 && this.#b >= 0 && this.#c >= 0;
  }

  #find(): number {
    let slot = this.#heads.get(this.#bucketOf(hash(this.#a, this.#b, this.#c)));
    while (slot !== 0 && !this.#isParsed(slot)) slot = this.#next.get(slot);
    return slot;
  }

  #isParsed(slot: number): boolean {
    return this.#middle.get(slot) === this.#b && this.#front.get(slot) === this.#a && this.#back.get(slot) === this.#c;
  }

  #takeSlot(): number {
    const slot = this.#free;
    if (slot === 0) return ++this.#used;
    this.#free = this.#next.get(slot);
    return slot;
  }

  #link(slot: number, bucket: number): void {
    this.#next.set(slot, this.#heads.get(bucket));
    this.#heads.set(bucket, slot);
  }

  #hashOf(slot: number): number {
    return hash(this.#front.get(slot), this.#middle.get(slot), this.#back.get(slot));
  }

  #bucketOf(hashed: number): number {
    const bucket = hashed & (2 * this.#half - 1);
    return bucket < this.#buckets ? bucket : bucket - this.#half;
  }

  /** Adds one bucket, which takes its share from the one whose turn it is. */
  #split(): void {
    if (this.#buckets === 2 * this.#half) this.#half = this.#buckets;
    const source = this.#buckets - this.#half;
    this.#buckets++;
    let slot = this.#heads.get(source);
    this.#heads.set(source, 0);
    while (slot !== 0) {
      const next = this.#next.get(slot);
      this.#link(slot, this.#bucketOf(this.#hashOf(slot)));
      slot = next;
    }
  }
}

/** The bits of some characters; negative where one is not of the alphabet. */
function bitsOf(id: string, from: number, to: number): number {
  let bits = 0;
  for (let i = from; i < to; i++) {
    const value = VALUES[id.charCodeAt(i)] ?? -1;
    if (value < 0) return -1;
    bits = (bits << 5) | value;
  }
  return bits;
}

/** Mixes the bits; nobody but us chooses ids, so it needs no secret. */
function hash(a: number, b: number, c: number): number {
  let mixed = Math.imul(c ^ Math.imul(b ^ Math.imul(a, 0x9e3779b1), 0x85ebca6b), 0xc2b2ae35);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x27d4eb2f);
  return (mixed ^ (mixed >>> 13)) & 0x3fff_ffff;
}
