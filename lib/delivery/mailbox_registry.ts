/**
 * Which mailboxes were made before. It is kept apart from the mailboxes themselves, so that a mailbox whose disk is not
 * mounted can be told from one that nobody has made yet.
 *
 * The file has one address a line; lines that begin with `# ` are for people. It is only appended to, but for accounts that
 * are removed. Losing it loses no mail: a mailbox that is there is noted again with its next message.
 */

import type { Logger } from "../log/logger.ts";
import { domainOf } from "../mail/mailbox.ts";
import { errorAt, type Files, parentOf, readSmallText, syncFolder, writeAll, writeDurable } from "../system/files.ts";

/** What a registry needs. */
export interface MailboxRegistryOptions {
  /** `data/mailboxes`; made with the first mailbox. */
  readonly file: string;
  /** The disk. It is not the one of the mailboxes, or it may be. */
  readonly files: Files;
  /** Hears where a mailbox cannot be noted. */
  readonly logger: Logger;
}

const HEADER = "# Mailboxes that were made. One of these that is gone is waited for, not made anew.\n";
/** A million addresses. */
const MAX_FILE_OCTETS = 64 * 2 ** 20;

const encoder = new TextEncoder();

/** Remembers mailboxes by the canonical address of their account. */
export class MailboxRegistry {
  readonly #options: MailboxRegistryOptions;
  #known = new Set<string>();
  #domains = new Set<string>();
  /** Those that could not be written: known as long as we run, and written with the next one. */
  readonly #unsaved = new Set<string>();
  /** Size and time of the file that was read; others may change it. */
  #version: string | undefined;
  /** Octets of whole lines: what follows was torn by a crash. */
  #goodOctets = 0;
  #isTorn = false;
  #running: Promise<void> = Promise.resolve();
  #waiting: Promise<void> | undefined;

  /** Touches no file yet. */
  constructor(options: MailboxRegistryOptions) {
    this.#options = options;
  }

  /** Tells whether the mailbox was made before. @throws {Deno.errors} The file is there and cannot be read. */
  async has(address: string): Promise<boolean> {
    await this.#load();
    return this.#known.has(address) || this.#unsaved.has(address);
  }

  /** Tells whether any mailbox was made before, in a domain where one is given. @throws {Deno.errors} As `has`. */
  async hasAny(domain?: string): Promise<boolean> {
    await this.#load();
    if (domain === undefined) return this.#known.size + this.#unsaved.size > 0;
    return this.#domains.has(domain) || [...this.#unsaved].some((address) => domainOf(address) === domain);
  }

  /**
   * Notes a mailbox whose folders are durable. Never throws, because its mail shall not wait for that: where it cannot be
   * written, the log says so.
   */
  async add(address: string): Promise<void> {
    try {
      if (await this.has(address)) return;
      this.#unsaved.add(address);
      // All who come while one write runs share the next one.
      this.#waiting ??= this.#running = this.#running.catch(() => {}).then(() => this.#append());
      await this.#waiting;
    } catch (error) {
      this.#unsaved.add(address);
      this.#options.logger.warning("Cannot note in {file} that there is a mailbox {account}, going on: {reason}", {
        file: this.#options.file,
        account: address,
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }

  /**
   * Forgets a mailbox that was removed on purpose. For commands: what a running server notes in this very moment may get
   * lost, and is noted again later.
   *
   * @param beforePublish As in `writeDurable`.
   * @throws {Deno.errors} What the disk said.
   */
  async forget(address: string, beforePublish?: (temporaryFile: string) => Promise<void>): Promise<void> {
    if (!await this.has(address)) return;
    const { files, file } = this.#options;
    const lines = (await this.#read()).split("\n").filter((line) => line !== address);
    await writeDurable(files, file, lines.join("\n"), {
      mode: 0o600,
      replace: true,
      ...(beforePublish === undefined ? {} : { beforePublish }),
    });
    this.#unsaved.delete(address);
  }

  async #load(): Promise<void> {
    const version = await this.#versionNow();
    if (version === this.#version) return;
    const text = version === undefined ? "" : await this.#read();
    const good = text.slice(0, text.lastIndexOf("\n") + 1);
    this.#known = new Set(good.split("\n").filter((line) => line !== "" && !line.startsWith("# ")));
    this.#domains = new Set(Array.from(this.#known, domainOf));
    this.#goodOctets = encoder.encode(good).length;
    this.#isTorn = good !== text;
    this.#version = version;
  }

  async #read(): Promise<string> {
    const { files, file } = this.#options;
    try {
      return await readSmallText(files, file, MAX_FILE_OCTETS);
    } catch (error) {
      throw errorAt(file, "read", error);
    }
  }

  async #versionNow(): Promise<string | undefined> {
    try {
      const { size, mtime } = await this.#options.files.stat(this.#options.file);
      return `${size} ${mtime?.getTime()}`;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** Writes what is unsaved behind the last whole line. */
  async #append(): Promise<void> {
    this.#waiting = undefined;
    await this.#load();
    const { files, file: path } = this.#options;
    const addresses = [...this.#unsaved];
    const lines = (this.#goodOctets === 0 ? HEADER : "") + addresses.map((address) => `${address}\n`).join("");
    const isNew = this.#version === undefined;
    const octets = encoder.encode(lines);
    const end = this.#goodOctets + octets.length;
    const file = await files.open(path, { read: true, write: true, create: true, mode: 0o600 });
    try {
      // Whatever goes wrong: what is there then is looked at anew.
      this.#version = "unknown";
      if (this.#isTorn) await file.truncate(this.#goodOctets);
      await file.seek(this.#goodOctets, Deno.SeekMode.Start);
      await writeAll(file, octets);
      await file.sync();
    } catch (error) {
      throw errorAt(path, "write", error);
    } finally {
      file.close();
    }
    if (isNew) await syncFolder(files, parentOf(path));
    for (const address of addresses) this.#unsaved.delete(address);
    const version = await this.#versionNow();
    // Where others wrote as well, it has another size, and is read.
    if (version?.startsWith(`${end} `) !== true) return await this.#load();
    for (const address of addresses) {
      this.#known.add(address);
      this.#domains.add(domainOf(address));
    }
    this.#goodOctets = end;
    this.#isTorn = false;
    this.#version = version;
  }
}
