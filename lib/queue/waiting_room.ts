/**
 * Where messages wait: the index of what is due when (`queue_index.ts`), a timer, and the reading back of messages whose
 * time has come. A message whose destination takes nothing for now is not read at all: it is parked until there is room.
 */

import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";
import { Fifo } from "./fifo.ts";
import { QueueIndex } from "./queue_index.ts";
import { LONGEST_REPAIR_MS } from "./settler.ts";
import type { QueuedMessage } from "./spool.ts";

/** What it works with. */
export interface WaitingRoomOptions {
  /** For due times: its monotonic time. */
  readonly clock: Clock;
  /** For messages that cannot be read. */
  readonly logger: Logger;
  /** Reads a message; undefined where it is gone. */
  readonly load: (queueId: string) => Promise<QueuedMessage | undefined>;
  /** Whether the destination of a hop takes a message now; asked once for each message that would be read. */
  readonly admits: (hop: string) => boolean;
  /** Whether there is memory for one more message to work on. */
  readonly mayLoad: () => boolean;
  /** Takes a message whose time has come; `isAtDeadline`: whatever its destination says. */
  readonly begin: (message: QueuedMessage, isAtDeadline: boolean) => void;
}

/** When a message is to be looked at. */
export interface WaitTimes {
  /** Milliseconds until it is due. */
  readonly waitMs: number;
  /** Milliseconds until it has to be looked at whatever its destination says. */
  readonly deadlineWaitMs: number;
  /** The key of its next hop; empty where it has several. */
  readonly hop: string;
}

/** Messages read back from disk at the same time because they are due. */
const MAX_LOADS = 16;
/** Messages parked without a pause: sessions and deliveries want their turn. */
const MAX_MOVES = 1_000;

const SOON_MS = 1_000;

interface Load {
  readonly queueId: string;
  readonly isAtDeadline: boolean;
}

/** The messages that wait. */
export class WaitingRoom {
  readonly #options: WaitingRoomOptions;
  readonly #index: QueueIndex = new QueueIndex();
  /** Taken from the index, to be read next. */
  readonly #toLoad: Fifo<Load> = new Fifo();
  /** Queue ids of those, and of those being read. */
  readonly #loading: Set<string> = new Set();
  #loads = 0;
  #timer: { readonly dueMs: number; readonly controller: AbortController } | undefined;
  #isStopped = false;

  /** Starts empty. */
  constructor(options: WaitingRoomOptions) {
    this.#options = options;
  }

  /** Messages that wait, those being read back included. */
  get size(): number {
    return this.#index.size + this.#loading.size;
  }

  /** Messages that are to be read, or being read. */
  get loading(): number {
    return this.#loading.size;
  }

  /** True for a message that waits. */
  has(queueId: string): boolean {
    return this.#index.has(queueId) || this.#loading.has(queueId);
  }

  /** True for a message that is being read back, or about to be. */
  isLoading(queueId: string): boolean {
    return this.#loading.has(queueId);
  }

  /** How many messages are parked for a hop. */
  parked(hop: string): number {
    return this.#index.parked(hop);
  }

  /** The hops that messages are parked for. */
  get parkedHops(): ReadonlySet<string> {
    return this.#index.parkedHops;
  }

  /** Lets a message wait. */
  add(queueId: string, { waitMs, deadlineWaitMs, hop }: WaitTimes): void {
    const nowMs = this.#options.clock.monotonic();
    this.#index.put(queueId, { dueMs: nowMs + waitMs, deadlineMs: nowMs + deadlineWaitMs, hop });
    this.#arm();
  }

  /** Lets a message wait until its hop has room; where it has several hops, for a second. */
  addParked(queueId: string, times: WaitTimes): void {
    const isOne = times.hop !== "";
    this.add(queueId, { ...times, waitMs: isOne ? SOON_MS * 60 : SOON_MS });
    if (isOne) this.#index.park(queueId);
  }

  /** Keeps a message that an operator holds. */
  addHeld(queueId: string, hop: string): void {
    this.#index.put(queueId, { dueMs: Infinity, hop, isHeld: true });
  }

  /** Takes a message out; false where it does not wait, or is being read. */
  remove(queueId: string): boolean {
    return this.#index.delete(queueId);
  }

  /** Begins to read messages that are parked for a hop, at most so many, and says how many. */
  pull(hop: string, count: number): number {
    if (this.#isStopped) return 0;
    const queueIds = this.#index.unpark(hop, count);
    for (const queueId of queueIds) this.#enqueueLoad({ queueId, isAtDeadline: false });
    if (queueIds.length > 0) this.#tick();
    return queueIds.length;
  }

  /** Looks for what is due: there is room again. */
  look(): void {
    if (this.#loads < MAX_LOADS) this.#tick();
  }

  /** Reads nothing more. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.controller.abort();
  }

  /** Takes what is due, and sets the timer for what comes next. */
  #tick(): void {
    let moves = 0;
    while (!this.#isStopped && this.#loads < MAX_LOADS) {
      const load = this.#toLoad.shift() ?? this.#takeDue();
      if (load === undefined) break;
      if (load !== "parked") this.#load(load);
      else if (++moves >= MAX_MOVES) return this.#armFor(this.#options.clock.monotonic() + 1);
    }
    this.#arm();
  }

  #takeDue(): Load | "parked" | undefined {
    const { clock, admits, mayLoad } = this.#options;
    if (!mayLoad()) return undefined;
    const nowMs = clock.monotonic();
    const entry = this.#index.peekDue(nowMs);
    if (entry === undefined) return undefined;
    const { queueId, hop } = entry;
    const isAtDeadline = entry.deadlineMs <= nowMs;
    if (!isAtDeadline && hop !== "" && !admits(hop)) {
      this.#index.park(queueId);
      return "parked";
    }
    this.#index.delete(queueId);
    this.#loading.add(queueId);
    return { queueId, isAtDeadline };
  }

  #enqueueLoad(load: Load): void {
    this.#loading.add(load.queueId);
    this.#toLoad.push(load);
  }

  async #load({ queueId, isAtDeadline }: Load): Promise<void> {
    const { load, begin, logger } = this.#options;
    this.#loads++;
    try {
      const message = await load(queueId);
      this.#loading.delete(queueId);
      if (message !== undefined && !this.#isStopped) begin(message, isAtDeadline);
    } catch (error) {
      this.#loading.delete(queueId);
      logger.error("{queueId}: cannot read the message, will try again in {waitSeconds}s: {error}", {
        queueId,
        waitSeconds: LONGEST_REPAIR_MS / 1000,
        error,
      });
      this.add(queueId, { waitMs: LONGEST_REPAIR_MS, deadlineWaitMs: Infinity, hop: "" });
    }
    this.#loads--;
    this.#tick();
  }

  #arm(): void {
    const dueMs = this.#index.nextDueMs;
    if (dueMs === undefined || this.#loads >= MAX_LOADS) return;
    // Due, but no memory for it: `look` comes when there is.
    if (dueMs <= this.#options.clock.monotonic() && !this.#options.mayLoad()) return;
    this.#armFor(dueMs);
  }

  #armFor(dueMs: number): void {
    if (this.#isStopped) return;
    if (this.#timer !== undefined && this.#timer.dueMs <= dueMs) return;
    this.#timer?.controller.abort();
    const controller = new AbortController();
    const timer = { dueMs, controller };
    this.#timer = timer;
    const { clock } = this.#options;
    clock.sleep(dueMs - clock.monotonic(), controller.signal).then(() => {
      if (this.#timer === timer) this.#timer = undefined;
      this.#tick();
    }, () => {});
  }
}
