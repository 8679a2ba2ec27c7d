/** One connection from accept to close: cuts lines and content, and has them answered. What commands mean is elsewhere. */

import type { ContentProblem } from "../smtp/content_reader.ts";
import type { OctetConn } from "../smtp/octet_conn.ts";
import type { BufferPool, LineProblem } from "../smtp/octet_input.ts";
import { type Reply, reply, SmtpError } from "../smtp/reply.ts";
import type { EndOfTurn } from "../system/end_of_turn.ts";
import { tlsFacts } from "../tls/tls_conn.ts";
import { noteRefusedCertificate } from "./client_certificate.ts";
import { ConnectionEnded } from "./connection_ended.ts";
import { ContentIntake, earnedMs } from "./content_intake.ts";
import { answerLine } from "./dispatch.ts";
import { patienceEnd } from "./patience.ts";
import type { InboundTimeouts, Services } from "./services.ts";
import { bannerOf, resetTransaction, type Session } from "./session.ts";
import type { ContentSink, Context, Replies, SessionIo } from "./verb.ts";
import { Wire } from "./wire.ts";

/** RFC 5321 §4.5.3.1.4 says 512; the parameters of extensions add to it. */
const MAX_COMMAND_OCTETS = 2048;
/** On a submission port AUTH may carry a long initial response (RFC 4954 §4). */
const MAX_SUBMISSION_COMMAND_OCTETS = 12_288 + 64;

/** What a connection is made of. */
export interface ConnectionOptions {
  /** Belongs to the connection from now on. */
  readonly conn: OctetConn;
  /** Fresh, with what is known at accept. */
  readonly session: Session;
  /** The rest of posthorn. */
  readonly services: Services;
  /** Buffers, shared by all connections. */
  readonly pool: BufferPool;
  /** When replies go out; absent: at once. */
  readonly endOfTurn?: Pick<EndOfTurn, "next"> | undefined;
  /** How long the client may take. */
  readonly timeouts: InboundTimeouts;
}

/** A connection that is being served. */
export class Connection implements SessionIo {
  readonly #session: Session;
  readonly #services: Services;
  readonly #timeouts: InboundTimeouts;
  readonly #wire: Wire;
  /** Made for the first content: ten thousand idle connections do without. */
  #intake: ContentIntake | undefined;
  readonly #context: Context;
  readonly #maxCommandOctets: number;
  /** No command is answered any more. */
  #isClosing = false;
  #onEnd = (): void => {};
  #isStopping = false;
  /** The last reply refuses something: the client may be sending, and has to be able to read it. */
  #lingers = false;
  /** When the command that is being waited for must be complete; undefined between two commands. */
  #commandDeadlineMs: number | undefined;

  /** Takes an accepted connection over; `run` serves it. */
  constructor({ conn, session, services, pool, timeouts, endOfTurn }: ConnectionOptions) {
    this.#session = session;
    this.#services = services;
    this.#timeouts = timeouts;
    this.#wire = new Wire({ conn, pool, clock: services.clock, writeMs: timeouts.commandMs, endOfTurn });
    this.#maxCommandOctets = session.service === "submission" ? MAX_SUBMISSION_COMMAND_OCTETS : MAX_COMMAND_OCTETS;
    this.#context = { session, services, io: this };
  }

  /**
   * Serves the client; the promise settles when one side has ended it. Never throws. To be called once.
   *
   * @param pause Comes before the greeting; a client that sends something meanwhile is refused. Absent: greets at once.
   */
  run(pause?: () => Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      this.#onEnd = resolve;
      if (pause === undefined) {
        this.#wire.queue(bannerOf(this.#session));
        this.#serve();
      } else this.#greetAfter(pause());
    });
  }

  /** RFC 5321 §3.1, §4.3.1: a client waits for the greeting. Who does not, does not listen to us later either. */
  async #greetAfter(pause: Promise<void>): Promise<void> {
    let isGreeted = false;
    this.#wire.whenFilled(this.#commandDeadline(), (ended) => {
      if (ended === undefined && !isGreeted) this.#refuseEarlyTalker();
      return ended === undefined ? this.#serve() : this.#finish(ended);
    });
    await pause.catch(() => {});
    if (!this.#wire.isReading || this.#wire.isEnding) return;
    isGreeted = true;
    this.#commandDeadlineMs = undefined;
    this.#wire.waitUntil(this.#commandDeadline());
    // Where this fails, so does the read.
    await this.#wire.sendNow(bannerOf(this.#session)).catch(() => {});
  }

  #refuseEarlyTalker(): void {
    const { client } = this.#session;
    const octets = this.#wire.input.length;
    this.#services.logger.info("Closed connection from {client}: it sent {octets} octets before the greeting", {
      client,
      octets,
    });
    this.#end(reply(554, "5.5.0", "You sent something before this server greeted; closing connection"));
  }

  /** Answers all that has arrived, then waits for more, or ends. Never throws. */
  async #serve(): Promise<void> {
    try {
      while (!this.#isClosing) {
        if (!await this.#answerNext()) return this.#waitForCommand();
      }
      await this.#wire.flush();
      await this.#finish();
    } catch (error) {
      await this.#finish(error);
    }
  }

  async #finish(error?: unknown): Promise<void> {
    if (error !== undefined) this.#noteEnd(error);
    await resetTransaction(this.#session);
    const isEndedByUs = error === undefined || this.#wire.isEnding;
    if (this.#lingers && isEndedByUs && !this.#isStopping) await this.#wire.linger();
    this.#wire.close();
    this.#wire.input.release();
    this.#onEnd();
  }

  #noteEnd(error: unknown): void {
    const { client } = this.#session;
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof ConnectionEnded) {
      this.#services.logger.debug("Connection from {client} ended: {reason}", { client, reason });
    } else {
      this.#services.logger.error("Connection from {client} broke off: {reason}", { client, reason });
    }
  }

  /** Ends the connection: at once where it waits for a command, else after the command that runs. */
  stop(): void {
    this.#isStopping = true;
    if (this.#wire.isEnding) this.#wire.close();
    else if (this.#wire.isReading && !this.#isInContent) this.#wire.endWith(this.#goodbye(), false);
  }

  /** Closes it without a word. */
  abort(): void {
    this.#isClosing = true;
    this.#wire.close();
  }

  /** Ends a connection whose client made us wait for too long. Called about once a second. */
  checkDeadline(nowMs: number): void {
    if (!this.#wire.isOverdue(nowMs)) return;
    if (this.#wire.isEnding || !this.#wire.isReading) return this.abort();
    const { client } = this.#session;
    const { reason, message } = this.#impatience(nowMs);
    this.#services.logger.info("Closed connection from {client}: {reason}", { client, reason });
    this.#lingers = true;
    this.#wire.endWith(message, true);
  }

  /** For what it was that the client took too long, for the log and for itself. */
  #impatience(nowMs: number): { readonly reason: string; readonly message: Reply } {
    if (this.#isInContent && nowMs >= (this.#intake?.paceDeadlineMs ?? Infinity)) {
      return {
        reason: "its content came too slowly",
        message: reply(421, "4.4.2", "The content comes too slowly; closing connection"),
      };
    }
    if (!this.#isInContent && nowMs >= this.#sessionDeadlineMs) {
      return {
        reason: "it brought no message for too long",
        message: reply(421, "4.7.0", "No message came for too long; closing connection"),
      };
    }
    const { hostname } = this.#session.settings;
    return {
      reason: "it was silent for too long",
      message: reply(421, "4.4.2", `${hostname} waited too long for you; closing connection`),
    };
  }

  /** Answers one command, if one is complete. @returns False where the client has to send more first. */
  async #answerNext(): Promise<boolean> {
    const line = this.#wire.input.nextLine(this.#maxCommandOctets);
    if (line === undefined) {
      await this.#wire.flush();
      if (this.#isStopping) this.#end(this.#goodbye());
      return this.#isStopping;
    }
    this.#commandDeadlineMs = undefined;
    if (line instanceof Uint8Array) await this.#answer(line);
    else await this.#refuseLine(line);
    return true;
  }

  async #answer(line: Uint8Array): Promise<void> {
    const result = answerLine(this.#context, line);
    const replies = result instanceof Promise ? await result : result;
    this.#queueAll(replies);
    if (this.#isClosing) this.#lingers = !("code" in replies) || replies.code !== 221;
    await this.#wire.flushIfLong();
    const end = patienceEnd(this.#session.spent);
    if (end === undefined || this.#isClosing) return;
    const { client } = this.#session;
    this.#services.logger.info("Closed connection from {client}: {reply}", { client, reply: end.lines.join(" ") });
    this.#end(end);
  }

  /** A bare CR or LF ends the session: client and server no longer agree on what a line is. */
  async #refuseLine(problem: LineProblem): Promise<void> {
    this.#session.spent.errors++;
    if (problem.kind !== "tooLong") return this.#end(lineRefusal(problem).reply);
    await this.#skipLine();
    this.#wire.queue(reply(500, "5.5.2", `Line too long; the limit is ${this.#maxCommandOctets} octets`));
  }

  async #skipLine(): Promise<void> {
    await this.#wire.flush();
    while (!this.#wire.input.skipLine()) await this.#fillCommand();
    this.#commandDeadlineMs = undefined;
  }

  /** For verbs, like all of `SessionIo`: takes a reply that is not the last one of its command. */
  send(message: Reply): void {
    this.#wire.queue(message);
  }

  /** Whether octets behind the command have arrived. */
  hasMore(): boolean {
    return this.#wire.input.length > 0;
  }

  /** Ends the connection after the reply. */
  close(): void {
    this.#isClosing = true;
  }

  /** Reads content up to the final dot. */
  readContent(sink: ContentSink): Promise<ContentProblem | undefined> {
    return this.#inContent((intake) => intake.readData(sink));
  }

  /** Reads exactly so many octets of content. */
  readChunk(octets: number, sink: ContentSink): Promise<void> {
    return this.#inContent((intake) => intake.readChunk(octets, sink));
  }

  /** Reads one line of at most so many octets. Throws `SmtpError` for a bad one. */
  async readLine(maxOctets: number): Promise<string> {
    for (;;) {
      const line = this.#wire.input.nextLine(maxOctets);
      if (line === undefined) {
        await this.#wire.flush();
        await this.#fillCommand();
        continue;
      }
      this.#commandDeadlineMs = undefined;
      if (line instanceof Uint8Array) return String.fromCharCode(...line);
      if (line.kind === "tooLong") {
        await this.#skipLine();
        throw new SmtpError(500, "5.5.6", `Line too long; the limit is ${maxOctets} octets`);
      }
      this.#isClosing = true;
      throw lineRefusal(line);
    }
  }

  /** The limit is for the whole command (RFC 5321 §4.5.3.2.7), however slowly its octets drip in. */
  #commandDeadline(): number {
    this.#commandDeadlineMs ??= this.#services.clock.monotonic() + this.#timeouts.commandMs;
    return Math.min(this.#commandDeadlineMs, this.#sessionDeadlineMs);
  }

  /** When a session that brings no message ends. */
  get #sessionDeadlineMs(): number {
    const { sinceMs, contentOctets } = this.#session.spent;
    return sinceMs + this.#timeouts.sessionMs + earnedMs(contentOctets, this.#session, this.#timeouts);
  }

  /** The client is in the middle of a message, and not between two commands. */
  get #isInContent(): boolean {
    return this.#intake?.isActive === true;
  }

  /** Between two commands: nothing of this object is suspended while the client is silent. */
  #waitForCommand(): void {
    this.#wire.whenFilled(
      this.#commandDeadline(),
      (ended) => ended === undefined ? this.#serve() : this.#finish(ended),
    );
  }

  async #fillCommand(): Promise<void> {
    await this.#wire.fill(this.#commandDeadline());
  }

  /** Who stops reading in the middle of content must not go on reading commands. */
  async #inContent<T>(read: (intake: ContentIntake) => Promise<T>): Promise<T> {
    this.#intake ??= new ContentIntake({
      wire: this.#wire,
      session: this.#session,
      clock: this.#services.clock,
      timeouts: this.#timeouts,
    });
    try {
      return await read(this.#intake);
    } catch (error) {
      this.#isClosing = true;
      throw error;
    }
  }

  /** Sends what is due, does the handshake and goes on under TLS. Throws `ConnectionEnded` where it fails. */
  async startTls(): Promise<void> {
    await this.#wire.flush();
    if (this.#wire.input.length > 0) {
      // RFC 3207 §6, CVE-2011-0411: plaintext behind STARTTLS is an injection; checked again after the reply went out.
      throw new ConnectionEnded("plaintext after STARTTLS");
    }
    const { client, requestsCertificate } = this.#session;
    try {
      const conn = await this.#services.startTls(this.#wire.conn, requestsCertificate);
      noteRefusedCertificate(conn, client, this.#services.logger);
      this.#wire.replaceConn(conn);
      this.#session.tls = tlsFacts(conn);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#services.logger.info("No TLS with {client}: {reason}", { client, reason });
      throw new ConnectionEnded("the TLS handshake failed", { cause: error });
    }
    this.#session.greeting = undefined;
    this.#session.login = undefined;
    await resetTransaction(this.#session);
  }

  #queueAll(replies: Replies): void {
    if ("code" in replies) this.#wire.queue(replies);
    else for (const each of replies) this.#wire.queue(each);
  }

  #end(message: Reply): void {
    this.#wire.queue(message);
    this.#isClosing = true;
    this.#lingers = true;
  }

  #goodbye(): Reply {
    return reply(421, "4.3.2", `${this.#session.settings.hostname} is shutting down; try again later`);
  }
}

function lineRefusal(problem: Exclude<LineProblem, { kind: "tooLong" }>): SmtpError {
  const what = problem.kind === "bareCr" ? "CR" : "LF";
  const where = `Bare ${what} at octet ${problem.offset}`;
  return new SmtpError(500, "5.5.2", `${where}: a line ends with CRLF (RFC 5321 section 2.3.8); closing connection`);
}
