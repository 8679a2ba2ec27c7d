/** A spool in memory, for tests of what stands in front of it. It can be made to fail. */

import { memoryContent } from "../../lib/mail/content.ts";
import type { Envelope } from "../../lib/mail/envelope.ts";
import type { QueuedMessage, Reception, Spool } from "../../lib/queue/spool.ts";

/** Where the memory spool fails next. */
export interface SpoolFaults {
  write?: Error;
  commit?: Error;
}

/** A longer message is not in memory while it comes in, as with the spool on the disk. */
const LONG_OCTETS = 64 * 1024;

/** Accepted messages, in order. */
export class MemorySpool implements Spool {
  readonly messages: QueuedMessage[] = [];
  readonly faults: SpoolFaults = {};
  /** Receptions that were begun and not ended. */
  openReceptions = 0;
  #count = 0;

  receive(): Reception {
    const queueId = `q${++this.#count}`;
    const pieces: Uint8Array[] = [];
    let count = 0;
    let isOpen = true;
    this.openReceptions++;
    const end = (): void => {
      if (isOpen) this.openReceptions--;
      isOpen = false;
    };
    return {
      queueId,
      get octets(): number {
        return count;
      },
      get inMemory(): Uint8Array | undefined {
        return count > LONG_OCTETS ? undefined : joined(pieces, count);
      },
      write: (octets) => {
        if (!isOpen) throw new Error(`Cannot write to ${queueId}: its reception has ended`);
        pieces.push(octets.slice());
        count += octets.length;
        return this.faults.write === undefined ? undefined : Promise.reject(this.faults.write);
      },
      commit: (envelope: Envelope) => {
        if (this.faults.commit !== undefined) return Promise.reject(this.faults.commit);
        if (!isOpen) throw new Error(`Cannot commit ${queueId}: its reception has ended`);
        end();
        const message: QueuedMessage = {
          queueId,
          envelope,
          content: memoryContent(joined(pieces, count)),
          recipients: [],
          isHeld: false,
        };
        this.messages.push(message);
        return Promise.resolve(message);
      },
      abort: () => Promise.resolve(end()),
    };
  }

  load(queueId: string): Promise<QueuedMessage | undefined> {
    return Promise.resolve(this.messages.find((message) => message.queueId === queueId));
  }

  append(): Promise<void> {
    return Promise.resolve();
  }

  remove(): Promise<void> {
    return Promise.resolve();
  }

  async *recover(): AsyncGenerator<QueuedMessage> {
    yield* await Promise.resolve(this.messages);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

function joined(pieces: readonly Uint8Array[], octets: number): Uint8Array {
  const whole = new Uint8Array(octets);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
