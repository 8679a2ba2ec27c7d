/** A plain IMAP client that sends what it is told and returns the lines that it hears. */

import { latin1, latin1Octets } from "./maildir.ts";

/** A connection to an IMAP server, logged in. No literals are read: ask for nothing that comes as one. */
export class ImapDialog implements Disposable {
  readonly #connection: Deno.Conn;
  readonly #buffer = new Uint8Array(16_384);
  #pending = "";
  #tag = 0;

  private constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  /** Connects to loopback and logs in. */
  static async open(port: number, login: { readonly address: string; readonly password: string }): Promise<ImapDialog> {
    const dialog = new ImapDialog(await Deno.connect({ port }));
    try {
      await dialog.#line();
      await dialog.command(`LOGIN "${login.address}" "${login.password}"`);
      return dialog;
    } catch (error) {
      dialog[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Carries out a command.
   *
   * @returns The untagged lines that came with it, without the `* ` in front.
   * @throws {Error} When it does not end with OK.
   */
  async command(line: string): Promise<string[]> {
    const tag = `a${++this.#tag}`;
    const octets = latin1Octets(`${tag} ${line}\r\n`);
    for (let at = 0; at < octets.length;) at += await this.#connection.write(octets.subarray(at));
    const lines: string[] = [];
    for (;;) {
      const reply = await this.#line();
      if (!reply.startsWith(`${tag} `)) lines.push(reply.replace(/^\* /, ""));
      else if (reply.startsWith(`${tag} OK`)) return lines;
      else throw new Error(`IMAP command "${line}" failed: ${reply}`);
    }
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#pending.indexOf("\r\n");
      if (end >= 0) {
        const line = this.#pending.slice(0, end);
        this.#pending = this.#pending.slice(end + 2);
        return line;
      }
      const count = await this.#connection.read(this.#buffer);
      if (count === null) throw new Deno.errors.UnexpectedEof("IMAP server closed the connection");
      this.#pending += latin1(this.#buffer.subarray(0, count));
    }
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}
