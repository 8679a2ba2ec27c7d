/** Keeps one connection to Dovecot while there are logins, and makes another when it breaks. */

import type { Logger } from "../../log/logger.ts";
import type { Clock } from "../../system/clock.ts";
import { withTimeLimit } from "../../dns/time_limit.ts";
import {
  DovecotConnection,
  type DovecotExchange,
  type DovecotSocket,
  HANDSHAKE_LIMIT_MS,
  IdleError,
} from "./connection.ts";
import type { DovecotMechanism } from "./handshake.ts";

/** What a client works with. */
export interface DovecotClientOptions {
  /** For log lines, e.g. `unix:/run/dovecot/auth-client`. */
  readonly address: string;
  /** Connects; rejects when it cannot, or with the reason of the signal. */
  readonly connect: (signal: AbortSignal) => Promise<DovecotSocket>;
  /** For the waits and the time limits. */
  readonly clock: Clock;
  /** Gets a line when Dovecot cannot be used any more, and one when it can again. */
  readonly logger: Logger;
  /** 31 random bits: a process id would not do, because several clients may be process 1 of their containers. */
  readonly newClientId: () => number;
}

/** What is offered before Dovecot has ever said what it offers. */
const FIRST_MECHANISMS: readonly DovecotMechanism[] = [
  { name: "PLAIN", isPlaintext: true },
  { name: "LOGIN", isPlaintext: true },
];
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;
/** Who loses a connection that held for so long makes the next one at once: that is how Dovecot takes a reload. */
const GOOD_CONNECTION_MS = 1_000;

/** The client; {@linkcode start} begins to connect, disposing of it ends everything. */
export class DovecotClient implements Disposable {
  readonly #options: DovecotClientOptions;
  readonly #end = new AbortController();
  #mechanisms = FIRST_MECHANISMS;
  #connection: DovecotConnection | undefined;
  /** Exchanges are possible. */
  #isOpen = false;
  /** The mechanisms that the log named last. */
  #logged: string | undefined;
  #isDown = false;
  /** The connection from its beginning to its end. */
  #serving: Promise<unknown> | undefined;
  /** While there are no logins: makes the next connection. */
  #wake: (() => void) | undefined;
  /** Resolves when that connection has come to something or to nothing. */
  #attempt: PromiseWithResolvers<void> | undefined;

  /** Does nothing yet. */
  constructor(options: DovecotClientOptions) {
    this.#options = options;
  }

  /** What Dovecot offers, or offered when it was last there. */
  get mechanisms(): readonly DovecotMechanism[] {
    return this.#mechanisms;
  }

  /**
   * Begins an exchange, on a new connection where there was no login for a while; where that cannot be, says why not.
   *
   * @param mechanism `unavailable`, too, where it is not offered any more: Dovecot would close the connection.
   */
  async begin(mechanism: string): Promise<DovecotExchange | "busy" | "unavailable"> {
    // It may have been closed a moment ago, and that is not yet seen everywhere.
    if (this.#connection?.isClosed === true) await this.#serving;
    this.#wake?.();
    await this.#attempt?.promise;
    if (this.#connection === undefined || !this.#isOpen) return "unavailable";
    if (!this.#mechanisms.some(({ name }) => name === mechanism)) return "unavailable";
    return this.#connection.begin() ?? "busy";
  }

  /** Connects, and connects again whenever the connection is gone. */
  start(): void {
    void this.#keep();
  }

  /** Ends the connection, and makes no other. */
  [Symbol.dispose](): void {
    const reason = new Error("it is not used any more");
    this.#end.abort(reason);
    this.#connection?.close(reason);
    this.#wake?.();
    this.#endAttempt();
  }

  async #keep(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#end;
    let waitMs = FIRST_WAIT_MS;
    while (!signal.aborted) {
      const serving = this.#serveOne();
      this.#serving = serving;
      const { reason, openMs } = await serving;
      this.#endAttempt();
      if (signal.aborted) return;
      if (openMs >= GOOD_CONNECTION_MS) {
        waitMs = FIRST_WAIT_MS;
        if (reason instanceof IdleError) await this.#rest();
        continue;
      }
      this.#reportDown(reason);
      await clock.sleep(waitMs, signal).catch(() => {});
      waitMs = Math.min(LONGEST_WAIT_MS, 2 * waitMs);
    }
  }

  /** Waits for the next login. */
  async #rest(): Promise<void> {
    this.#attempt = Promise.withResolvers();
    await new Promise<void>((resolve) => this.#wake = resolve);
    this.#wake = undefined;
  }

  #endAttempt(): void {
    this.#attempt?.resolve();
    this.#attempt = undefined;
  }

  /** Makes one connection and serves it to its end: says why it ended, and how long exchanges were possible. */
  async #serveOne(): Promise<{ readonly reason: Error; readonly openMs: number }> {
    const { clock, connect, newClientId } = this.#options;
    const { signal } = this.#end;
    let openedMs: number | undefined;
    let reason: Error;
    try {
      const socket = await withTimeLimit(clock, HANDSHAKE_LIMIT_MS, signal, connect);
      const connection = new DovecotConnection({ socket, clock, clientId: newClientId() });
      this.#connection = connection;
      // Not everything that connects heeds the signal.
      if (signal.aborted) connection.close(new Error("it is not used any more"));
      reason = await connection.run((mechanisms) => {
        openedMs = clock.monotonic();
        this.#isOpen = true;
        this.#mechanisms = mechanisms;
        this.#endAttempt();
        this.#reportUp();
      });
    } catch (error) {
      reason = error instanceof Error ? error : new Error(String(error));
    }
    this.#connection = undefined;
    this.#isOpen = false;
    return { reason, openMs: openedMs === undefined ? 0 : clock.monotonic() - openedMs };
  }

  #reportUp(): void {
    const { address, logger } = this.#options;
    const mechanisms = this.#mechanisms.map(({ name }) => name).join(" ") || "none that can be offered";
    if (!this.#isDown && mechanisms === this.#logged) return;
    this.#isDown = false;
    this.#logged = mechanisms;
    logger.info("Dovecot at {address} checks logins: {mechanisms}", { address, mechanisms });
  }

  #reportDown({ message }: Error): void {
    if (this.#isDown) return;
    this.#isDown = true;
    const { address, logger } = this.#options;
    logger.error("Nobody can log in: Dovecot at {address} cannot be used: {reason}", { address, reason: message });
  }
}
