/** A server program of others that runs in the foreground during a test. */

import { OutputLines } from "./command.ts";

const END_TIMEOUT_MS = 10_000;

/** The running program; disposing of it ends it. */
export class Daemon implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #output = new OutputLines();
  readonly #status: Promise<Deno.CommandStatus>;

  /** Starts the program. */
  constructor(command: readonly string[], options: { readonly cwd?: string } = {}) {
    const [program = "", ...args] = command;
    this.#child = new Deno.Command(program, {
      args,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    }).spawn();
    this.#output.follow(this.#child.stdout);
    this.#output.follow(this.#child.stderr);
    this.#status = this.#child.status;
  }

  /** What it wrote so far. */
  get log(): string {
    return this.#output.lines.join("\n");
  }

  /** Process id. */
  get pid(): number {
    return this.#child.pid;
  }

  /** Sends a signal. */
  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Ends the program: SIGTERM, after 10 s SIGKILL. */
  async [Symbol.asyncDispose](): Promise<void> {
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), END_TIMEOUT_MS);
    try {
      this.#child.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // It has ended by itself.
    }
    await this.#status;
    clearTimeout(timer);
    await this.#output.ended();
  }
}
