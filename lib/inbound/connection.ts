/** One connection from accept to close: the only place that reads and writes. What commands mean is elsewhere. */

import { ContentReader } from "../smtp/content_reader.ts";
import type { ContentProblem } from "../smtp/content_reader.ts";
import type { OctetConn } from "../smtp/octet_conn.ts";
import { type BufferPool, type LineProblem, OctetInput } from "../smtp/octet_input.ts";
import { formatReply, type Reply, reply, SmtpError } from "../smtp/reply.ts";
import { ConnectionEnded } from "./connection_ended.ts";
import { answerLine } from "./dispatch.ts";
import type { InboundTimeouts, Services } from "./services.ts";
import type { Session } from "./session.ts";
import type { ContentSink, Context, Replies, SessionIo } from "./verb.ts";

/** RFC 5321 §4.5.3.1.4 says 512; the parameters of extensions add to it. */
const MAX_COMMAND_OCTETS = 2048;
/** Refused commands in one session; more than a person or a sane client makes. */
const MAX_ERRORS = 20;

const encoder = new TextEncoder();

/** What a connection is made of. */
export interface ConnectionOptions {
  /** Accepted, after the handshake under implicit TLS; the connection closes it. */
  readonly conn: OctetConn;
  /** Fresh: the greeting 220 is not sent yet. */
  readonly session: Session;
  /** What the verbs call. */
  readonly services: Services;
  /** The server's pool: 64 KiB buffers are borrowed while content comes in. */
  readonly pool: BufferPool;
  /** Watched by whoever calls `checkDeadline`. */
  readonly timeouts: InboundTimeouts;
}

/** A connection that is being served. */
export class Connection {
  readonly #session: Session;
  readonly #services: Services;
  readonly #timeouts: InboundTimeouts;
  readonly #input: OctetInput;
  readonly #context: Context;
  #conn: OctetConn;
  /** Replies that are due; they leave together before the next read (RFC 2920 §3.2). */
  #output = "";
  #isClosing = false;
  #isClosed = false;
  #isStopping = false;
  #isReading = false;
  #errors = 0;
  /** Monotonic time at which the client has been silent for too long. */
  #deadlineMs: number;

  /** Takes an accepted connection over; `run` serves it. */
  constructor({ conn, session, services, pool, timeouts }: ConnectionOptions) {
    this.#conn = conn;
    this.#session = session;
    this.#services = services;
    this.#timeouts = timeouts;
    this.#input = new OctetInput(conn, pool);
    this.#deadlineMs = services.clock.monotonic() + timeouts.commandMs;
    const io: SessionIo = {
      send: (message) => this.#queue(message),
      hasMore: () => this.#input.length > 0,
      readLine: (maxOctets) => this.#readLine(maxOctets),
      readContent: (sink) => this.#readContent(sink),
      startTls: () => this.#startTls(),
      close: () => this.#isClosing = true,
    };
    this.#context = { session, services, io };
  }

  /** Serves the client until one side ends. Never throws. */
  async run(): Promise<void> {
    try {
      const { service, settings } = this.#session;
      this.#queue(reply(220, undefined, `${settings.hostname} ${service === "lmtp" ? "LMTP" : "ESMTP"} posthorn`));
      while (!this.#isClosing) await this.#answerNext();
      await this.#flush();
    } catch (error) {
      this.#services.logger.debug("Connection from {client} ended: {error}", {
        client: this.#session.client,
        error: error instanceof Error ? error.message : String(error),
      });
    } finally {
      this.#close();
      this.#input.release();
    }
  }

  /** Ends the connection: at once where it waits for a command, else after the command that runs. */
  stop(): void {
    this.#isStopping = true;
    if (this.#isReading && this.#session.transaction === undefined) {
      this.#endWith(reply(421, "4.3.2", `${this.#session.settings.hostname} is shutting down; try again later`));
    }
  }

  /** Closes it without a word. */
  abort(): void {
    this.#isClosing = true;
    this.#close();
  }

  /** Ends a connection whose client was silent for too long. Called about once a second. */
  checkDeadline(nowMs: number): void {
    if (nowMs < this.#deadlineMs || this.#isClosing) return;
    this.#services.logger.info("Closed connection from {client}: it was silent for too long", {
      client: this.#session.client,
    });
    if (!this.#isReading) return this.abort();
    this.#endWith(
      reply(421, "4.4.2", `${this.#session.settings.hostname} waited too long for you; closing connection`),
    );
  }

  async #answerNext(): Promise<void> {
    const line = this.#input.nextLine(MAX_COMMAND_OCTETS);
    if (line === undefined) {
      this.#input.shrink();
      await this.#flush();
      return await this.#fill(this.#timeouts.commandMs);
    }
    if (!(line instanceof Uint8Array)) return await this.#refuseLine(line);
    const result = answerLine(this.#context, line);
    this.#queueAll(result instanceof Promise ? await result : result);
    if (this.#errors > MAX_ERRORS) {
      this.#queue(reply(421, "4.7.0", "Too many errors; closing connection"));
      this.#isClosing = true;
    } else if (this.#isStopping && this.#session.transaction === undefined) {
      this.#queue(reply(421, "4.3.2", `${this.#session.settings.hostname} is shutting down; try again later`));
      this.#isClosing = true;
    }
  }

  /** A bare CR or LF ends the session: client and server no longer agree on what a line is. */
  async #refuseLine(problem: LineProblem): Promise<void> {
    if (problem.kind === "tooLong") {
      while (!this.#input.skipLine()) await this.#fill(this.#timeouts.commandMs);
      return this.#queueAll(reply(500, "5.5.2", `Line too long; the limit is ${MAX_COMMAND_OCTETS} octets`));
    }
    this.#queueAll(lineRefusal(problem).reply);
    this.#isClosing = true;
  }

  async #readLine(maxOctets: number): Promise<string> {
    for (;;) {
      const line = this.#input.nextLine(maxOctets);
      if (line instanceof Uint8Array) return String.fromCharCode(...line);
      if (line?.kind === "tooLong") {
        while (!this.#input.skipLine()) await this.#fill(this.#timeouts.commandMs);
        throw new SmtpError(500, "5.5.6", `Line too long; the limit is ${maxOctets} octets`);
      }
      if (line !== undefined) {
        this.#isClosing = true;
        throw lineRefusal(line);
      }
      await this.#flush();
      await this.#fill(this.#timeouts.commandMs);
    }
  }

  async #readContent(sink: ContentSink): Promise<ContentProblem | undefined> {
    await this.#flush();
    const reader = new ContentReader();
    let waiting: Promise<void> | undefined;
    const emit = (piece: Uint8Array): void => {
      const accepted = sink.write(piece);
      if (accepted !== undefined) waiting = waiting === undefined ? accepted : Promise.all([waiting, accepted]).then();
    };
    this.#input.grow();
    for (;;) {
      if (this.#input.length > 0) this.#input.consume(reader.push(this.#input.peek(), emit));
      if (waiting !== undefined) await waiting;
      waiting = undefined;
      if (reader.isDone) return reader.problem;
      await this.#fill(this.#timeouts.contentMs);
    }
  }

  async #startTls(): Promise<void> {
    await this.#flush();
    if (this.#input.length > 0) {
      // RFC 3207 §6, CVE-2011-0411: plaintext behind STARTTLS is an injection; checked again after the reply went out.
      throw new ConnectionEnded("plaintext after STARTTLS");
    }
    const conn = await this.#services.startTls(this.#conn);
    this.#conn = conn;
    this.#input.replaceConn(conn);
    this.#session.tls = { protocol: conn.protocol, cipher: conn.cipher };
    this.#session.greeting = undefined;
    this.#session.login = undefined;
    this.#session.transaction = undefined;
  }

  async #fill(timeoutMs: number): Promise<void> {
    this.#deadlineMs = this.#services.clock.monotonic() + timeoutMs;
    this.#isReading = true;
    const isOpen = await this.#input.fill();
    this.#isReading = false;
    if (this.#isClosing) throw new ConnectionEnded("closed by us");
    if (!isOpen) throw new ConnectionEnded("closed by the client");
  }

  #queueAll(replies: Replies): void {
    if ("code" in replies) this.#queue(replies);
    else for (const each of replies) this.#queue(each);
  }

  #queue(message: Reply): void {
    if (message.code >= 400 && message.code !== 421) this.#errors++;
    this.#output += formatReply(message);
  }

  async #flush(): Promise<void> {
    if (this.#output === "") return;
    const octets = encoder.encode(this.#output);
    this.#output = "";
    this.#deadlineMs = this.#services.clock.monotonic() + this.#timeouts.commandMs;
    for (let sent = 0; sent < octets.length;) sent += await this.#conn.write(octets.subarray(sent));
  }

  /** Ends a connection that waits in a read: says why, if the client can hear it, and closes. */
  #endWith(message: Reply): void {
    this.#isClosing = true;
    this.#conn.write(encoder.encode(formatReply(message))).catch(() => {}).finally(() => this.#close());
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }
}

function lineRefusal(problem: Exclude<LineProblem, { kind: "tooLong" }>): SmtpError {
  const what = problem.kind === "bareCr" ? "CR" : "LF";
  const where = `Bare ${what} at octet ${problem.offset}`;
  return new SmtpError(500, "5.5.2", `${where}: a line ends with CRLF (RFC 5321 §2.3.8); closing connection`);
}
