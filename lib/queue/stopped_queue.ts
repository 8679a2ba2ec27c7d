/**
 * What operators ask of a queue that no server runs on. The lock of the spool is held meanwhile, so no server starts; and
 * all that happens to a message is one append to its journal, or its removal: killed at any moment, it is as before or as
 * asked. The next start does the rest, such as the DSN of `fail`.
 */

import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";
import { type Files, parentOf } from "../system/files.ts";
import { JournalWriter } from "./journal_writer.ts";
import { messagePath, readMessage } from "./list_spool.ts";
import { type Changes, givenUp, held, released, retried } from "./operator_events.ts";
import type { ControlResult, DestinationStatus, QueueControl } from "./queue_control.ts";
import { lockSpool } from "./spool_lock.ts";
import { openSuspensions, type Suspension, type SuspensionStore } from "./suspensions.ts";

/** What a stopped queue is opened with. */
export interface StoppedQueueOptions {
  /** The spool folder. */
  readonly folder: string;
  /** The file system. */
  readonly files: Files;
  /** The time, for events. */
  readonly clock: Pick<Clock, "now">;
  /** Hears of suspensions that cannot be understood. */
  readonly logger: Logger;
  /** For the one who finds the spool locked: `Deno.pid`. */
  readonly processId: number;
}

/** A stopped queue; disposing of it gives the lock back. */
export type StoppedQueue = QueueControl & Disposable;

/**
 * Opens the queue of a server that does not run: takes the lock of its spool.
 *
 * @throws {SpoolInUseError} A server, or another command, has it.
 * @throws {Deno.errors.NotFound} There is no spool folder yet.
 */
export async function openStoppedQueue(options: StoppedQueueOptions): Promise<StoppedQueue> {
  const { files, folder, processId } = options;
  const lock = await lockSpool({ files, folder, path: `${folder}/lock`, processId });
  try {
    return new FileQueue(options, await openSuspensions(options), lock);
  } catch (error) {
    lock.close();
    throw error;
  }
}

class FileQueue implements StoppedQueue {
  readonly #options: StoppedQueueOptions;
  readonly #suspensions: SuspensionStore;
  readonly #lock: { close(): void };
  readonly #journals: JournalWriter;

  constructor(options: StoppedQueueOptions, suspensions: SuspensionStore, lock: { close(): void }) {
    this.#options = options;
    this.#suspensions = suspensions;
    this.#lock = lock;
    this.#journals = new JournalWriter(options.files);
  }

  retry(queueId: string): Promise<ControlResult> {
    return this.#append(queueId, retried);
  }

  hold(queueId: string): Promise<ControlResult> {
    return this.#append(queueId, held);
  }

  release(queueId: string): Promise<ControlResult> {
    return this.#append(queueId, released);
  }

  async remove(queueId: string): Promise<ControlResult> {
    const { files, folder } = this.#options;
    if (await readMessage(files, folder, queueId) === undefined) return "unknown";
    const path = messagePath(folder, queueId);
    await files.remove(path);
    const bucket = await files.open(parentOf(path), { read: true });
    try {
      await bucket.sync();
    } finally {
      bucket.close();
    }
    return "done";
  }

  fail(queueId: string, reason: string): Promise<ControlResult> {
    return this.#append(queueId, givenUp(reason));
  }

  suspend(pattern: string, reason: string): Promise<boolean> {
    return this.#suspensions.add(pattern, reason);
  }

  resume(pattern: string): Promise<boolean> {
    return this.#suspensions.remove(pattern);
  }

  suspensions(): readonly Suspension[] {
    return this.#suspensions.list();
  }

  destinations(): readonly DestinationStatus[] {
    return [];
  }

  destinationOf(): undefined {
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#lock.close();
  }

  async #append(
    queueId: string,
    changes: Changes,
  ): Promise<ControlResult> {
    const { files, folder, clock } = this.#options;
    const read = await readMessage(files, folder, queueId);
    if (read === undefined) return "unknown";
    const events = changes(read.message, new Date(clock.now()).toISOString());
    if (events.length > 0) await this.#journals.append(queueId, messagePath(folder, queueId), events);
    return "done";
  }
}
