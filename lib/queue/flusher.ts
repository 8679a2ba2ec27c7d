/** Tries what waits for a domain now: its server asks for it (ETRN, RFC 1985), or an operator has resumed it. */

import type { Logger } from "../log/logger.ts";
import { domainOf } from "../mail/mailbox.ts";
import type { Clock } from "../system/clock.ts";
import { isHeld } from "./deadline.ts";
import { isPending } from "./journal.ts";
import { isSuspended } from "./postponement.ts";
import type { QueuedMessage, Spool } from "./spool.ts";

/** What flushing needs of the queue. */
export interface FlusherOptions {
  /** Is read from end to end. */
  readonly spool: Pick<Spool, "recover">;
  /** For the pause between two readings. */
  readonly clock: Clock;
  /** Tells what came of it. */
  readonly logger: Logger;
  /** Makes a message due; false where it is gone, or being worked on. */
  readonly retry: (queueId: string) => Promise<boolean>;
  /** Aborted when the queue stops. */
  readonly stop: AbortSignal;
}

/** Everybody may ask, and each answer reads the whole queue: so seldom is it read. */
const PAUSE_MS = 60_000;
/** Domains that wait for the next reading. */
const MAX_WAITING = 100;

/** Reads the queue once for all domains that were asked for meanwhile. */
export class Flusher {
  readonly #options: FlusherOptions;
  /** Domains; those with all below them begin with a dot; `*`: all that is suspended. */
  #waiting = new Set<string>();
  #isRunning = false;

  /** Reads nothing yet. */
  constructor(options: FlusherOptions) {
    this.#options = options;
  }

  /**
   * Asks for a domain, or with `*` for all that an operator had suspended; does not wait.
   *
   * @param isTree With the domains below it.
   */
  flush(domain: string, isTree: boolean): void {
    if (this.#waiting.size >= MAX_WAITING) return;
    this.#waiting.add(isTree ? `.${domain}` : domain);
    if (!this.#isRunning) this.#run();
  }

  async #run(): Promise<void> {
    const { clock, stop, logger } = this.#options;
    this.#isRunning = true;
    try {
      while (this.#waiting.size > 0) {
        const domains = this.#waiting;
        this.#waiting = new Set();
        await this.#pass(domains);
        await clock.sleep(PAUSE_MS, stop);
      }
    } catch (error) {
      if (!stop.aborted) logger.error("Cannot read the queue for ETRN or an operator: {error}", { error });
    } finally {
      this.#isRunning = false;
    }
  }

  async #pass(domains: ReadonlySet<string>): Promise<void> {
    const { spool, clock, retry, stop, logger } = this.#options;
    let messages = 0;
    for await (const message of spool.recover()) {
      if (stop.aborted) return;
      // The word of the sender counts more than that of who asks.
      if (isHeld(message.envelope, clock.now())) continue;
      if (isWaitingFor(message, domains) && await retry(message.queueId)) messages++;
    }
    logger.info("Trying {messages} message(s) for {domains}, as asked by ETRN or an operator", {
      messages,
      domains: [...domains].join(", "),
    });
  }
}

function isWaitingFor({ envelope, recipients }: QueuedMessage, domains: ReadonlySet<string>): boolean {
  return recipients.some((state) =>
    isPending(state) && ((domains.has("*") && isSuspended(state)) ||
      isAmong(domainOf(envelope.recipients[state.index]?.address ?? ""), domains))
  );
}

function isAmong(domain: string, domains: ReadonlySet<string>): boolean {
  if (domains.has(domain)) return true;
  for (let rest = `.${domain}`; rest !== ""; rest = rest.slice(rest.indexOf(".", 1))) {
    if (domains.has(rest)) return true;
    if (!rest.includes(".", 1)) return false;
  }
  return false;
}
