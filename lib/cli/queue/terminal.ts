/** What a command writes to and asks: standard output for results, standard error for people. */

/** The person or script in front of a command. */
export interface Terminal {
  /** Writes a line of results. */
  print(line: string): void;
  /** Writes octets of results as they are. */
  printOctets(octets: Uint8Array): void;
  /** Tells people something. */
  complain(line: string): void;
  /** Asks a yes-or-no question; undefined where nobody can answer, because standard input is no terminal. */
  confirm(question: string): boolean | undefined;
}

/** Results are gathered up to this much before they are written. */
const BUFFER_OCTETS = 32 * 1024;

const encoder = new TextEncoder();

/** The terminal of this process. To be disposed of at the end: results may be waiting. */
export class ProcessTerminal implements Terminal, Disposable {
  #waiting: string[] = [];
  #waitingLength = 0;

  /** Writes a line of results. */
  print(line: string): void {
    this.#waiting.push(line);
    this.#waitingLength += line.length + 1;
    if (this.#waitingLength >= BUFFER_OCTETS) this.#flush();
  }

  /** Writes octets of results as they are. */
  printOctets(octets: Uint8Array): void {
    this.#flush();
    writeSync(Deno.stdout, octets);
  }

  /** Tells people something. */
  complain(line: string): void {
    this.#flush();
    writeSync(Deno.stderr, encoder.encode(`${line}\n`));
  }

  /** Asks on the terminal. */
  confirm(question: string): boolean | undefined {
    this.#flush();
    if (!Deno.stdin.isTerminal()) return undefined;
    writeSync(Deno.stderr, encoder.encode(`${question} [y/N] `));
    const answer = new Uint8Array(256);
    const length = Deno.stdin.readSync(answer) ?? 0;
    return /^\s*y(es)?\s*$/i.test(new TextDecoder().decode(answer.subarray(0, length)));
  }

  /** Writes what is waiting. */
  [Symbol.dispose](): void {
    this.#flush();
  }

  #flush(): void {
    if (this.#waiting.length === 0) return;
    const text = this.#waiting.join("\n");
    this.#waiting = [];
    this.#waitingLength = 0;
    writeSync(Deno.stdout, encoder.encode(`${text}\n`));
  }
}

function writeSync(to: { writeSync(octets: Uint8Array): number }, octets: Uint8Array): void {
  for (let written = 0; written < octets.length;) written += to.writeSync(octets.subarray(written));
}
