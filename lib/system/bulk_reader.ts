/**
 * Reads the beginnings of very many small files in threads of their own: each costs four system calls, and on the event loop
 * nothing but its share of one message. The other side is `bulk_reader_worker.ts`.
 */

import { extname } from "node:path";

/** What a thread is sent. */
export interface BulkJob {
  /** The files. */
  readonly paths: readonly string[];
  /** A file of so many octets or more is not read. */
  readonly maxOctets: number;
}

/** What it answers, in the order of the jobs. */
export interface BulkRead {
  /** The files, one after the other. */
  readonly octets: Uint8Array;
  /** How many octets each file has; -1 where it cannot be read, or is too long. */
  readonly lengths: readonly number[];
}

/** Reads files; disposing of it ends the threads, and what was not answered never is. */
export interface BulkReader extends Disposable {
  /**
   * Reads some files, while others may be asked for already.
   *
   * @throws {Error} The thread cannot start, or broke: no later call will do better.
   */
  read(job: BulkJob): Promise<BulkRead>;
}

/** While one waits for the disk, others read. */
const THREADS = 4;

/** Starts threads, which take jobs in turn. */
export function openBulkReader(): BulkReader {
  const threads = Array.from({ length: THREADS }, () => startThread());
  let turn = 0;
  return {
    read: (job) => {
      turn = (turn + 1) % threads.length;
      return threads[turn]?.read(job) ?? Promise.reject(new RangeError("There is no thread"));
    },
    [Symbol.dispose]: (): void => {
      for (const thread of threads) thread[Symbol.dispose]();
    },
  };
}

/** Beside this file, and of its kind: TypeScript, or what the tasks `bundle` and `compile` put into the executable. */
function startThread(): BulkReader {
  const file = `./bulk_reader_worker${extname(import.meta.url)}`;
  const worker = new Worker(new URL(file, import.meta.url), { type: "module", name: "reader" });
  const waiting: PromiseWithResolvers<BulkRead>[] = [];
  let failure: Error | undefined;
  worker.onmessage = ({ data }: MessageEvent<BulkRead>): void => waiting.shift()?.resolve(data);
  worker.onerror = (event): void => {
    event.preventDefault();
    failure = new Error(`Cannot read files in a thread: ${event.message}`);
    for (const { reject } of waiting.splice(0)) reject(failure);
  };
  return {
    read: (job) => {
      if (failure !== undefined) return Promise.reject(failure);
      const answer = Promise.withResolvers<BulkRead>();
      waiting.push(answer);
      worker.postMessage(job);
      return answer.promise;
    },
    [Symbol.dispose]: () => worker.terminate(),
  };
}
