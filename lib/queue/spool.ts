/**
 * What the queue asks of a message store. The files on local disk are one (`file_spool.ts`); a shared store can be
 * another. What is durable, and when, is part of the interface.
 */

import type { ReportKind } from "../dsn/report.ts";
import type { Content } from "../mail/content.ts";
import type { Envelope } from "../mail/envelope.ts";
import type { Outcome, ReplyClass } from "../mail/outcome.ts";

/** A later change of a message, appended to its journal. `at` is RFC 3339 in UTC. */
export type SpoolEvent =
  /** One attempt for the recipients with these indexes, which all had the same outcome. */
  | {
    readonly event: "attempt";
    readonly at: string;
    readonly recipients: readonly number[];
    readonly outcome: Outcome;
    /** For `delayed`: when to try again. */
    readonly nextAttempt?: string;
    /** For `delayed`: from now on they go this way, the `key` of a hop (see `Fallback`). */
    readonly fallback?: string;
  }
  /** No attempt, because their destination takes nothing at the time: `outcome` (a delay) says why. It does not count as one. */
  | {
    readonly event: "postponed";
    readonly at: string;
    readonly recipients: readonly number[];
    readonly outcome: Outcome;
    readonly nextAttempt: string;
    /** As for an attempt. */
    readonly fallback?: string;
  }
  /** These recipients were reported on in a DSN of the kind. */
  | {
    readonly event: "reported";
    readonly at: string;
    readonly recipients: readonly number[];
    readonly kind: ReportKind;
  }
  /** An operator asked for an attempt now. */
  | { readonly event: "retry"; readonly at: string }
  /** An operator stopped it: no attempt, no warning and no expiry until it is released. */
  | { readonly event: "held"; readonly at: string }
  /** An operator lets it go on: it is due now. */
  | { readonly event: "released"; readonly at: string };

/** Where one recipient stands. */
export interface RecipientState {
  /** Index into the envelope's recipients. */
  readonly index: number;
  /** Deliveries tried. */
  attempts: number;
  /** Milliseconds since 1970; the arrival time before the first attempt. Meaningless once final. */
  nextAttemptMs: number;
  /** The latest attempt; absent before the first. */
  lastOutcome?: Outcome;
  /** When that was, milliseconds since 1970. */
  lastAttemptMs?: number;
  /** The earliest time of an attempt, milliseconds since 1970: by a clock that was set back, not that of the first. */
  earliestAttemptMs?: number;
  /** Refused attempts by the class of the reply; absent: none. */
  failures?: Readonly<Partial<Record<ReplyClass, number>>>;
  /** The `key` of the fallback that it goes by; absent: it does not. */
  fallback?: string;
  /** The sender was warned of the delay. */
  isWarned: boolean;
  /** What it came to was reported (or needed no report): nothing is left to do. */
  isReported: boolean;
}

/** A message of the queue as read back: envelope and the sum of its journal. */
export interface QueuedMessage {
  /** Its queue id. */
  readonly queueId: string;
  /** As it was accepted. */
  readonly envelope: Envelope;
  /** As it was accepted; perhaps still in memory. */
  readonly content: Content;
  /** In the order of the envelope. */
  readonly recipients: readonly RecipientState[];
  /** An operator stopped it (event `held`). */
  isHeld: boolean;
}

/** A message that is being received. Exactly one of `commit` and `abort` ends it; `abort` after either does nothing. */
export interface Reception {
  /** Assigned at the start, so that log lines and the Received field can name it. */
  readonly queueId: string;
  /** Octets taken so far. */
  readonly octets: number;
  /** These octets, a view, while all of them are in memory; absent: some are on disk. */
  readonly inMemory?: Uint8Array | undefined;
  /**
   * Takes the next octets of the content. They are copied: the caller may reuse its buffer at once.
   *
   * @returns Undefined where the caller may go on at once, else a promise to wait for (back-pressure). It rejects when the
   * disk failed; nothing of the message can be saved then: read on to the end of data, and abort.
   */
  write(octets: Uint8Array): Promise<void> | undefined;
  /**
   * Makes the message durable: when this resolves, file and folder are synced and the reply may be 250.
   *
   * @throws {Deno.errors} Whatever the disk said; the message then does not exist.
   */
  commit(envelope: Envelope): Promise<QueuedMessage>;
  /** Forgets it and removes its file, if any. Never throws. */
  abort(): Promise<void>;
}

/** A durable store of accepted messages. */
export interface Spool extends AsyncDisposable {
  /** Begins to take a message; nothing is on disk before there is a reason. */
  receive(): Reception;
  /** Reads one message; undefined where there is none of the id. A file that cannot be understood is set aside. */
  load(queueId: string): Promise<QueuedMessage | undefined>;
  /** Appends events to a message's journal; durable (fdatasync) when it resolves. */
  append(queueId: string, events: readonly SpoolEvent[]): Promise<void>;
  /**
   * Removes a message whose work is done.
   *
   * @param contentOctets Where nobody reads it any more: how long it is. Then its place may be used again.
   */
  remove(queueId: string, contentOctets?: number): Promise<void>;
  /**
   * All messages whose `commit` has resolved, for start-up and listing; content is not read. What cannot be understood is
   * set aside, with a log line.
   *
   * @param unreadable Is told of a message that the disk does not give up now; `load` may, later. A log line is written.
   */
  recover(unreadable?: (queueId: string) => void): AsyncIterable<QueuedMessage>;
}
