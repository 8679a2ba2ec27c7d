/** Which hosts get large messages with BDAT: those that offer CHUNKING, as long as that works. */

import type { Logger } from "../../log/logger.ts";
import type { ClientFault } from "../../smtp/client/client_error.ts";
import { replyText } from "../../smtp/client/reply_parser.ts";
import type { StageReply, TransactionResult } from "../../smtp/client/transaction.ts";
import type { Clock } from "../../system/clock.ts";

/** From here BDAT is worth it: less work than DATA, and an early refusal saves the rest. */
export const CHUNKING_OCTETS = 64 * 1024;

/** How long a host gets DATA after BDAT failed there. */
const DOUBT_MS = 86_400_000;
const MAX_HOSTS = 1_000;
/** The connection broke in the chunks or behind them: a firewall that knows no BDAT does that. */
const FAULTS: ReadonlySet<ClientFault> = new Set(["closed", "timeout", "protocol"]);

/** True where a peer that offers CHUNKING answers BDAT as a command that it does not know or expect. */
export function isUnknownBdat({ stage, reply: { code } }: StageReply): boolean {
  return stage === "content" && code >= 500 && code <= 504;
}

/** Remembers hosts that offer CHUNKING and do not cope with it, or stand behind something that does not. */
export class Chunking {
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Oldest first; monotonic time. */
  readonly #doubtedUntil = new Map<string, number>();

  /** Doubts nobody yet. */
  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** True where the host may get BDAT. */
  isTrusted(host: string): boolean {
    return (this.#doubtedUntil.get(host) ?? -Infinity) <= this.#clock.monotonic();
  }

  /** Looks at what came of a transaction with chunks of lines: doubts a host where that may be due to BDAT. */
  judge(host: string, replies: TransactionResult["replies"], failure: TransactionResult["failure"]): void {
    const refusal = replies.find((answer) => answer !== undefined && isUnknownBdat(answer));
    if (refusal !== undefined) return this.#doubt(host, replyText(refusal.reply));
    const isInContent = failure?.stage === "content" || failure?.stage === "dot";
    if (isInContent && FAULTS.has(failure.error.fault)) this.#doubt(host, failure.error.message);
  }

  #doubt(host: string, reason: string): void {
    this.#doubtedUntil.delete(host);
    this.#doubtedUntil.set(host, this.#clock.monotonic() + DOUBT_MS);
    const [oldest] = this.#doubtedUntil.keys();
    if (this.#doubtedUntil.size > MAX_HOSTS && oldest !== undefined) this.#doubtedUntil.delete(oldest);
    this.#logger.info("{host} offers CHUNKING, but BDAT failed: DATA for a day ({reason})", { host, reason });
  }
}
