/** All servers that take part, and where they relay to. */

import type { Bench } from "./bench.ts";
import type { BenchServer } from "./servers.ts";
import { Sink } from "./sink.ts";

/** Running servers, in the order of the contestants; disposing of it stops them. */
export class Running implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;

  private constructor(stack: AsyncDisposableStack, readonly sink: Sink, readonly servers: readonly BenchServer[]) {
    this.#stack = stack;
  }

  /** Starts all servers of the benchmark afresh. @param preload A library for all of their processes. */
  static async start(bench: Bench, preload?: string): Promise<Running> {
    await using stack = new AsyncDisposableStack();
    const sink = stack.use(await Sink.start());
    const servers: BenchServer[] = [];
    for (const contestant of bench.contestants) {
      const server = await bench.start(contestant, sink.port, preload);
      stack.defer(() => server.stop());
      servers.push(server);
    }
    return new Running(stack.move(), sink, servers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
