/** Writes a file front to back while octets keep coming, with back-pressure and without losing an error. */

import { errorAt, type Files, type OpenFile, writeAll } from "../system/files.ts";

/** Octets that may wait for the disk before the caller has to. */
const MAX_WAITING_OCTETS = 128 * 1024;

/** Octets that wait, and who gets them back. */
interface Piece {
  readonly octets: Uint8Array;
  readonly isWritten?: (() => void) | undefined;
}

/** A file being written. */
export class FileAppender {
  readonly #files: Files;
  readonly #path: string;
  #file: OpenFile | undefined;
  #isMade = false;
  #waiting: Piece[] = [];
  #waitingOctets = 0;
  #writing: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  /** Takes the path of the file to make; nothing happens before the first octets. */
  constructor(files: Files, path: string) {
    this.#files = files;
    this.#path = path;
  }

  /** True once there is a file, which may have to be removed. */
  get isMade(): boolean {
    return this.#isMade;
  }

  /**
   * Takes octets, which belong to it until they are written.
   *
   * @param isWritten Called when they are, and never where the disk fails.
   * @returns A promise where the disk is behind, or failed: wait for it. Undefined: go on.
   */
  append(octets: Uint8Array, isWritten?: () => void): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    this.#waiting.push({ octets, isWritten });
    this.#waitingOctets += octets.length;
    this.#writing ??= this.#drain();
    return this.#waitingOctets >= MAX_WAITING_OCTETS ? this.#settled() : undefined;
  }

  /**
   * Waits for the writing to end.
   *
   * @returns The open file, which then belongs to the caller.
   */
  async finish(): Promise<OpenFile> {
    await this.#settled();
    const file = this.#file;
    if (file === undefined) throw new TypeError("Nothing was appended");
    this.#file = undefined;
    return file;
  }

  /** Waits for the writing to end and closes the file, if it is open. Never throws. */
  async close(): Promise<void> {
    this.#failure ??= { error: new TypeError("The file is closed") };
    await this.#writing;
    this.#file?.close();
    this.#file = undefined;
  }

  async #settled(): Promise<void> {
    await this.#writing;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Never rejects: nobody may be waiting just now. The error is kept for the next call. */
  async #drain(): Promise<void> {
    try {
      this.#file ??= await this.#files.open(this.#path, { write: true, createNew: true, mode: 0o600 });
      this.#isMade = true;
      while (this.#waiting.length > 0 && this.#failure === undefined) {
        const pieces = this.#waiting;
        this.#waiting = [];
        this.#waitingOctets = 0;
        for (const { octets, isWritten } of pieces) {
          await writeAll(this.#file, octets);
          isWritten?.();
        }
      }
    } catch (error) {
      this.#failure ??= { error: errorAt(this.#path, "write", error) };
      this.#waiting = [];
    }
    this.#writing = undefined;
  }
}
