/**
 * Notices a changed accounts file, or a changed file of members that aliases include: what it says counts within seconds,
 * without a signal or a restart.
 */

import { ConfigError } from "../config/errors.ts";
import { type Live, type LiveOptions, reloadAccounts } from "./live.ts";
import { fileStamp } from "./watched_files.ts";

/** How often the files are looked at: one stat call for each. */
export const ACCOUNTS_CHECK_MS = 1_500;

/** What people are told: two looks, and time to read. */
export const ACCOUNTS_KNOWN_WITHIN_S = 5;

const CHANGED =
  "Accounts changed on disk and are in use: {mailboxes} mailboxes, {addresses} more addresses, {aliases} aliases";

/** What the watch works with. Its logger hears of changes, and once of each broken file. */
export interface AccountsWatchOptions extends LiveOptions {
  /** What is in use now; a reload changes what it returns. */
  readonly live: () => Live;
  /** Takes what was read into use. */
  readonly use: (live: Live) => void;
}

/** Looks at the files of the accounts until the signal comes. Never rejects. */
export async function watchAccounts(options: AccountsWatchOptions, signal: AbortSignal): Promise<void> {
  const watch = new AccountsWatch(options);
  const sleep = (): Promise<boolean> => options.clock.sleep(ACCOUNTS_CHECK_MS, signal).then(() => true, () => false);
  while (await sleep()) await watch.check();
}

class AccountsWatch {
  readonly #options: AccountsWatchOptions;
  /** The stamps of the last look, where they were not those in use. */
  #seen: string | undefined;
  /** What could not be used. */
  #refused: { readonly stamps: string; readonly reason: string; readonly isUnreadable: boolean } | undefined;

  constructor(options: AccountsWatchOptions) {
    this.#options = options;
  }

  async check(): Promise<void> {
    const live = this.#options.live();
    const stamps = await this.#stampsOf([...live.watchedFiles.keys()]);
    const inUse = [...live.watchedFiles.values()].join("\n");
    const isSteady = stamps === this.#seen;
    this.#seen = stamps;
    // A file that just changed may be half-written: it is read when it has been the same for one look.
    if (stamps === inUse || !isSteady) return;
    // What could not be read may be readable now although nothing else changed: the mode of a file is not in its stamp.
    if (this.#refused?.stamps === stamps && !this.#refused.isUnreadable) return;
    await this.#take(live, stamps);
  }

  async #take(live: Live, stamps: string): Promise<void> {
    const { logger, use } = this.#options;
    try {
      const read = await reloadAccounts(this.#options, live);
      // A reload of everything was faster: look again.
      if (this.#options.live() !== live) return;
      use(read);
      this.#refused = undefined;
      // A file that was only touched is no news.
      if (textOf(read) === textOf(live)) return;
      logger.info(CHANGED, {
        mailboxes: read.accounts.length,
        addresses: read.accounts.reduce((count, { addresses = [] }) => count + addresses.length, 0),
        aliases: read.config.aliases.size,
      });
    } catch (error) {
      const reason = (error instanceof Error ? error.message : String(error)).replaceAll("\n", "; ");
      const isKnown = this.#refused?.stamps === stamps && this.#refused.reason === reason;
      if (!isKnown) logger.error("{reason}; the accounts in use stay", { reason });
      this.#refused = { stamps, reason, isUnreadable: error instanceof ConfigError && error.cause !== undefined };
    }
  }

  async #stampsOf(paths: readonly string[]): Promise<string> {
    return (await Promise.all(paths.map((path) => fileStamp(this.#options.files, path)))).join("\n");
  }
}

/** What a change of it is worth a log line. */
function textOf({ accounts, config }: Live): string {
  return JSON.stringify([accounts, [...config.aliases]]);
}
