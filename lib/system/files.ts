/** The file system as spool and Maildir see it, so that tests can make it full, slow or broken. */

/** An open file or folder. `Deno.FsFile` is one. */
export interface OpenFile {
  /** Takes what is there, at most `into.length` octets; null at the end of the file. */
  read(into: Uint8Array): Promise<number | null>;
  /** Returns how many octets were taken, which may be fewer than given: see `writeAll`. */
  write(octets: Uint8Array): Promise<number>;
  /** Returns the new position, in octets from the start. */
  seek(offset: number, whence: Deno.SeekMode): Promise<number>;
  /** fdatasync */
  syncData(): Promise<void>;
  /** fsync; also for a folder. */
  sync(): Promise<void>;
  /** `size` in octets; the numbers tell which file it is, where the disk has such. */
  stat(): Promise<{ readonly size: number } & Pick<FileFacts, "ino" | "dev">>;
  /** Cuts or extends the file to this size; the position stays. */
  truncate(octets: number): Promise<void>;
  /** flock, if it is free; false where another process holds it. Absent before Deno 2.6. */
  tryLock?(exclusive: boolean): Promise<boolean>;
  /** flock; waits until it is free. */
  lock?(exclusive: boolean): Promise<void>;
  /** Frees the descriptor and any lock; syncs nothing. */
  close(): void;
}

/** One entry of a folder. */
export interface FolderEntry {
  /** Without its folder. */
  readonly name: string;
  /** False for a symbolic link, wherever it leads. */
  readonly isFile: boolean;
  /** False for a symbolic link, wherever it leads. */
  readonly isDirectory: boolean;
}

/** What the disk knows about a file or folder. */
export interface FileFacts {
  /** In octets. */
  readonly size: number;
  /** When its content changed last. */
  readonly mtime: Date | null;
  /** When it was read last, as far as the disk keeps that. */
  readonly atime?: Date | null;
  /** False for everything else. */
  readonly isDirectory: boolean;
  /** False for pipes, devices, folders and, unless they are followed, symbolic links. */
  readonly isFile: boolean;
  /** Its number on its disk: another file with the same name has another. */
  readonly ino?: number | null;
  /** The number of its disk. */
  readonly dev?: number | null;
}

/** The operations on paths that posthorn needs. Errors are those of Deno (`Deno.errors.NotFound`, …). */
export interface Files {
  /** Opens a file or, read-only, a folder. */
  open(path: string, options: Deno.OpenOptions): Promise<OpenFile>;
  /** Replaces what `to` names, in one step; durable only after `sync` of the folder. */
  rename(from: string, to: string): Promise<void>;
  /** A file or an empty folder; durable only after `sync` of its parent. */
  remove(path: string): Promise<void>;
  /** Makes the folder and its parents where missing. */
  makeFolder(path: string, mode: number): Promise<void>;
  /** In no order; what changes meanwhile may be missed. */
  list(path: string): AsyncIterable<FolderEntry>;
  /** Follows symbolic links. */
  stat(path: string): Promise<FileFacts>;
  /** Tells of a symbolic link itself. */
  lstat(path: string): Promise<FileFacts>;
}

/** The file system of the machine. */
export const systemFiles: Files = {
  open: (path, options) => Deno.open(path, options),
  rename: (from, to) => Deno.rename(from, to),
  remove: (path) => Deno.remove(path),
  makeFolder: (path, mode) => Deno.mkdir(path, { recursive: true, mode }),
  list: (path) => Deno.readDir(path),
  stat: (path) => Deno.stat(path),
  lstat: (path) => Deno.lstat(path),
};

/**
 * For files in folders that users can write into as well, e.g. over a shell: opens neither a symbolic link, which may lead to
 * a file of somebody else, nor a pipe, which would hold up a thread until somebody opens its other end.
 *
 * @returns An `open` that throws an `Error` for either, and `NotFound` where there is nothing.
 */
export function plainly(files: Pick<Files, "open" | "lstat">): Pick<Files, "open"> {
  return {
    async open(path, options): Promise<OpenFile> {
      // Whoever replaces the file in earnest does not do it at once again.
      return await openPlain(files, path, options) ?? await openPlain(files, path, options) ??
        Promise.reject(new Error(`Cannot open "${path}": others keep taking its place`));
    },
  };
}

/** Undefined where what was opened is not what was there before. */
async function openPlain(
  files: Pick<Files, "open" | "lstat">,
  path: string,
  options: Deno.OpenOptions,
): Promise<OpenFile | undefined> {
  const seen = await files.lstat(path);
  if (!seen.isFile) throw new Error(`Cannot open "${path}": it is no plain file`);
  const file = await files.open(path, options);
  try {
    const { ino, dev } = await file.stat();
    if (ino === seen.ino && dev === seen.dev) return file;
  } catch (error) {
    file.close();
    throw error;
  }
  file.close();
  return undefined;
}

/** Writes all octets; a single write may take fewer. */
export async function writeAll(
  file: { write(octets: Uint8Array): Promise<number> },
  octets: Uint8Array,
): Promise<void> {
  let written = await file.write(octets);
  while (written < octets.length) written += await file.write(octets.subarray(written));
}

/** Reads until the buffer is full or the file ends; a single read may give fewer. Returns how many octets there were. */
export async function readFully(
  file: { read(into: Uint8Array): Promise<number | null> },
  buffer: Uint8Array,
): Promise<number> {
  let length = 0;
  while (length < buffer.length) {
    const octets = await file.read(length === 0 ? buffer : buffer.subarray(length));
    if (octets === null) break;
    length += octets;
  }
  return length;
}

/**
 * Reads a small file as UTF-8.
 *
 * @throws {RangeError} It has more than `maxOctets`: not written by us.
 */
export async function readSmallText(files: Pick<Files, "open">, path: string, maxOctets: number): Promise<string> {
  const file = await files.open(path, { read: true });
  try {
    const { size } = await file.stat();
    if (size > maxOctets) throw new RangeError(`Cannot read "${path}": ${size} octets are too many`);
    const octets = new Uint8Array(size);
    return new TextDecoder().decode(octets.subarray(0, await readFully(file, octets)));
  } finally {
    file.close();
  }
}

/** The folder that a path lies in. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash > 0 ? path.slice(0, slash) : slash === 0 ? "/" : ".";
}

/** Whether something has that path. Throws what the disk says where it cannot tell. */
export async function isThere(files: Pick<Files, "stat">, path: string): Promise<boolean> {
  try {
    await files.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** How a whole file is written. */
export interface DurableWrite {
  /** Permissions, e.g. 0o600. */
  readonly mode: number;
  /** True: a file of this name may be there and is replaced. False: AlreadyExists is thrown. */
  readonly replace: boolean;
  /** Runs on the finished file before it takes its place, e.g. to change its owner. */
  beforePublish?(temporaryFile: string): Promise<void>;
}

/**
 * Writes a file and syncs it and its folder: after a crash the old or the new content is there, never half of it.
 *
 * @throws {Deno.errors.AlreadyExists} When nothing may be replaced and the file is there.
 */
export async function writeDurable(
  files: Files,
  path: string,
  text: string,
  { mode, replace, beforePublish }: DurableWrite,
): Promise<void> {
  const temporary = `${path}.new`;
  // Left by a crash. It is removed, not written over, because its permissions may be others.
  await files.remove(temporary).catch((error: unknown) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  const file = await files.open(temporary, { write: true, createNew: true, mode });
  try {
    await writeAll(file, new TextEncoder().encode(text));
    await file.sync();
  } finally {
    file.close();
  }
  if (!replace) await refuseExisting(files, path, temporary);
  await beforePublish?.(temporary);
  await files.rename(temporary, path);
  await syncFolder(files, parentOf(path));
}

async function refuseExisting(files: Files, path: string, temporary: string): Promise<void> {
  const isThere = await files.stat(path).then(() => true, (error: unknown) => !(error instanceof Deno.errors.NotFound));
  if (!isThere) return;
  await files.remove(temporary);
  throw new Deno.errors.AlreadyExists(`Cannot write "${path}": the file exists`);
}

/** Makes durable what was created, renamed and removed in a folder. */
export async function syncFolder(files: Files, path: string): Promise<void> {
  const folder = await files.open(path, { read: true });
  try {
    await folder.sync();
  } finally {
    folder.close();
  }
}

/**
 * What an open file threw, with its path: Deno names the file where a path was given, but not where a descriptor was.
 *
 * @param doing An infinitive, e.g. `write`.
 */
export function errorAt(path: string, doing: string, error: unknown): unknown {
  if (!(error instanceof Error) || error.message.includes(path)) return error;
  const named = new Error(`Cannot ${doing} "${path}": ${error.message}`, { cause: error });
  return "code" in error ? Object.assign(named, { code: error.code }) : named;
}

/** True for the errors that mean: this disk, quota or table is full now, and may not be later. */
export function isOutOfSpace(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? error.code : undefined;
  return code === "ENOSPC" || code === "EDQUOT" || /os error (28|122)\b/.test(error.message);
}
