/**
 * An SMTP server in the test process that keeps what it is given, and answers as a test says. It speaks the minimum
 * (EHLO, MAIL, RCPT, DATA, RSET, QUIT; PIPELINING) and trusts its client.
 */

import { latin1, latin1Octets } from "./maildir.ts";

/** A message that was answered with a positive reply after the final dot. */
export interface SinkMessage {
  readonly reversePath: string;
  readonly recipients: readonly string[];
  /** Octets as characters up to 255, dots unstuffed. */
  readonly text: string;
}

/** What the sink is about to answer. */
export type SinkStep =
  | { readonly kind: "connect" }
  | { readonly kind: "mail"; readonly reversePath: string }
  | { readonly kind: "recipient"; readonly recipient: string }
  | { readonly kind: "content"; readonly message: SinkMessage };

/** Decides on a reply; undefined means the usual positive one. */
export type SinkReply = (step: SinkStep) => string | undefined | Promise<string | undefined>;

/** Where to listen and how to answer. */
export interface SinkOptions {
  readonly hostname?: string;
  /** Default: a free port. */
  readonly port?: number;
  readonly reply?: SinkReply;
}

const OFFER = "250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SMTPUTF8\r\n";

/** The running sink. */
export class SmtpSink implements AsyncDisposable {
  readonly #listener: Deno.TcpListener;
  readonly #reply: SinkReply;
  readonly #sessions = new Map<Deno.Conn, Promise<void>>();
  readonly #serving: Promise<void>;
  /** Everything taken so far. */
  readonly messages: SinkMessage[] = [];
  /** Connections so far. */
  connections = 0;

  /** Starts to listen. */
  constructor({ hostname = "127.0.0.1", port = 0, reply = (): undefined => undefined }: SinkOptions = {}) {
    this.#listener = Deno.listen({ hostname, port });
    this.#reply = reply;
    this.#serving = this.#serve();
  }

  /** The port it listens on. */
  get port(): number {
    return this.#listener.addr.port;
  }

  async #serve(): Promise<void> {
    for await (const connection of this.#listener) {
      this.connections++;
      const session = this.#session(connection).catch(ignoreBrokenConnection).finally(() => {
        this.#sessions.delete(connection);
        close(connection);
      });
      this.#sessions.set(connection, session);
    }
  }

  async #session(connection: Deno.Conn): Promise<void> {
    const lines = new LineReader(connection);
    const send = async (text: string): Promise<void> => {
      const octets = latin1Octets(text);
      for (let at = 0; at < octets.length;) at += await connection.write(octets.subarray(at));
    };
    let reversePath: string | undefined;
    let recipients: string[] = [];
    await send(`${await this.#reply({ kind: "connect" }) ?? "220 sink.example ESMTP"}\r\n`);
    for (let line = await lines.next(); line !== undefined; line = await lines.next()) {
      const verb = line.slice(0, 4).toUpperCase();
      if (verb === "EHLO") {
        await send(OFFER);
      } else if (verb === "MAIL") {
        const path = pathIn(line);
        const reply = await this.#reply({ kind: "mail", reversePath: path }) ?? "250 2.1.0 Fine";
        reversePath = reply.startsWith("2") ? path : undefined;
        recipients = [];
        await send(`${reply}\r\n`);
      } else if (verb === "RCPT" && reversePath !== undefined) {
        const recipient = pathIn(line);
        const reply = await this.#reply({ kind: "recipient", recipient }) ?? "250 2.1.5 Fine";
        if (reply.startsWith("2")) recipients.push(recipient);
        await send(`${reply}\r\n`);
      } else if (verb === "DATA" && reversePath !== undefined && recipients.length > 0) {
        await send("354 Go on\r\n");
        const message = { reversePath, recipients, text: await lines.content() };
        const reply = await this.#reply({ kind: "content", message }) ?? "250 2.0.0 Taken";
        if (reply.startsWith("2")) this.messages.push(message);
        await send(`${reply}\r\n`);
      } else if (verb === "QUIT") {
        await send("221 2.0.0 Bye\r\n");
        return;
      } else {
        await send(verb === "RSET" || verb === "NOOP" ? "250 2.0.0 Fine\r\n" : "503 5.5.1 Not now\r\n");
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#sessions.keys()) close(connection);
    await Promise.all([this.#serving, ...this.#sessions.values()]);
  }
}

function pathIn(line: string): string {
  return /<([^>]*)>/.exec(line)?.[1] ?? "";
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** A client that is killed, or the end of the test, breaks connections. */
function ignoreBrokenConnection(error: unknown): void {
  const isExpected = error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted ||
    error instanceof Deno.errors.UnexpectedEof;
  if (!isExpected) throw error;
}

/** Reads lines and contents from a connection. */
class LineReader {
  readonly #connection: Deno.Conn;
  readonly #buffer = new Uint8Array(65_536);
  #text = "";

  constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  async #more(): Promise<boolean> {
    const count = await this.#connection.read(this.#buffer);
    if (count === null) return false;
    this.#text += latin1(this.#buffer.subarray(0, count));
    return true;
  }

  /** The next line without CRLF; undefined at the end. */
  async next(): Promise<string | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\r\n");
      if (end >= 0) return this.#take(end, 2);
      if (!await this.#more()) return undefined;
    }
  }

  /** Reads up to the final dot. @throws {Deno.errors.UnexpectedEof} When the client breaks off before it. */
  async content(): Promise<string> {
    let from = 0;
    this.#text = `\r\n${this.#text}`;
    for (;;) {
      const end = this.#text.indexOf("\r\n.\r\n", from);
      if (end >= 0) return this.#take(end + 2, 3).replaceAll("\r\n..", "\r\n.").slice(2);
      from = Math.max(0, this.#text.length - 4);
      if (!await this.#more()) throw new Deno.errors.UnexpectedEof("Client broke off inside the content");
    }
  }

  #take(length: number, separator: number): string {
    const taken = this.#text.slice(0, length);
    this.#text = this.#text.slice(length + separator);
    return taken;
  }
}
