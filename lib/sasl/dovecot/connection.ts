/**
 * One connection to Dovecot: the handshake, and any number of exchanges at a time, each with an id of its own. Whatever
 * breaks the protocol, or is silent for too long, breaks the connection; making another one is left to `client.ts`.
 *
 * Without exchanges it is closed after some seconds, because Dovecot waits for its clients: `systemctl stop dovecot` took
 * 30 s while one was connected, and after a reload an old connection is answered by the old configuration.
 */

import type { Clock } from "../../system/clock.ts";
import { type DovecotMechanism, Handshake } from "./handshake.ts";
import { DovecotProtocolError, type FailCode, formatLine, parseServerLine, type ServerLine } from "./line.ts";
import { LineCutter } from "./line_cutter.ts";

/** A stream of octets in both directions, as `Deno.Conn` is. */
export interface DovecotSocket {
  /** Reads what is there; null after the last octet. */
  read(into: Uint8Array): Promise<number | null>;
  /** Writes octets and returns how many were taken. */
  write(octets: Uint8Array): Promise<number>;
  /** Ends the connection; a read or write under way ends. */
  close(): void;
}

/** What a connection works with. */
export interface DovecotConnectionOptions {
  /** Belongs to the connection from now on. */
  readonly socket: DovecotSocket;
  /** For the time limits. */
  readonly clock: Clock;
  /** What Dovecot shall take for our process id: 31 bits that no other client of it has. */
  readonly clientId: number;
}

/** What Dovecot says in an exchange. */
export type DovecotAnswer =
  | { readonly kind: "challenge"; readonly octets: Uint8Array }
  | { readonly kind: "accepted"; /** As Dovecot names the user. */ readonly user: string | undefined }
  | { readonly kind: "refused"; readonly code: FailCode | undefined }
  /** No answer will come: it took too long, the connection broke, or what the client sent does not fit into a line. */
  | { readonly kind: "lost" };

/** One exchange. `start` once, then `respond` after each challenge; `end` when the client gives up. */
export interface DovecotExchange {
  /**
   * Begins it.
   *
   * @param mechanism One that Dovecot offered.
   * @param parameters E.g. `secured`; of the protocol, in order.
   * @param initial The initial response; undefined: there is none.
   */
  start(mechanism: string, parameters: readonly string[], initial: Uint8Array | undefined): Promise<DovecotAnswer>;
  /** Answers a challenge. */
  respond(response: Uint8Array): Promise<DovecotAnswer>;
  /** Gives the place free; where Dovecot waits for a response, it hears that none will come. */
  end(): void;
}

/** The connection was closed because there was no exchange on it. */
export class IdleError extends Error {
  /** Tells this error from others. */
  override readonly name = "IdleError";
}

/** An exchange as the connection sees it. */
interface OpenExchange {
  readonly id: number;
  /** Dovecot has heard of it. */
  isKnown: boolean;
  /** Who waits for an answer. */
  waiting: ((answer: DovecotAnswer) => void) | undefined;
  /** Dovecot gave up before we asked again. */
  verdict: DovecotAnswer | undefined;
}

/** Exchanges at a time; each is a client in the middle of AUTH. */
const MAX_EXCHANGES = 1_000;
/** Dovecot holds wrong passwords back for some seconds, and those of a client that guesses for up to 17. */
export const ANSWER_LIMIT_MS = 60_000;
/** For connecting, and for the handshake. */
export const HANDSHAKE_LIMIT_MS = 10_000;
/** A connection without an exchange is closed after this time. */
export const IDLE_LIMIT_MS = 5_000;
/** Octets that Dovecot has not taken yet; beyond this it does not read any more. */
const MAX_UNSENT_OCTETS = 2 ** 20;

/** A connection; {@linkcode run} serves it. */
export class DovecotConnection {
  readonly #socket: DovecotSocket;
  readonly #clock: Clock;
  readonly #clientId: number;
  readonly #exchanges = new Map<number, OpenExchange>();
  #stopIdling = (): void => {};
  #lastId = 0;
  #lines = 0;
  #failure: Error | undefined;
  #unsent: Uint8Array[] = [];
  #unsentOctets = 0;
  #isWriting = false;

  /** Takes a socket over that is connected. */
  constructor({ socket, clock, clientId }: DovecotConnectionOptions) {
    this.#socket = socket;
    this.#clock = clock;
    this.#clientId = clientId;
  }

  /**
   * Shakes hands and takes answers until the connection ends. Never rejects.
   *
   * @param onOpen Called once, when exchanges may begin.
   * @returns Why it ended.
   */
  async run(onOpen: (mechanisms: readonly DovecotMechanism[]) => void): Promise<Error> {
    const handshake = new Handshake();
    const cutter = new LineCutter();
    const into = new Uint8Array(4096);
    const stopAlarm = this.#alarm(
      HANDSHAKE_LIMIT_MS,
      () => this.close(new Error(`it has not finished the handshake in ${HANDSHAKE_LIMIT_MS / 1000} s`)),
    );
    this.#send("VERSION", "1", "1");
    this.#send("CPID", `${this.#clientId}`);
    try {
      while (this.#failure === undefined) {
        const count = await this.#socket.read(into);
        if (count === null) throw new Error("it closed the connection");
        cutter.push(into.subarray(0, count), (octets) => {
          const line = parseServerLine(octets);
          if (handshake.mechanisms !== undefined) return this.#take(line);
          handshake.take(line);
          if (handshake.mechanisms === undefined) return;
          stopAlarm();
          this.#idle();
          onOpen(handshake.mechanisms);
        });
      }
    } catch (error) {
      this.close(asError(error));
    }
    stopAlarm();
    return this.#failure ?? new Error("it was closed");
  }

  /** It has ended, or is about to: no exchange comes to anything any more. */
  get isClosed(): boolean {
    return this.#failure !== undefined;
  }

  /** Opens an exchange; undefined where too many are open. */
  begin(): DovecotExchange | undefined {
    if (this.#exchanges.size >= MAX_EXCHANGES) return undefined;
    this.#stopIdling();
    const exchange: OpenExchange = { id: this.#nextId(), isKnown: false, waiting: undefined, verdict: undefined };
    if (this.#failure === undefined) this.#exchanges.set(exchange.id, exchange);
    else exchange.verdict = { kind: "lost" };
    const id = `${exchange.id}`;
    return {
      start: (mechanism, parameters, initial) => {
        // The empty response is "=", as in RFC 4954 §4. It must be the last parameter.
        const resp = initial === undefined ? [] : [`resp=${initial.length === 0 ? "=" : initial.toBase64()}`];
        return this.#ask(exchange, "AUTH", id, mechanism, ...parameters, ...resp);
      },
      respond: (response) => this.#ask(exchange, "CONT", id, response.toBase64()),
      end: () => this.#settle(exchange, { kind: "lost" }, true),
    };
  }

  /** Closes the connection; who waits for an answer gets `lost`. */
  close(reason: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = reason;
    this.#stopIdling();
    try {
      this.#socket.close();
    } catch {
      // It is closed already.
    }
    for (const exchange of [...this.#exchanges.values()]) this.#settle(exchange, { kind: "lost" });
  }

  #ask(exchange: OpenExchange, ...words: readonly [string, ...string[]]): Promise<DovecotAnswer> {
    const octets = formatLine(...words);
    if (octets === undefined) this.#settle(exchange, { kind: "lost" }, true);
    if (exchange.verdict !== undefined || octets === undefined) {
      return Promise.resolve(exchange.verdict ?? { kind: "lost" });
    }
    const { promise, resolve } = Promise.withResolvers<DovecotAnswer>();
    const linesBefore = this.#lines;
    const stopAlarm = this.#alarm(ANSWER_LIMIT_MS, () => {
      const reason = new Error(`it has not answered for ${ANSWER_LIMIT_MS / 1000} s`);
      // One login may hang at a back end of Dovecot; where nothing came at all, Dovecot itself does.
      if (this.#lines === linesBefore) this.close(reason);
      else this.#settle(exchange, { kind: "lost" }, true);
    });
    exchange.isKnown = true;
    exchange.waiting = (answer) => {
      stopAlarm();
      resolve(answer);
    };
    this.#write(octets);
    return promise;
  }

  #take(line: ServerLine): void {
    this.#lines++;
    if (line.kind === "other" || line.kind === "mech") return;
    if (line.kind === "version" || line.kind === "done") {
      throw new DovecotProtocolError("it begins a handshake in the middle of the connection");
    }
    const exchange = this.#exchanges.get(line.id);
    // The answer to an exchange that was given up meanwhile.
    if (exchange === undefined) return;
    if (!exchange.isKnown) throw new DovecotProtocolError("it answers before it was asked");
    // It may lose its patience with a client that does not respond.
    if (line.kind === "fail") return this.#settle(exchange, { kind: "refused", code: line.code });
    const { waiting } = exchange;
    if (waiting === undefined) throw new DovecotProtocolError("it goes on before the response to its challenge");
    if (line.kind === "ok") return this.#settle(exchange, { kind: "accepted", user: line.user });
    exchange.waiting = undefined;
    waiting({ kind: "challenge", octets: line.octets });
  }

  /** Ends an exchange with its last answer, which waits until somebody asks for it. */
  #settle(exchange: OpenExchange, answer: DovecotAnswer, mustCancel = false): void {
    if (!this.#exchanges.delete(exchange.id)) return;
    if (mustCancel && exchange.isKnown && this.#failure === undefined) this.#send("CANCEL", `${exchange.id}`);
    exchange.verdict = answer;
    exchange.waiting?.(answer);
    exchange.waiting = undefined;
    if (this.#exchanges.size === 0 && this.#failure === undefined) this.#idle();
  }

  #idle(): void {
    this.#stopIdling();
    this.#stopIdling = this.#alarm(IDLE_LIMIT_MS, () => this.close(new IdleError("There was no login for a while")));
  }

  /** 32 bits; the ids of exchanges that go on are passed over. */
  #nextId(): number {
    do this.#lastId = this.#lastId >= 0xffff_ffff ? 1 : this.#lastId + 1; while (this.#exchanges.has(this.#lastId));
    return this.#lastId;
  }

  /** Does something when the time is up; returns what prevents it. */
  #alarm(ms: number, action: () => void): () => void {
    const alarm = new AbortController();
    this.#clock.sleep(ms, alarm.signal).then(action, () => {});
    return () => alarm.abort();
  }

  #send(...words: readonly [string, ...string[]]): void {
    const octets = formatLine(...words);
    if (octets !== undefined) this.#write(octets);
  }

  #write(octets: Uint8Array): void {
    this.#unsent.push(octets);
    this.#unsentOctets += octets.length;
    if (this.#unsentOctets > MAX_UNSENT_OCTETS) return this.close(new Error("it does not read what it is sent"));
    if (!this.#isWriting) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#isWriting = true;
    try {
      for (let next = this.#unsent.shift(); next !== undefined; next = this.#unsent.shift()) {
        for (let sent = 0; sent < next.length;) sent += await this.#socket.write(next.subarray(sent));
        this.#unsentOctets -= next.length;
      }
    } catch (error) {
      this.close(asError(error));
    }
    this.#isWriting = false;
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
