/** Where relayed mail ends: Postfix's smtp-sink. */

import { Daemon } from "../support/interop/daemon.ts";
import { freePort } from "../support/interop/free_port.ts";
import { waitUntil } from "../support/interop/wait.ts";
import { greets } from "./greeting.ts";

/** Debian's load generator and its counterpart. */
export const TOOLS = { source: "/usr/sbin/smtp-source", sink: "/usr/sbin/smtp-sink" } as const;
/** Enough for the last counters. */
const TAIL_OCTETS = 256;

/** smtp-sink, with its count of messages in a file in memory. */
export class Sink implements AsyncDisposable {
  readonly #program: Daemon;
  readonly #counter: string;

  private constructor(readonly port: number) {
    this.#counter = `/dev/shm/posthorn-bench-${port}`;
    const command = [TOOLS.sink, "-c", "-u", "nobody", "-m", "2000", `127.0.0.1:${port}`, "1000"];
    this.#program = new Daemon(["sh", "-c", 'exec "$@" >"$0"', this.#counter, ...command]);
  }

  /** Starts it on a free port and waits until it answers. */
  static async start(): Promise<Sink> {
    const sink = new Sink(freePort());
    await waitUntil(() => greets(sink.port), { what: "smtp-sink to greet", detail: () => sink.#program.log });
    return sink;
  }

  /** Messages that it has answered with 250 since it was started. */
  async messages(): Promise<number> {
    // A line for each command of a million messages is too much to read whenever somebody asks.
    using file = await Deno.open(this.#counter);
    const { size } = await file.stat();
    await file.seek(Math.max(0, size - TAIL_OCTETS), Deno.SeekMode.Start);
    const tail = new Uint8Array(TAIL_OCTETS);
    const counts = new TextDecoder().decode(tail.subarray(0, await file.read(tail) ?? 0));
    return Number([...counts.matchAll(/mesg=(\d+)\r/g)].at(-1)?.[1] ?? 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
    await Deno.remove(this.#counter);
  }
}
