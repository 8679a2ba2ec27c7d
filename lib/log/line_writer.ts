/**
 * Collects lines and writes them together: thousands of log lines a second cost a few hundred writes.
 *
 * One write is under way at a time. While the reader of the pipe sleeps, lines collect up to a bound; what comes then is
 * counted and dropped, because a mail server must go on when its log stands still.
 */

/** Where lines go, and when. */
export interface LineWriterOptions {
  /** Writes octets and says how many were taken. `Deno.stderr` has it. */
  readonly output: { write(octets: Uint8Array): Promise<number> };
  /** Says, as a line, that so many lines were lost. */
  readonly lostLine: (count: number) => string;
  /** Lines wait this long for others. Default 4. */
  readonly collectMs?: number;
  /** Characters that may wait. Default 1 MiB. */
  readonly maxWaiting?: number;
}

/** A bounded buffer of lines in front of an output. Errors of the output are swallowed: there is nowhere to tell them. */
export class LineWriter implements AsyncDisposable {
  readonly #output: LineWriterOptions["output"];
  readonly #lostLine: (count: number) => string;
  readonly #collectMs: number;
  readonly #maxWaiting: number;
  readonly #encoder = new TextEncoder();
  #lines: string[] = [];
  #length = 0;
  #dropped = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The loop that writes; undefined while none runs. */
  #writing: Promise<void> | undefined;

  /** Takes the output and the bounds. */
  constructor({ output, lostLine, collectMs = 4, maxWaiting = 1024 * 1024 }: LineWriterOptions) {
    this.#output = output;
    this.#lostLine = lostLine;
    this.#collectMs = collectMs;
    this.#maxWaiting = maxWaiting;
  }

  /** Lines that were lost for lack of room and are not yet reported. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Adds a line (without its end). An urgent one is written at once, with all before it. Never blocks, never throws. */
  add(line: string, urgent: boolean): void {
    if (this.#length + line.length > this.#maxWaiting) {
      this.#dropped++;
      return;
    }
    this.#lines.push(line);
    this.#length += line.length + 1;
    if (this.#writing !== undefined) return; // Its loop takes this line next.
    if (urgent) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), this.#collectMs);
  }

  /** Writes what waits; resolves when all of it was taken by the output, or after the limit. */
  async flush(limitMs = 1000): Promise<void> {
    this.#start();
    if (this.#writing === undefined) return;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, limitMs);
    await Promise.race([this.#writing, late]);
    clearTimeout(timer);
  }

  /** Flushes, for the end of the program. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#lines.length > 0) this.#writing ??= this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    while (this.#lines.length > 0) {
      const lines = this.#lines;
      this.#lines = [];
      this.#length = 0;
      if (this.#dropped > 0) {
        lines.push(this.#lostLine(this.#dropped));
        this.#dropped = 0;
      }
      await this.#write(this.#encoder.encode(lines.join("\n") + "\n"));
    }
    this.#writing = undefined;
  }

  async #write(octets: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < octets.length;) {
        const taken = await this.#output.write(octets.subarray(at));
        if (taken === 0) return;
        at += taken;
      }
    } catch {
      // Standard error is closed. The server goes on, and tries again with the next lines.
    }
  }
}
