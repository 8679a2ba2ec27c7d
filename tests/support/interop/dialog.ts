/** A plain SMTP client that sends what it is told and returns what it hears. */

import { dotStuffed, latin1Octets } from "./maildir.ts";

/** A connection to an SMTP server. */
export class SmtpDialog implements Disposable {
  readonly #connection: Deno.Conn;
  readonly #buffer = new Uint8Array(16_384);
  readonly #decoder = new TextDecoder();
  #pending = "";

  private constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  /** Connects and says EHLO. @returns The dialogue after the reply to EHLO. */
  static async open(port: number, hostname = "127.0.0.1"): Promise<SmtpDialog> {
    const connection = await Deno.connect({ hostname, port });
    // Or the kernel holds the final dot back for 40 ms: it waits for an answer to the content.
    connection.setNoDelay();
    return await SmtpDialog.#greet(connection);
  }

  /** Connects to a listener with implicit TLS, whose certificate is for 127.0.0.1, and says EHLO. */
  static async openTls(port: number, caFile: string): Promise<SmtpDialog> {
    const caCerts = [await Deno.readTextFile(caFile)];
    return await SmtpDialog.#greet(await Deno.connectTls({ hostname: "127.0.0.1", port, caCerts }));
  }

  static async #greet(connection: Deno.Conn): Promise<SmtpDialog> {
    const dialog = new SmtpDialog(connection);
    try {
      dialog.expect("220", await dialog.reply());
      dialog.expect("250", await dialog.command("EHLO client.example"));
      return dialog;
    } catch (error) {
      dialog[Symbol.dispose]();
      throw error;
    }
  }

  /** Sends a line and returns the reply to it. */
  async command(line: string): Promise<string> {
    await this.write(latin1Octets(`${line}\r\n`));
    return await this.reply();
  }

  /** Sends octets as they are. */
  async write(octets: Uint8Array): Promise<void> {
    for (let at = 0; at < octets.length;) at += await this.#connection.write(octets.subarray(at));
  }

  /**
   * Reads one reply: all its lines, joined with LF.
   *
   * @throws {Deno.errors.UnexpectedEof} When the server closes before the reply is whole.
   */
  async reply(): Promise<string> {
    const lines: string[] = [];
    for (;;) {
      const line = await this.#line();
      lines.push(line);
      if (line[3] !== "-") return lines.join("\n");
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
      if (count === null) throw new Deno.errors.UnexpectedEof("SMTP server closed the connection");
      this.#pending += this.#decoder.decode(this.#buffer.subarray(0, count), { stream: true });
    }
  }

  /** Checks the code of a reply. @throws {Error} With the reply where it is another one. */
  expect(code: string, reply: string): void {
    if (!reply.startsWith(code)) throw new Error(`Expected reply ${code}, got: ${reply}`);
  }

  /**
   * Sends one message with its envelope, in one write as PIPELINING allows up to DATA.
   *
   * @param content Ends with CRLF; dots are stuffed here.
   * @returns The first reply that was not positive, else that to the final dot.
   */
  async send(reversePath: string, recipients: readonly string[], content: Uint8Array): Promise<string> {
    const commands = [`MAIL FROM:<${reversePath}>`, ...recipients.map((each) => `RCPT TO:<${each}>`), "DATA"];
    await this.write(latin1Octets(commands.join("\r\n") + "\r\n"));
    const replies: string[] = [];
    for (const _ of commands) replies.push(await this.reply());
    const refusal = replies.find((reply) => !/^[23]/.test(reply));
    const isDataOpen = replies.at(-1)?.startsWith("354") === true;
    if (!isDataOpen) {
      await this.command("RSET");
      return refusal ?? replies.at(-1) ?? "";
    }
    await this.write(dotStuffed(content));
    await this.write(latin1Octets(".\r\n"));
    return await this.reply();
  }

  [Symbol.dispose](): void {
    try {
      this.#connection.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}
