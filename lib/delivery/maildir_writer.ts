/**
 * Writes one message into a Maildir: complete and durable in `tmp/` before anybody can see it in `new/` or `cur/`. The
 * content may come while a client is still sending it.
 *
 * Made for NFS, too: no locks, no links, no name that is used twice. A server that does not answer in time is asked again,
 * and may then refuse what it did at the first time; where that can be, we look. Its errors (a quota, a full disk) may come as
 * late as `close`, which tells nothing in Deno: fdatasync comes before, sends all to the server, and tells.
 *
 * @see https://cr.yp.to/proto/maildir.html
 */

import { errorAt, type Files, type OpenFile, writeAll } from "../system/files.ts";
import type { FolderSync } from "../system/folder_sync.ts";
import { LfConverter, type LineEndings } from "./line_endings.ts";
import { sizedName } from "./maildir_name.ts";

/** What all files of a process share. */
export interface MaildirWriterOptions {
  /** The disk. */
  readonly files: Files;
  /** Shared with others or own. */
  readonly folderSync: FolderSync;
  /** Gives a new unique name at each call, without sizes. */
  readonly nextName: () => string;
  /** Of the files. */
  readonly lineEndings: LineEndings;
}

/** Where a finished file is to appear. */
export interface MaildirPlace {
  /** A folder with `tmp`, `new` and `cur` on the same file system; by default the one in which the file was begun. */
  readonly maildir?: string;
  /** `new` for mail that nobody has seen; `cur` where it has flags. */
  readonly folder: "new" | "cur";
  /** Letters of the Maildir specification, e.g. `FS` for flagged and seen; only in `cur`. */
  readonly flags?: string;
}

/** A message in a Maildir. */
export interface MaildirFile {
  /** With its folder. */
  readonly path: string;
  /** Size of the file in octets: `S=`. */
  readonly octets: number;
  /** Size in octets with CRLF at the end of each line, as IMAP and quotas count: `W=`. */
  readonly crlfOctets: number;
}

/** Converted and written at a time; what is smaller takes one call of the system with its head. */
const MAX_WRITE_OCTETS = 256 * 1024;

const NOTHING = new Uint8Array(0);

/**
 * One file. Its owner calls `write` any number of times, each after the last has resolved, then `publish` or `abort`;
 * disposing of it aborts what was not published.
 */
export class MaildirWriter implements AsyncDisposable {
  readonly #options: MaildirWriterOptions;
  readonly #maildir: string;
  readonly #name: string;
  readonly #file: OpenFile;
  readonly #converter: LfConverter | undefined;
  /** Not yet written: goes out with the first octets of content, in one call. */
  #head: Uint8Array;
  #buffer = NOTHING;
  #octets = 0;
  #crlfOctets = 0;
  #state: "writing" | "failed" | "closed" = "writing";

  private constructor(options: MaildirWriterOptions, maildir: string, name: string, file: OpenFile, head: Uint8Array) {
    this.#options = options;
    this.#maildir = maildir;
    this.#name = name;
    this.#file = file;
    this.#head = head;
    this.#converter = options.lineEndings === "lf" ? new LfConverter() : undefined;
  }

  /**
   * Makes a file in `tmp/`, mode 0600.
   *
   * @param maildir Its `tmp`, `new` and `cur` exist.
   * @param head Header fields for the front, lines ending with CRLF.
   * @throws {Deno.errors} What the disk said; NotFound where a folder is missing.
   */
  static async begin(options: MaildirWriterOptions, maildir: string, head: Uint8Array): Promise<MaildirWriter> {
    const openOptions = { write: true, createNew: true, mode: 0o600 };
    let name = options.nextName();
    let file: OpenFile;
    try {
      file = await options.files.open(`${maildir}/tmp/${name}`, openOptions);
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
      // On NFS it may be ours, made by a request whose answer was lost.
      name = options.nextName();
      file = await options.files.open(`${maildir}/tmp/${name}`, openOptions);
    }
    return new MaildirWriter(options, maildir, name, file, head);
  }

  /**
   * Writes the next octets of the content, lines ending with CRLF; they may be cut anywhere, also between CR and LF.
   *
   * @param piece Not used after the promise has resolved.
   * @throws {Error} What the disk said. The file can only be aborted then.
   */
  async write(piece: Uint8Array): Promise<void> {
    this.#mustBeWriting();
    const head = this.#head;
    this.#head = NOTHING;
    this.#crlfOctets += head.length + piece.length;
    if (this.#converter === undefined) {
      if (head.length === 0) return await this.#put(piece);
      if (head.length + piece.length > MAX_WRITE_OCTETS) {
        await this.#put(head);
        return await this.#put(piece);
      }
    }
    let first = head;
    for (let from = 0; from < piece.length || first.length > 0; from += MAX_WRITE_OCTETS) {
      await this.#put(this.#prepare(first, piece.subarray(from, from + MAX_WRITE_OCTETS)));
      first = NOTHING;
    }
  }

  /**
   * Makes the message durable and visible.
   *
   * @returns Where it is, once file and folder are synced.
   * @throws {Error} What the disk said. Nothing is visible then: also not where only the folder could not be synced, because
   * who tries again would bring a second copy.
   */
  async publish({ maildir = this.#maildir, folder, flags = "" }: MaildirPlace): Promise<MaildirFile> {
    if (folder === "new" && flags !== "") throw new TypeError(`Cannot publish in new/ with flags "${flags}"`);
    const { files, folderSync } = this.#options;
    const written = this.#path;
    let path = written;
    try {
      await this.#finish();
      const name = sizedName(this.#name, this.#octets, this.#crlfOctets);
      const target = `${maildir}/${folder}/${name}${folder === "new" ? "" : `:2,${sorted(flags)}`}`;
      const mark = folderSync.mark(`${maildir}/${folder}`);
      await renameOnce(files, written, target);
      path = target;
      await folderSync.sync(`${maildir}/${folder}`, mark);
      return { path, octets: this.#octets, crlfOctets: this.#crlfOctets };
    } catch (error) {
      this.#close();
      await files.remove(path).catch(() => undefined);
      throw error;
    }
  }

  /** Removes the file; does nothing after `publish`, or the second time. Throws nothing: `tmp/` is cleaned some day. */
  async abort(): Promise<void> {
    if (this.#state === "closed") return;
    this.#close();
    await this.#options.files.remove(this.#path).catch(() => undefined);
  }

  /** The same as `abort`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.abort();
  }

  get #path(): string {
    return `${this.#maildir}/tmp/${this.#name}`;
  }

  #mustBeWriting(): void {
    if (this.#state !== "writing") throw new TypeError(`Cannot write "${this.#path}": ${this.#state}`);
  }

  /** Head and piece as the file has them, in a buffer that the next call uses again. */
  #prepare(head: Uint8Array, piece: Uint8Array): Uint8Array {
    const room = head.length + piece.length + 1;
    if (this.#buffer.length < room) this.#buffer = new Uint8Array(room);
    const converter = this.#converter;
    if (converter !== undefined) {
      const end = converter.convert(piece, this.#buffer, converter.convert(head, this.#buffer, 0));
      return this.#buffer.subarray(0, end);
    }
    this.#buffer.set(head);
    this.#buffer.set(piece, head.length);
    return this.#buffer.subarray(0, room - 1);
  }

  async #put(octets: Uint8Array): Promise<void> {
    if (octets.length === 0) return;
    try {
      await writeAll(this.#file, octets);
      this.#octets += octets.length;
    } catch (error) {
      this.#state = "failed";
      throw errorAt(this.#path, "write", error);
    }
  }

  async #finish(): Promise<void> {
    this.#mustBeWriting();
    if (this.#head.length > 0) await this.write(NOTHING);
    const rest = this.#converter?.end() ?? NOTHING;
    if (rest.length > 0) await this.#put(rest);
    try {
      await this.#file.syncData();
    } catch (error) {
      throw errorAt(this.#path, "write", error);
    }
    this.#close();
  }

  #close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#file.close();
  }
}

/** Flags stand in the order of ASCII, each once. */
function sorted(flags: string): string {
  return [...new Set(flags)].sort().join("");
}

/** Renames to a name that nobody else can have. On NFS a request that is sent again may find its own work done. */
async function renameOnce(files: Files, from: string, to: string): Promise<void> {
  try {
    await files.rename(from, to);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const isThere = await files.stat(to).then(() => true, () => false);
    if (!isThere) throw error;
  }
}
