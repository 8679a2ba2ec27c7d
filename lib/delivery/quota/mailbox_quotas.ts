/**
 * The quotas of all mailboxes: whether a message may come, at RCPT and at delivery, and whether its owner is to be warned.
 * A mailbox without a quota costs a look at the limits, which are in memory, and nothing else. What may go over a limit is in
 * leeway.ts.
 */

import type { QuotaLimits } from "../../config/config.ts";
import type { Logger } from "../../log/logger.ts";
import type { Outcome } from "../../mail/outcome.ts";
import type { Clock } from "../../system/clock.ts";
import type { Files } from "../../system/files.ts";
import { mailboxFolder } from "../maildir_name.ts";
import { Countings } from "./countings.ts";
import { type Leeway, withLeeway } from "./leeway.ts";
import { crossedThreshold, isWithin, plus, type Usage } from "./limits.ts";
import { MailboxUsage } from "./mailbox_usage.ts";
import { composeWarning, type QuotaWarning } from "./warning.ts";
import { formatOctets } from "./words.ts";
import { withinTime } from "./within_time.ts";

/** What all quotas have in common; a reload may change it. */
export interface QuotaSettings {
  /** `defer`: senders try again while the mailbox is full; `refuse`: they get their mail back at once. */
  readonly whenFull: "defer" | "refuse";
  /** Percent of a limit at which the owner is warned; empty: never. */
  readonly warnAt: readonly number[];
}

/** What quotas are kept with. */
export interface MailboxQuotasOptions {
  /** Folder of all mailboxes, `data/mail`. */
  readonly mailRoot: string;
  /** The disk. */
  readonly files: Files;
  /** For time limits, and the dates of warnings. */
  readonly clock: Clock;
  /** Told of warnings, and of what could not be counted. */
  readonly logger: Logger;
  /** Ours; warnings come from it. */
  readonly hostname: string;
  /** Fills an array with unpredictable octets: `crypto.getRandomValues`. */
  readonly randomOctets: (into: Uint8Array<ArrayBuffer>) => void;
  /**
   * The limits of an account, named by its canonical address, now: none of them 0; undefined where there are none. Answers
   * from memory.
   */
  readonly limitsOf: (account: string) => QuotaLimits | undefined;
  /** The settings now. */
  readonly settings: () => QuotaSettings;
}

/** Room in a mailbox for one message on its way there. One of the two is called, once. */
export interface Reservation {
  /**
   * The message is in the mailbox: notes that, for other programs, too. Never throws.
   *
   * @param octets Size of its file.
   * @returns A message to put into the same mailbox, with the leeway `any`; undefined where none is due.
   */
  commit(octets: number): Promise<QuotaWarning | undefined>;
  /** It did not come: gives the room back. */
  release(): void;
}

/** RFC 3463 §3.3: X.2.3, the message is longer than this mailbox ever takes. */
const TOO_LARGE: Outcome = {
  action: "failed",
  status: "5.2.3",
  text: "message is larger than the mailbox may hold",
  isRemoteReply: false,
  replyClass: "mailboxFull",
};
/** What takes the last room may still fail: no more than for a moment, so there is no class with a longer wait. */
const FULL_FOR_NOW: Outcome = {
  action: "delayed",
  status: "4.2.2",
  text: "mailbox is full with what is being delivered",
  isRemoteReply: false,
};

/** A delivery waits so long for its mailbox to be counted, and goes on by what was known before. */
const DELIVERY_WAIT_MS = 30_000;
/** A client at RCPT does not wait for long. */
const RCPT_WAIT_MS = 1_000;
/** A mailbox is warned of the same threshold no more often. */
const WARN_AT_MOST_EVERY_MS = 24 * 60 * 60_000;
/** Mailboxes remembered; beyond that the one used longest ago is read again. */
const MAX_REMEMBERED = 10_000;

interface Mailbox {
  readonly usage: MailboxUsage;
  /** By threshold: when its owner was warned, monotonic. */
  readonly warnedMs: Map<number, number>;
}

/** Keeps the quotas of the mailboxes below one folder. */
export class MailboxQuotas {
  readonly #options: MailboxQuotasOptions;
  readonly #countings = new Countings();
  /** By account; the one used last comes last. */
  readonly #mailboxes = new Map<string, Mailbox>();
  readonly #random: string;
  #names = 0;

  /** Touches no file yet. */
  constructor(options: MailboxQuotasOptions) {
    this.#options = options;
    const random = new Uint8Array(8);
    options.randomOctets(random);
    this.#random = Array.from(random, (octet) => octet.toString(16).padStart(2, "0")).join("");
  }

  /** Whether a mailbox has a quota. @param account Canonical address. */
  applyTo(account: string): boolean {
    return this.#options.limitsOf(account) !== undefined;
  }

  /**
   * Whether a mailbox takes a message, as far as can be told before it comes: by what is known, and never later than after a
   * second.
   *
   * @param octets What the client says, which is a little more than the file takes; undefined: it says nothing, and is told
   * only where the mailbox is full already.
   * @returns Why not; undefined where it does, or where nothing can be told. Never rejected.
   */
  async check(account: string, octets: number | undefined, leeway: Leeway): Promise<Outcome | undefined> {
    const { clock, limitsOf, settings } = this.#options;
    const limits = limitsOf(account);
    if (limits === undefined) return undefined;
    const bounds = withLeeway(limits, leeway);
    const change = { octets: octets ?? 1, messages: 1 };
    if (!isWithin(bounds, change)) return TOO_LARGE;
    const { usage } = this.#mailbox(account);
    let isSure: boolean;
    try {
      isSure = await withinTime(clock, RCPT_WAIT_MS, usage.refresh(limits, { change, bounds }));
    } catch {
      return undefined; // Delivery meets the same trouble, and says so in the log.
    }
    // What is under way may still fail: it does not count here.
    return isWithin(bounds, plus(usage.usage, change)) ? undefined : full(settings(), isSure);
  }

  /**
   * Takes room for a message that is about to come.
   *
   * @param octets Its size, or more where that is not known exactly.
   * @returns Undefined where the mailbox has no quota; an outcome where it has no room.
   * @throws {Deno.errors} What the disk said about the mailbox.
   */
  async reserve(account: string, octets: number, leeway: Leeway): Promise<Reservation | Outcome | undefined> {
    const { clock, limitsOf, settings } = this.#options;
    const limits = limitsOf(account);
    if (limits === undefined) return undefined;
    const bounds = withLeeway(limits, leeway);
    const change = { octets, messages: 1 };
    if (!isWithin(bounds, change)) return TOO_LARGE;
    const mailbox = this.#mailbox(account);
    const { usage } = mailbox;
    const isSure = await withinTime(clock, DELIVERY_WAIT_MS, usage.refresh(limits, { change, bounds }));
    const held = plus(usage.usage, change);
    if (!isWithin(bounds, held)) return full(settings(), isSure);
    if (!isWithin(bounds, plus(held, usage.underWay))) return FULL_FOR_NOW;
    usage.announce(change);
    return {
      commit: async (octets) => {
        const message = { octets, messages: 1 };
        const before = await usage.arrived(message, change, limits);
        return leeway === "any" ? undefined : this.#warning(account, mailbox, limits, before, plus(before, message));
      },
      release: () => usage.gaveUp(change),
    };
  }

  /** The warning that is due, if any. */
  #warning(
    account: string,
    { warnedMs }: Mailbox,
    limits: QuotaLimits,
    before: Usage,
    after: Usage,
  ): QuotaWarning | undefined {
    const { clock, logger, settings, hostname, randomOctets } = this.#options;
    const { warnAt, whenFull } = settings();
    const threshold = crossedThreshold(limits, before, after, warnAt);
    if (threshold === undefined) return undefined;
    if (clock.monotonic() - (warnedMs.get(threshold) ?? -Infinity) < WARN_AT_MOST_EVERY_MS) return undefined;
    warnedMs.set(threshold, clock.monotonic());
    logger.info('Mailbox "{account}" has reached {threshold} % of its quota: {used} in {messages} messages', {
      account,
      threshold,
      used: formatOctets(after.octets),
      messages: after.messages,
    });
    const random = new Uint8Array(8);
    randomOctets(random);
    return composeWarning({ account, hostname, limits, usage: after, threshold, whenFull, nowMs: clock.now(), random });
  }

  #mailbox(account: string): Mailbox {
    const known = this.#mailboxes.get(account);
    if (known !== undefined) this.#mailboxes.delete(account);
    const mailbox = known ?? this.#make(account);
    this.#mailboxes.set(account, mailbox);
    if (this.#mailboxes.size > MAX_REMEMBERED) this.#forgetOne();
    return mailbox;
  }

  #make(account: string): Mailbox {
    const { mailRoot, files, clock, logger } = this.#options;
    const usage = new MailboxUsage(mailboxFolder(mailRoot, account), {
      files,
      clock,
      logger,
      nextName: () => `${Math.floor(clock.now() / 1000)}.Q${this.#names++}R${this.#random}.maildirsize`,
      countInTurn: (count) => this.#countings.run(count),
    });
    return { usage, warnedMs: new Map() };
  }

  #forgetOne(): void {
    for (const [account, { usage }] of this.#mailboxes) {
      if (!usage.isIdle) continue;
      this.#mailboxes.delete(account);
      return;
    }
  }
}

/** RFC 3463 §3.3 calls X.2.2 a persistent transient failure: the owner can make room. Many sites refuse all the same. */
function full({ whenFull }: QuotaSettings, isSure: boolean): Outcome {
  // What is still being counted may turn out to have room: no mail is sent back for that.
  const isDeferred = whenFull === "defer" || !isSure;
  return {
    action: isDeferred ? "delayed" : "failed",
    status: isDeferred ? "4.2.2" : "5.2.2",
    text: "mailbox is full",
    isRemoteReply: false,
    replyClass: "mailboxFull",
  };
}
