/** A server program of others that runs in the foreground during a test. */

import { OutputLines } from "./command.ts";
import { pause } from "./wait.ts";

const END_TIMEOUT_MS = 10_000;
/** How long children may take to end by themselves where they are not waited for. */
const CHILDREN_MS = 50;

/** How to run and to end it. */
export interface DaemonOptions {
  readonly cwd?: string;
  /**
   * Kills the processes that it started soon after it was told to end: Dovecot waits a second for its log process, and
   * five for one that has just begun.
   */
  readonly killsChildren?: boolean;
}

/** The running program; disposing of it ends it. */
export class Daemon implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #output = new OutputLines();
  readonly #status: Promise<Deno.CommandStatus>;
  readonly #killsChildren: boolean;
  #hasEnded = false;

  /** Starts the program. */
  constructor(command: readonly string[], options: DaemonOptions = {}) {
    this.#killsChildren = options.killsChildren ?? false;
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
    this.#status.then(() => this.#hasEnded = true);
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
    if (this.#killsChildren) await this.#endChildren();
    await this.#status;
    clearTimeout(timer);
    await this.#output.ended();
  }

  /** Again and again, because some are started late. */
  async #endChildren(): Promise<void> {
    for (;;) {
      await pause(CHILDREN_MS);
      // Once it has ended, its number may be another's.
      if (this.#hasEnded) return;
      for (const child of childrenOf(this.#child.pid)) kill(child);
    }
  }
}

/** The processes that a process on Linux started; none where it is gone. */
function childrenOf(pid: number): readonly number[] {
  try {
    const text = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`);
    return text.split(" ").filter((word) => word !== "").map(Number);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function kill(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // It has ended by itself.
  }
}
