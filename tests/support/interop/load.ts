/**
 * Load for a server that gets killed: clients in the test process send messages that carry their own length and
 * checksum, and remember which ones were acknowledged after the final dot.
 */

import { createHash } from "node:crypto";
import { SmtpDialog } from "./dialog.ts";
import { latin1Octets } from "./maildir.ts";
import { pause } from "./wait.ts";

/** Reads a message of the load back. @returns Its number. @throws {Error} When it is not whole. */
export function checkedLoadNumber(text: string): number {
  const [, number, octets, checksum] = /^X-Load: (\d+)\r\nX-Octets: (\d+)\r\nX-SHA256: ([0-9a-f]{64})\r$/m.exec(text) ??
    [];
  const start = text.indexOf("\r\n\r\n");
  if (number === undefined || start < 0) throw new Error(`Not a message of the load: ${text.slice(0, 2000)}`);
  const body = text.slice(start + 4);
  if (body.length !== Number(octets)) {
    throw new Error(`Message ${number} has a body of ${body.length} octets instead of ${octets}`);
  }
  if (sha256(body) !== checksum) throw new Error(`Message ${number} is damaged: its checksum differs`);
  return Number(number);
}

function sha256(text: string): string {
  return createHash("sha256").update(latin1Octets(text)).digest("hex");
}

/** Lines from which bodies are cut; some begin with a dot. */
const FILLING = Array.from({ length: 20_000 }, (_, line) => {
  const words = Array.from({ length: 8 }, () => Math.random().toString(36).slice(2));
  return `${line % 7 === 0 ? "." : ""}${words.join(" ")}\r\n`;
});

function randomBody(): string {
  const kind = Math.random();
  const lines = kind < 0.9 ? 1 + Math.random() * 80 : kind < 0.985 ? 80 + Math.random() * 1200 : 12_000;
  const first = Math.floor(Math.random() * (FILLING.length - lines));
  return FILLING.slice(first, first + Math.ceil(lines)).join("");
}

/** Who sends to whom. */
export interface LoadOptions {
  readonly port: number;
  readonly reversePath: string;
  /** Each message goes to one of these lists. */
  readonly recipientLists: readonly (readonly string[])[];
  /** Clients that send at the same time. */
  readonly clients: number;
}

/** Running clients. */
export class Load {
  readonly #options: LoadOptions;
  readonly #workers: Promise<void>[];
  #isStopped = false;
  #count = 0;
  /** Messages that were answered with 250 after the final dot: number and recipients. */
  readonly acknowledged = new Map<number, readonly string[]>();

  /** Starts to send; a server that is not there is tried again until it is. */
  constructor(options: LoadOptions) {
    this.#options = options;
    this.#workers = Array.from({ length: options.clients }, () => this.#work());
  }

  /** Messages that were begun. */
  get sent(): number {
    return this.#count;
  }

  /** Ends the clients after their current message. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#workers);
  }

  async #work(): Promise<void> {
    while (!this.#isStopped) {
      try {
        using dialog = await SmtpDialog.open(this.#options.port);
        const messages = 1 + Math.floor(Math.random() * 20);
        for (let message = 0; message < messages && !this.#isStopped; message++) await this.#sendOne(dialog);
      } catch (error) {
        if (!isBrokenConnection(error)) throw error;
        await pause(10);
      }
    }
  }

  async #sendOne(dialog: SmtpDialog): Promise<void> {
    const { reversePath, recipientLists } = this.#options;
    const number = ++this.#count;
    const recipients = recipientLists[number % recipientLists.length] ?? [];
    const body = randomBody();
    const head = [
      `From: <${reversePath}>`,
      `To: ${recipients.join(", ")}`,
      `Message-ID: <load-${number}@client.example>`,
      `X-Load: ${number}`,
      `X-Octets: ${body.length}`,
      `X-SHA256: ${sha256(body)}`,
    ];
    const reply = await dialog.send(reversePath, recipients, latin1Octets(`${head.join("\r\n")}\r\n\r\n${body}`));
    if (!reply.startsWith("250")) throw new Error(`Message ${number} was refused: ${reply}`);
    this.acknowledged.set(number, recipients);
  }
}

function isBrokenConnection(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.UnexpectedEof ||
    error instanceof Deno.errors.ConnectionAborted || error instanceof Deno.errors.NotConnected;
}
