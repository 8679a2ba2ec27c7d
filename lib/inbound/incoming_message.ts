/** A message on its way in, by DATA or BDAT: what may come in, and how we take responsibility for it. */

import { countFields } from "../mail/header.ts";
import type { Envelope } from "../mail/envelope.ts";
import { isTlsOptional } from "../mail/tls_required.ts";
import { type Draft, Intake } from "../queue/intake.ts";
import type { QueuedMessage } from "../queue/spool.ts";
import type { ContentProblem } from "../smtp/content_reader.ts";
import { type Reply, reply, SmtpError } from "../smtp/reply.ts";
import { isOutOfSpace } from "../system/files.ts";
import { ConnectionEnded } from "./connection_ended.ts";
import { tooBig } from "./extensions.ts";
import { bothOf } from "./content_intake.ts";
import { HeaderWindow } from "./header_window.ts";
import { Judgement } from "./judgement.ts";
import { mailboxRefusal } from "./mailbox_refusal.ts";
import { freshPatience } from "./patience.ts";
import type { Services } from "./services.ts";
import type { Session, Transaction } from "./session.ts";
import { checkAuthors, missingFields } from "./submission.ts";
import { receivedField, sessionFacts } from "./trace.ts";
import type { ContentSink, Context, Replies } from "./verb.ts";

/** More Received fields than this mean a loop (RFC 5321 §6.3: at least 100). */
const MAX_RECEIVED_FIELDS = 100;

/** CRLF: it belongs neither to the header section nor to the body. */
const EMPTY_LINE_OCTETS = 2;

/** Takes the content of the session's transaction; ends with exactly one of `accept`, `refuse` and `abort`. */
export class IncomingMessage implements ContentSink {
  readonly #session: Session;
  readonly #services: Services;
  readonly #transaction: Transaction;
  readonly #intake: Intake;
  readonly #header: HeaderWindow;
  readonly #judgement: Judgement;
  #octets = 0;
  #spoolError: unknown;

  /** Begins a reception. The transaction must be open. */
  constructor({ session, services }: Context) {
    this.#session = session;
    this.#services = services;
    this.#transaction = session.transaction as Transaction;
    this.#header = new HeaderWindow(services.headerMemory, session.settings.limits.headerOctets + 2);
    this.#judgement = new Judgement(session, this.#transaction, services.authentication?.());
    this.#intake = new Intake({
      reception: services.spool.receive(),
      direct: services.direct,
      draft: () => this.#draft(),
    });
  }

  /** Never rejects: what the spool said is kept, because the content must be read to its end all the same. */
  write(piece: Uint8Array): Promise<void> | undefined {
    this.#octets += piece.length;
    if (this.#octets > this.#session.settings.limits.messageOctets) return undefined;
    // Also without a spool: what is wrong with the message is the same, however it is cut.
    const isHeader = !this.#header.isComplete;
    const rest = this.#header.push(piece);
    // What is not kept of the header section will be refused.
    if (rest === undefined || this.#header.isCut) return undefined;
    const head = isHeader ? this.#writeHeader() : undefined;
    this.#judgement.body(isHeader ? rest.subarray(EMPTY_LINE_OCTETS) : rest);
    return bothOf(head, this.#store(rest));
  }

  #writeHeader(): Promise<void> | undefined {
    let waiting: Promise<void> | undefined;
    for (const part of this.#judgement.header(this.#header.octets())) waiting = bothOf(waiting, this.#store(part));
    return waiting;
  }

  #store(octets: Uint8Array): Promise<void> | undefined {
    if (this.#spoolError !== undefined || octets.length === 0) return undefined;
    try {
      return this.#intake.write(octets)?.catch((error) => {
        this.#spoolError = error;
      });
    } catch (error) {
      this.#spoolError = error;
      return undefined;
    }
  }

  /**
   * Sees whether what has come so far may stay.
   *
   * @param problem What the reader found in it.
   * @throws Why not, for `refuse`.
   */
  check(problem: ContentProblem | undefined): void {
    const { messageOctets, headerOctets, headerFields } = this.#session.settings.limits;
    if (problem !== undefined) throw contentRefusal(problem);
    if (this.#octets > messageOctets) throw tooBig(messageOctets);
    if (this.#header.octetCount > headerOctets) {
      throw new SmtpError(552, "5.3.4", `The header section is larger than the limit of ${headerOctets} octets`);
    }
    if (this.#header.fieldCount > headerFields) {
      throw new SmtpError(554, "5.6.0", `The header section has more than ${headerFields} fields`);
    }
    if (this.#header.isCut) {
      throw new SmtpError(452, "4.3.1", "Too much mail with long header sections; try again later");
    }
    if (this.#spoolError !== undefined) throw this.#spoolError;
  }

  /**
   * Makes the complete message durable; only then it is ours (RFC 5321 §6.1).
   *
   * @throws Why it is not accepted, for `refuse`.
   */
  async accept(): Promise<Reply> {
    if (countFields(this.#header.octets(), "received") > MAX_RECEIVED_FIELDS) {
      throw new SmtpError(554, "5.4.6", `More than ${MAX_RECEIVED_FIELDS} Received fields: the message is in a loop`);
    }
    checkAuthors(this.#session, this.#header);
    // A message without a body, and without the empty line.
    if (!this.#header.isComplete) await this.#writeHeader();
    if (this.#spoolError !== undefined) throw this.#spoolError;
    const { queueId, octets } = this.#intake;
    const draft = this.#envelope();
    const { trace, recipients } = draft;
    const nowMs = Date.parse(draft.arrived);
    const { fields, isQuarantined, arcSeal } = await this.#judgement.finish({
      trace,
      recipients,
      nowMs,
    });
    const envelope: Envelope = {
      ...draft,
      trace: fields + trace,
      ...(isQuarantined && { isQuarantined: true }),
      ...(arcSeal === undefined ? {} : { arcSeal }),
    };
    const stored = await this.#intake.commit(envelope);
    if (stored.kind === "refused") throw mailboxRefusal(stored.outcome);
    this.#release();
    // An accepted message shows that the client is no nuisance.
    this.#session.spent = freshPatience(this.#services.clock.monotonic());
    this.#services.logger.info(
      "Accepted {queueId} from <{reversePath}> for {count} recipient(s), {octets} octets, {client}",
      {
        queueId,
        reversePath: envelope.reversePath,
        count: envelope.recipients.filter(({ isExpanded }) => !isExpanded).length,
        octets,
        client: this.#session.client,
        helo: envelope.session.helo,
        protocol: envelope.session.protocol,
        login: envelope.session.login,
        ...this.#found(),
      },
    );
    stored.announce();
    if (stored.queued !== undefined) handOver(this.#services, stored.queued);
    return reply(250, "2.0.0", `Queued as ${queueId}`);
  }

  /**
   * Forgets the message and turns what went wrong into the reply; the detail of our own troubles goes to the log only.
   *
   * @throws {ConnectionEnded} Nobody is there to reply to.
   */
  async refuse(error: unknown): Promise<Reply> {
    await this.abort();
    if (error instanceof ConnectionEnded) throw error;
    const { logger } = this.#services;
    const { client } = this.#session;
    const { reversePath } = this.#transaction;
    if (error instanceof SmtpError) {
      logger.info("Refused message from <{reversePath}>, {client}: {reply}", {
        reversePath,
        client,
        reply: error.message,
        ...this.#found(),
      });
      return error.reply;
    }
    const isFull = isOutOfSpace(error);
    logger.error(
      "Cannot store message {queueId} from <{reversePath}>, {client}: {error}; the client was told to try later",
      { queueId: this.#intake.queueId, reversePath, client, error: isFull ? DISK_IS_FULL : textOf(error) },
    );
    return isFull
      ? reply(452, "4.3.1", "Insufficient storage; try again later")
      : reply(451, "4.3.0", "Local problem; try again later");
  }

  /** Forgets the message. Never throws; does nothing after `accept`. */
  abort(): Promise<void> {
    this.#release();
    return this.#intake.abort();
  }

  /** For log lines. */
  #found(): { readonly auth?: string } {
    const { summary } = this.#judgement;
    return summary === undefined ? {} : { auth: summary };
  }

  #release(): void {
    this.#judgement.abort();
    this.#header[Symbol.dispose]();
  }

  #draft(): Draft | undefined {
    if (!this.#header.isComplete || this.#header.isCut || this.#judgement.isDue) return undefined;
    return { envelope: this.#envelope(), header: this.#header.octets() };
  }

  #envelope(): Envelope {
    const { reversePath, options, accepted, recipients } = this.#transaction;
    const { queueId } = this.#intake;
    const nowMs = this.#services.clock.now();
    const received = receivedField(this.#session, { queueId, nowMs, forwardPaths: accepted });
    return {
      reversePath,
      arrived: new Date(nowMs).toISOString(),
      ...options,
      trace: received + missingFields(this.#session, this.#header, { queueId, nowMs }),
      ...(options.requireTls !== true && isTlsOptional(this.#header.octets()) && { isTlsOptional: true }),
      session: sessionFacts(this.#session),
      recipients,
    };
  }
}

/** One reply for SMTP, one for each accepted RCPT for LMTP (RFC 2033 §4.2). */
export function finalReplies(session: Session, result: Reply): Replies {
  const accepted = session.transaction?.accepted ?? [];
  return session.service === "lmtp" && accepted.length > 0 ? accepted.map(() => result) : result;
}

const DISK_IS_FULL = "the disk of the spool is full, make room";

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The message is durable: whatever goes wrong from here on, the client must not send it again. */
function handOver(services: Services, message: QueuedMessage): void {
  try {
    services.enqueue(message);
  } catch (error) {
    services.logger.error("{queueId}: cannot start delivery, it waits for a restart: {error}", {
      queueId: message.queueId,
      error: textOf(error),
    });
  }
}

function contentRefusal({ kind, offset }: ContentProblem): SmtpError {
  const what = { bareCr: "a bare CR", bareLf: "a bare LF", nul: "a NUL" }[kind];
  return new SmtpError(
    554,
    "5.6.0",
    `The message has ${what} at octet ${offset}; lines end with CRLF (RFC 5321 section 2.3.8)`,
  );
}
