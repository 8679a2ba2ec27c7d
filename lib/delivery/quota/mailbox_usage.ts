/**
 * What one mailbox holds, in memory and in its `maildirsize`. Others write that file too (Dovecot, when mail is expunged):
 * a look at its size and time tells, and then it is read again.
 *
 * Messages of ours on their way into the mailbox are announced before, so that several together do not pass its quota. While
 * the mailbox is counted none are under way, or the count would not know whether they are in it.
 */

import type { QuotaLimits } from "../../config/config.ts";
import type { Logger } from "../../log/logger.ts";
import type { Clock } from "../../system/clock.ts";
import type { Files } from "../../system/files.ts";
import { isWithin, NO_USAGE, plus, type Usage } from "./limits.ts";
import {
  definitionOf,
  formatChange,
  formatMaildirsize,
  isBelievedWhenOver,
  isDefinitionOf,
  LONG_MAILDIRSIZE_OCTETS,
  type Maildirsize,
  parseMaildirsize,
} from "./maildirsize.ts";
import {
  appendLine,
  type FileState,
  isUnchanged,
  maildirsizePath,
  readMaildirsize,
  removeMaildirsize,
  replaceMaildirsize,
  stateOf,
} from "./maildirsize_file.ts";
import { measureMailbox, type Measurement } from "./measure.ts";
import { withinTime } from "./within_time.ts";

/** What all mailboxes share. */
export interface MailboxUsageOptions {
  /** The disk. */
  readonly files: Files;
  /** Its wall clock is compared with the time of the file. */
  readonly clock: Clock;
  /** Told of what could not be counted or written down. */
  readonly logger: Logger;
  /** A name for a file in `tmp/`, another one at each call. */
  readonly nextName: () => string;
  /** Lets a count begin once there is room for one more, and runs it. */
  readonly countInTurn: <T>(count: () => Promise<T>) => Promise<T>;
}

/** What somebody wants to put into a mailbox. */
export interface Wanted {
  /** One message, mostly. */
  readonly change: Usage;
  /** What the mailbox may hold with it. */
  readonly bounds: QuotaLimits;
}

/** A mailbox is counted no more often; until then its file is put in order from what is known. */
const COUNT_AT_MOST_EVERY_MS = 60_000;
/** A count waits so long for messages that are under way. */
const WAIT_FOR_MESSAGES_MS = 5_000;
/** Folders that change while they are counted are counted again, so many times in all. */
const MAX_COUNTS = 3;

/**
 * What a look at the file found. `doubtful`: it says that there is no room, and may be wrong; `old`: its sum is known, but it
 * is for other limits or has grown long; `lost`: nothing.
 */
type Finding = "sound" | "doubtful" | "old" | "lost";

/** One mailbox. */
export class MailboxUsage {
  readonly #options: MailboxUsageOptions;
  readonly #mailbox: string;
  #usage: Usage = NO_USAGE;
  #underWay: Usage = NO_USAGE;
  /** The file whose sum is in `#usage`; undefined where there is none, or somebody else has changed it. */
  #state: FileState | undefined;
  #lines = 0;
  /** What the file says of its limits. */
  #definition: Maildirsize["definition"];
  /** Monotonic; when the mailbox was last counted. */
  #countedMs = -Infinity;
  /** The last count is not known to be right: it is not written down. */
  #isEstimate = false;
  /** There is, or was, a file with `#usage`. */
  #isNoted = false;
  #refresh: Promise<void> | undefined;
  #onQuiet = (): void => {};
  /** One operation on the file at a time. */
  #last: Promise<unknown> = Promise.resolve();

  /** Touches no file yet. @param mailbox Its folder; it need not exist. */
  constructor(mailbox: string, options: MailboxUsageOptions) {
    this.#mailbox = mailbox;
    this.#options = options;
  }

  /** What it holds, as far as is known. */
  get usage(): Usage {
    return this.#usage;
  }

  /** What was announced, and has neither arrived nor been given up. */
  get underWay(): Usage {
    return this.#underWay;
  }

  /** Nothing is going on with it: it may be forgotten. */
  get isIdle(): boolean {
    return this.#underWay.messages === 0 && this.#refresh === undefined;
  }

  /**
   * Brings `usage` up to date: looks at the file, reads it where it has changed, and counts the mailbox where the file is
   * missing, has no sense, is for other limits, has grown long, or says that there is no room and is not fresh. Who asks
   * while this is being done waits for the same.
   *
   * @param limits Those that stand in the file.
   * @param wanted What is about to come, and the limits that it has to keep to.
   * @throws {Deno.errors} What the disk said about the mailbox.
   */
  async refresh(limits: QuotaLimits, wanted: Wanted): Promise<void> {
    if (this.#refresh !== undefined) {
      await this.#refresh;
      if (this.#hasRoom(wanted)) return;
    }
    this.#refresh ??= this.#refreshNow(limits, wanted).finally(() => this.#refresh = undefined);
    await this.#refresh;
  }

  /** Announces a message; `arrived` or `gaveUp` follows, with the same value. */
  announce(change: Usage): void {
    this.#underWay = plus(this.#underWay, change);
  }

  /** The message is not in the mailbox, and does not come. */
  gaveUp({ octets, messages }: Usage): void {
    this.#underWay = plus(this.#underWay, { octets: -octets, messages: -messages });
    if (this.#underWay.messages === 0) this.#onQuiet();
  }

  /**
   * The message is in the mailbox, and is noted. Never throws: where it cannot be noted, the mailbox is counted later.
   *
   * @param announced As it was announced; the message may be smaller.
   * @returns What the mailbox held before.
   */
  arrived(message: Usage, announced: Usage, limits: QuotaLimits): Promise<Usage> {
    return this.#alone(async () => {
      const before = this.#usage;
      this.#usage = plus(before, message);
      try {
        await this.#note(message, limits);
      } catch (error) {
        this.#warn("Cannot note a message in {file}, the mailbox will be counted: {reason}", error);
        await this.#forgetFile();
      }
      this.gaveUp(announced);
      return before;
    });
  }

  async #note(message: Usage, limits: QuotaLimits): Promise<void> {
    const line = formatChange(message);
    try {
      await appendLine(this.#options.files, this.#mailbox, line);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return await this.#replace(limits);
    }
    this.#lines++;
    // Where somebody else wrote as well, it has another size, and the next look finds that.
    this.#state = this.#state && { size: this.#state.size + line.length, mtimeMs: undefined };
  }

  async #refreshNow(limits: QuotaLimits, wanted: Wanted): Promise<void> {
    const finding = await this.#alone(() => this.#look(limits, wanted));
    if (finding === "sound") return;
    const isDue = this.#options.clock.monotonic() - this.#countedMs >= COUNT_AT_MOST_EVERY_MS;
    // Who took the file away may know of changes that we do not. Where it could not be written, memory is all there is.
    if (isDue || (finding === "lost" && this.#isNoted)) return await this.#count(limits);
    if (finding === "old") await this.#alone(() => this.#replace(limits));
  }

  async #look(limits: QuotaLimits, wanted: Wanted): Promise<Finding> {
    const { files, clock } = this.#options;
    const state = await stateOf(files, this.#mailbox);
    if (state === undefined) return "lost";
    if (!isUnchanged(this.#state, state)) {
      const found = await this.#read();
      if (found === undefined) return "lost";
      this.#usage = found.usage;
      this.#lines = found.lines;
      this.#definition = found.definition;
      this.#isEstimate = false;
      this.#isNoted = true;
    }
    this.#state = state;
    if (state.size >= LONG_MAILDIRSIZE_OCTETS || !isDefinitionOf(limits, this.#definition)) return "old";
    if (this.#hasRoom(wanted)) return "sound";
    const ageMs = state.mtimeMs === undefined ? 0 : clock.now() - state.mtimeMs;
    return isBelievedWhenOver(this.#lines, ageMs) ? "sound" : "doubtful";
  }

  async #read(): Promise<Maildirsize | undefined> {
    try {
      return parseMaildirsize(await readMaildirsize(this.#options.files, this.#mailbox));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) {
        this.#warn("Cannot read {file}, the mailbox will be counted: {reason}", error);
      }
      return undefined;
    }
  }

  #hasRoom({ bounds, change }: Wanted): boolean {
    return isWithin(bounds, plus(plus(this.#usage, this.#underWay), change));
  }

  async #count(limits: QuotaLimits): Promise<void> {
    await this.#untilQuiet();
    const { files, clock, countInTurn } = this.#options;
    const { usage, isSettled, problems } = await countInTurn(() => this.#measure());
    await this.#alone(async () => {
      this.#usage = usage;
      this.#countedMs = clock.monotonic();
      this.#isEstimate = !isSettled || problems.length > 0;
      for (const problem of problems) this.#warn("Cannot count all of the mailbox of {file}: {reason}", problem);
      // "Calculating maildirsize", 4: what may be wrong is not left to others.
      if (this.#isEstimate) await removeMaildirsize(files, this.#mailbox).catch(() => undefined);
      await this.#replace(limits);
    });
  }

  async #measure(): Promise<Measurement> {
    for (let count = 1;; count++) {
      const measurement = await measureMailbox(this.#options.files, this.#mailbox);
      if (measurement.isSettled || count === MAX_COUNTS) return measurement;
    }
  }

  /** Waits until no message is under way, but not for long: some come slowly. */
  async #untilQuiet(): Promise<void> {
    if (this.#underWay.messages === 0) return;
    const quiet = new Promise<void>((resolve) => this.#onQuiet = resolve);
    await withinTime(this.#options.clock, WAIT_FOR_MESSAGES_MS, quiet);
  }

  /** Writes down what is known, where it is known. */
  async #replace(limits: QuotaLimits): Promise<void> {
    this.#state = undefined;
    this.#isNoted = false;
    if (this.#isEstimate) return;
    const { files, nextName } = this.#options;
    try {
      await replaceMaildirsize(files, this.#mailbox, formatMaildirsize(limits, this.#usage), nextName());
    } catch (error) {
      // A mailbox that nothing was delivered to yet has no folders.
      if (error instanceof Deno.errors.NotFound) return;
      return this.#warn("Cannot write {file}, its quota is kept in memory only: {reason}", error);
    }
    this.#isNoted = true;
    this.#lines = 1;
    this.#definition = definitionOf(limits);
    this.#state = await stateOf(files, this.#mailbox).catch(() => undefined);
  }

  /** A sum that is too low must not stay. */
  async #forgetFile(): Promise<void> {
    this.#state = undefined;
    await removeMaildirsize(this.#options.files, this.#mailbox).catch(() => undefined);
  }

  #alone<T>(run: () => Promise<T>): Promise<T> {
    const running = this.#last.then(run);
    this.#last = running.catch(() => undefined);
    return running;
  }

  #warn(message: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    this.#options.logger.warning(message, { file: maildirsizePath(this.#mailbox), reason });
  }
}
