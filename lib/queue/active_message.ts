/** A message that the queue is working on, from the moment it is due until it is gone or waits again. */

import type { NextHop } from "../delivery/next_hop.ts";
import type { QueuedMessage, SpoolEvent } from "./spool.ts";

/** What is kept about it. */
export interface ActiveMessage {
  /** Its queue id. */
  readonly queueId: string;
  /** It was tried before, or waited on disk. */
  readonly isOld: boolean;
  /** Absent while its jobs only wait and memory is short: it is then read back from disk. */
  message?: QueuedMessage | undefined;
  /** Being read back; shared by jobs that start together. */
  loading?: Promise<QueuedMessage | undefined> | undefined;
  /** Its share of the memory for waiting messages; 0 for one that has none. */
  heldOctets: number;
  /** Jobs that wait or run. */
  openJobs: number;
  /** Jobs that run. */
  runningJobs: number;
  /** Events that are true, but not yet in the journal. */
  unrecorded: SpoolEvent[];
  /** Its outcome is being recorded just now; whoever does that sees what is added meanwhile. */
  isSettling: boolean;
  /** Something changed meanwhile: look once more. */
  isChanged: boolean;
  /** Failed attempts to write to its journal, in a row. */
  recordFailures: number;
  /** A report could not be made: let it rest until the message is due again. */
  isReportPostponed: boolean;
  /** Taken back by an operator before a job of it ran: its jobs do nothing when their turn comes. */
  isWithdrawn: boolean;
}

/** The recipients of an active message that share a next hop. */
export interface DeliveryJob {
  /** The message. */
  readonly active: ActiveMessage;
  /** Where it goes. */
  readonly hop: NextHop;
  /** Indexes into the envelope's recipients. */
  readonly recipients: readonly number[];
}

/** Starts to keep a message. */
export function activeMessage(message: QueuedMessage, isOld: boolean): ActiveMessage {
  return {
    queueId: message.queueId,
    isOld,
    message,
    heldOctets: 0,
    openJobs: 0,
    runningJobs: 0,
    unrecorded: [],
    isSettling: false,
    isChanged: false,
    recordFailures: 0,
    isReportPostponed: false,
    isWithdrawn: false,
  };
}

/** What it costs to hold a message: its content, if in memory, and an estimate for envelope and state. */
export function heldOctets({ content, envelope }: QueuedMessage): number {
  return (content.inMemory?.buffer.byteLength ?? 0) + 1_024 + 256 * envelope.recipients.length;
}

/** True when nothing but the spool needs to know it, and reading it back loses nothing. */
export function canDrop(active: ActiveMessage): boolean {
  return active.runningJobs === 0 && active.unrecorded.length === 0 && !active.isSettling;
}
