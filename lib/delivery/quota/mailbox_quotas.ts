/**
 * The quotas of all mailboxes: whether a message may come, at RCPT and at delivery, and whether its owner is to be warned.
 * A mailbox without a quota costs a look at the limits, which are in memory, and nothing else.
 *
 * Nothing goes over a limit, with two exceptions, both of them small. Mail to postmaster (RFC 5321 §4.5.1: every reasonable
 * effort) and the reports that this server itself makes may take a tenth more, as Dovecot's `quota_grace` lets any mail;
 * and the warning that a mailbox gets full is always put into it.
 */

import type { QuotaLimits } from "../../config/config.ts";
import type { Logger } from "../../log/logger.ts";
import type { Outcome } from "../../mail/outcome.ts";
import type { Clock } from "../../system/clock.ts";
import type { Files } from "../../system/files.ts";
import { mailboxFolder } from "../maildir_name.ts";
import { Countings } from "./countings.ts";
import { crossedThreshold, isWithin, plus, raised, type Usage } from "./limits.ts";
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
  /** The limits of an account, named by its canonical address, now; undefined: it has none. Answers from memory. */
  readonly limitsOf: (account: string) => QuotaLimits | undefined;
  /** The settings now. */
  readonly settings: () => QuotaSettings;
}

/** How much a message may go over: not at all, a little, or without a limit. */
export type Leeway = "none" | "grace" | "any";

/** Why a mailbox does not take a message. `tooLarge`: it would not even take it empty. */
export type Refusal = "full" | "tooLarge";

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

/** How far over a limit the leeway `grace` reaches. */
const GRACE = 0.1;
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

  /**
   * Whether a mailbox takes a message, as far as can be told before it comes: by what is known, and never later than after a
   * second.
   *
   * @param account Canonical address.
   * @param octets What the client says; undefined: it says nothing, and the mailbox is refused only where it is full.
   * @returns At once where the mailbox has no quota; the promise is never rejected. Undefined: it takes the message.
   */
  check(account: string, octets: number | undefined, leeway: Leeway): Promise<Refusal | undefined> | undefined {
    const limits = this.#options.limitsOf(account);
    return limits === undefined ? undefined : this.#check(account, limits, { octets: octets ?? 1, messages: 1 }, leeway);
  }

  async #check(account: string, limits: QuotaLimits, change: Usage, leeway: Leeway): Promise<Refusal | undefined> {
    const bounds = withLeeway(limits, leeway);
    if (!isWithin(bounds, change)) return "tooLarge";
    const { usage } = this.#mailbox(account);
    try {
      await withinTime(this.#options.clock, RCPT_WAIT_MS, usage.refresh(bounds, limits, change));
    } catch {
      return undefined; // Delivery meets the same trouble, and says so in the log.
    }
    // What is under way may still fail: it does not count here.
    return isWithin(bounds, plus(usage.usage, change)) ? undefined : "full";
  }

  /**
   * Takes room for a message that is about to come.
   *
   * @param octets Its size, or more where that is not known exactly.
   * @returns Undefined, at once, where the mailbox has no quota; an outcome where it has no room.
   * @throws {Deno.errors} What the disk said about the mailbox.
   */
  reserve(account: string, octets: number, leeway: Leeway): Promise<Reservation | Outcome> | undefined {
    const limits = this.#options.limitsOf(account);
    return limits === undefined ? undefined : this.#reserve(account, limits, { octets, messages: 1 }, leeway);
  }

  async #reserve(account: string, limits: QuotaLimits, change: Usage, leeway: Leeway): Promise<Reservation | Outcome> {
    const { clock, settings } = this.#options;
    const bounds = withLeeway(limits, leeway);
    if (!isWithin(bounds, change)) return outcomeOf("tooLarge", "refuse");
    const mailbox = this.#mailbox(account);
    const { usage } = mailbox;
    await withinTime(clock, DELIVERY_WAIT_MS, usage.refresh(bounds, limits, change));
    const held = plus(usage.usage, change);
    if (!isWithin(bounds, held)) return outcomeOf("full", settings().whenFull);
    // What takes the last room may still fail, so this is for a moment only.
    if (!isWithin(bounds, plus(held, usage.underWay))) return outcomeOf("full", "defer");
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

/** Limits that hold for a message with this leeway. */
function withLeeway(limits: QuotaLimits, leeway: Leeway): QuotaLimits {
  return leeway === "none" ? limits : leeway === "grace" ? raised(limits, GRACE) : {};
}

function outcomeOf(refusal: Refusal, whenFull: QuotaSettings["whenFull"]): Outcome {
  const text = refusal === "full" ? "mailbox is full" : "message is larger than the mailbox may hold";
  return whenFull === "defer"
    ? { action: "delayed", status: "4.2.2", text, isRemoteReply: false, replyClass: "mailboxFull" }
    : { action: "failed", status: "5.2.2", text, isRemoteReply: false, replyClass: "mailboxFull" };
}
