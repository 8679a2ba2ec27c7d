/**
 * What is due when: a binary heap of queue ids by time. It holds nothing else, so a million waiting messages fit into
 * memory; everything about them is on disk.
 */

interface Entry {
  readonly queueId: string;
  dueMs: number;
  /** Where it stands in the heap. */
  position: number;
}

/** Times of one clock, monotonic by choice of the caller, so that setting the wall clock moves nothing. */
export class Scheduler {
  readonly #entries: Map<string, Entry> = new Map();
  readonly #heap: Entry[] = [];

  /** How many messages wait. */
  get size(): number {
    return this.#heap.length;
  }

  /** The time of the first one; undefined when none waits. */
  get nextDueMs(): number | undefined {
    return this.#heap[0]?.dueMs;
  }

  /** True for a message that waits. */
  has(queueId: string): boolean {
    return this.#entries.has(queueId);
  }

  /** Adds a message, or moves it to another time. O(log n). */
  schedule(queueId: string, dueMs: number): void {
    let entry = this.#entries.get(queueId);
    if (entry === undefined) {
      entry = { queueId, dueMs, position: this.#heap.length };
      this.#entries.set(queueId, entry);
      this.#heap.push(entry);
    }
    entry.dueMs = dueMs;
    this.#restore(entry);
  }

  /** Takes the first message that is due; undefined when none is. O(log n). */
  takeDue(nowMs: number): string | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.dueMs > nowMs) return undefined;
    this.delete(first.queueId);
    return first.queueId;
  }

  /** Forgets a message. O(log n). */
  delete(queueId: string): boolean {
    const entry = this.#entries.get(queueId);
    if (entry === undefined) return false;
    this.#entries.delete(queueId);
    const last = this.#heap.pop();
    if (last !== undefined && last !== entry) {
      last.position = entry.position;
      this.#heap[last.position] = last;
      this.#restore(last);
    }
    return true;
  }

  /** Puts an entry in its place after its time, or its position, has changed. */
  #restore(entry: Entry): void {
    for (let parent = this.#parentOf(entry); parent !== undefined; parent = this.#parentOf(entry)) {
      if (parent.dueMs <= entry.dueMs) break;
      this.#swap(parent, entry);
    }
    for (let child = this.#firstChildOf(entry); child !== undefined; child = this.#firstChildOf(entry)) {
      if (child.dueMs >= entry.dueMs) break;
      this.#swap(entry, child);
    }
  }

  #parentOf(entry: Entry): Entry | undefined {
    return entry.position === 0 ? undefined : this.#heap[(entry.position - 1) >> 1];
  }

  /** The child that is due first. */
  #firstChildOf(entry: Entry): Entry | undefined {
    const left = this.#heap[2 * entry.position + 1];
    const right = this.#heap[2 * entry.position + 2];
    return left !== undefined && right !== undefined && right.dueMs < left.dueMs ? right : left;
  }

  #swap(upper: Entry, lower: Entry): void {
    const position = upper.position;
    upper.position = lower.position;
    lower.position = position;
    this.#heap[upper.position] = upper;
    this.#heap[lower.position] = lower;
  }
}
