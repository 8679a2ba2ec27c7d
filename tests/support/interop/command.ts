/** Running other programs in tests, with input, a time limit and readable errors. */

/** What a program left behind. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How to run a program. */
export interface CommandOptions {
  /** Standard input; empty by default. */
  readonly stdin?: string | Uint8Array<ArrayBuffer>;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** It is killed after this; default 60,000. */
  readonly timeoutMs?: number;
}

/** Runs a program to its end and returns its exit code and output, whatever the code. */
export async function runCommand(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const [program = "", ...args] = command;
  const child = new Deno.Command(program, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(options.timeoutMs ?? 60_000),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  }).spawn();
  const fed = feed(child.stdin, options.stdin ?? "");
  const { code, stdout, stderr } = await child.output();
  await fed;
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Runs a program that has to succeed, and returns its standard output. @throws {Error} With its whole output. */
export async function mustRun(command: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await runCommand(command, options);
  if (result.code !== 0) {
    throw new Error(`${command.join(" ")}: exit code ${result.code}\n${result.stdout}${result.stderr}`);
  }
  return result.stdout;
}

async function feed(
  stdin: WritableStream<Uint8Array<ArrayBuffer>>,
  input: string | Uint8Array<ArrayBuffer>,
): Promise<void> {
  const writer = stdin.getWriter();
  try {
    await writer.write(typeof input === "string" ? new TextEncoder().encode(input) : input);
    await writer.close();
  } catch {
    // A program may end without reading its input.
  }
}

/** Collects the lines of a program's output while it runs. */
export class OutputLines {
  readonly #lines: string[] = [];
  readonly #ends: Promise<void>[] = [];

  /** Reads `stream` to its end in the background. */
  follow(stream: ReadableStream<Uint8Array<ArrayBuffer>>): void {
    this.#ends.push(this.#read(stream));
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + text).split("\n");
      rest = parts.pop() ?? "";
      this.#lines.push(...parts);
    }
    if (rest !== "") this.#lines.push(rest);
  }

  /** All lines so far, those of several streams in the order of arrival. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Resolves when all streams have ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#ends);
  }
}
