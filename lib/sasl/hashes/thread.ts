/**
 * Threads for hashes that this process computes itself: the event loop, on which all mail moves, goes on meanwhile.
 *
 * Starting a thread takes some 25 ms, 15 of them of the event loop. So threads are kept while logins wait in line, and end
 * with the last one: then they cost nothing, and what an argon2 hash took of the memory is free again at once.
 */

import { extname } from "node:path";
import type { SlowHash } from "./password_hash.ts";

/** What a thread is sent; it answers each once, and takes the next one then. */
export interface DeriveJob {
  /** As it was typed. */
  readonly password: string;
  /** Its setting is used. Its costs were bounded when it was parsed, and so is the time this takes. */
  readonly hash: SlowHash;
}

/** What it answers. */
export type DeriveAnswer = { readonly octets: Uint8Array } | { readonly reason: string };

/** Threads that are busy or about to be: as many as hashes are computed at a time, which the caller bounds. */
export class HashThreads {
  readonly #idle: Worker[] = [];

  /** Derives on a thread that is idle, or on a new one. @throws {Error} Where it cannot start, or fails. */
  derive(job: DeriveJob): Promise<Uint8Array> {
    const worker = this.#idle.pop() ?? startThread();
    return new Promise<Uint8Array>((resolve, reject) => {
      const fail = (reason: string): void => {
        worker.terminate();
        reject(new Error(`Cannot derive the ${job.hash.kind} hash of a password: ${reason}`));
      };
      worker.onmessage = ({ data }: MessageEvent<DeriveAnswer>): void => {
        if (!("octets" in data)) return fail(data.reason);
        this.#idle.push(worker);
        resolve(data.octets);
      };
      worker.onerror = (event): void => {
        event.preventDefault();
        fail(event.message);
      };
      worker.postMessage(job);
    });
  }

  /** Ends the threads that do nothing. */
  endIdle(): void {
    for (const worker of this.#idle.splice(0)) worker.terminate();
  }
}

/** Beside this file, and of its kind: TypeScript, or what the tasks `bundle` and `compile` put into the executable. */
function startThread(): Worker {
  const file = `./worker${extname(import.meta.url)}`;
  return new Worker(new URL(file, import.meta.url), { type: "module", name: "password hash" });
}
