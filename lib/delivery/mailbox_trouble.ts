/** What is wrong with a mailbox that cannot be written: an outcome for its sender, and words for its operator. */

import type { Logger } from "../log/logger.ts";
import type { Outcome } from "../mail/outcome.ts";
import type { Clock } from "../system/clock.ts";
import { isOutOfSpace } from "../system/files.ts";

/** Thrown for a mailbox that was there before and is gone: its disk may not be mounted. */
export class MailboxGone extends Error {
  /** Stands in front of the message in logs and stack traces. */
  override readonly name = "MailboxGone";

  /**
   * Names what is gone.
   *
   * @param folder The outermost one that is missing, or is empty and was not.
   * @param account Whose mailbox it is.
   */
  constructor(readonly folder: string, readonly account: string) {
    super(`folder "${folder}" was there before and is gone or empty`);
  }
}

/** What {@link MailboxTroubles} needs. */
export interface MailboxTroublesOptions {
  /** Says when it is time to repeat a line. */
  readonly clock: Clock;
  /** Takes one line for each fault of a mailbox in `REPEAT_MS`, and one when it is over. */
  readonly logger: Logger;
}

/** A delivery that failed. */
export interface FailedDelivery {
  /** Of the message. */
  readonly queueId: string;
  /** Of the mailbox. */
  readonly account: string;
  /** Its folder. */
  readonly mailbox: string;
  /** What was thrown. */
  readonly error: unknown;
}

/** There is no room, or will not be enough. */
export const FULL: Outcome = { action: "delayed", status: "4.3.1", text: "mail storage is full", isRemoteReply: false };
const GONE: Outcome = {
  action: "delayed",
  status: "4.2.1",
  text: "mailbox is not available for the moment",
  isRemoteReply: false,
};
const BROKEN: Outcome = { action: "delayed", status: "4.3.0", text: "mailbox cannot be written", isRemoteReply: false };

const REPEAT_MS = 5 * 60_000;
/** Faults remembered; beyond that, the oldest are told again. */
const MAX_REMEMBERED = 10_000;

const CHECK_DISK = "the disk has faults: look at the kernel log (dmesg)";
const CHECK_SERVER = "its file server does not answer: mount it again when it does";
/** By the number that Linux gives an error. */
const MENDS: Readonly<Record<number, string>> = {
  1: "give it to the user that posthorn runs as (chown -R)",
  2: "a symbolic link leads nowhere, or a folder is gone: is a disk not mounted?",
  5: CHECK_DISK,
  6: CHECK_DISK,
  13: "give it to the user that posthorn runs as (chown -R)",
  17: "something else has the place of a folder: move it away",
  19: CHECK_DISK,
  20: "something else has the place of a folder: move it away",
  28: "make room on its disk (df, df -i)",
  30: "its disk is mounted read-only: look at the kernel log (dmesg), then remount it",
  36: "its name is too long for the file system of this disk",
  40: "symbolic links lead in a circle",
  110: CHECK_SERVER,
  112: CHECK_SERVER,
  116: "its mount is stale: mount it again",
  122: "raise the quota of the user that posthorn runs as, or make room",
};

/** Tells about each fault of a mailbox once in a while, however much mail waits for it. */
export class MailboxTroubles {
  readonly #options: MailboxTroublesOptions;
  /** When a fault was last told, by what has it. */
  readonly #told = new Map<string, number>();
  /** What each mailbox was last said to have. */
  readonly #faults = new Map<string, string>();

  /** Knows of no fault. */
  constructor(options: MailboxTroublesOptions) {
    this.#options = options;
  }

  /** Notes a failure. @returns What becomes of the message: it waits. */
  note(failed: FailedDelivery): Outcome {
    const { queueId, account, mailbox, error } = failed;
    const { logger } = this.#options;
    const reason = error instanceof Error ? error.message : String(error);
    const fields = { queueId, account, folder: mailbox, reason };
    if (error instanceof MailboxGone) {
      if (this.#isDue(account, `gone ${error.folder}`)) {
        logger.error(
          'Mailbox "{account}": {reason}; its mail waits. Is a disk not mounted? Where it was removed on purpose, ' +
            "`posthorn user mailbox {account}` makes a new one",
          fields,
        );
      }
      return GONE;
    }
    const mend = MENDS[numberOf(error)];
    if (mend === undefined || !reason.includes(mailbox)) {
      logger.error('Cannot deliver {queueId} to mailbox "{account}" in {folder}, will retry: {reason}', fields);
    } else if (this.#isDue(account, `${numberOf(error)} ${mailbox}`)) {
      logger.error('Cannot deliver {queueId} to mailbox "{account}", its mail waits: {reason}; {mend}', {
        ...fields,
        mend,
      });
    }
    return isOutOfSpace(error) ? FULL : BROKEN;
  }

  /** Notes that a message arrived in the mailbox of an account. */
  noteDelivered(account: string): void {
    if (this.#faults.size === 0) return;
    const fault = this.#faults.get(account);
    if (fault === undefined) return;
    this.#faults.delete(account);
    this.#told.delete(fault);
    this.#options.logger.info('Mailbox "{account}" can be written again', { account });
  }

  #isDue(account: string, fault: string): boolean {
    const nowMs = this.#options.clock.monotonic();
    remember(this.#faults, account, fault);
    if (nowMs - (this.#told.get(fault) ?? -Infinity) < REPEAT_MS) return false;
    remember(this.#told, fault, nowMs);
    return true;
  }
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.size > MAX_REMEMBERED ? map.keys() : [];
  if (oldest !== undefined) map.delete(oldest);
}

/** The number that the system gave the error; 0 where it has none. */
function numberOf(error: unknown): number {
  return Number(/os error (\d+)/.exec(error instanceof Error ? error.message : "")?.[1] ?? 0);
}
