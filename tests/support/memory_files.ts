/** A file system in memory that can fail at any operation, and that forgets at a crash what was not synced. */

import type { FileFacts, Files, FolderEntry, OpenFile } from "../../lib/system/files.ts";

/** One operation, as the fault of a test sees it. */
export interface FileOperation {
  readonly name:
    | "open"
    | "read"
    | "write"
    | "syncData"
    | "sync"
    | "truncate"
    | "rename"
    | "remove"
    | "makeFolder"
    | "list";
  readonly path: string;
  /** Counts all operations that can change something or wait for the disk, from 1. */
  readonly count: number;
}

interface FileNode {
  kind: "file";
  data: Uint8Array;
  /** What survives a power loss. */
  durable: Uint8Array;
  /** Written since the last sync: pieces as first octet and the one behind the last. */
  dirty: Piece[];
  /** Written before a sync that failed: the kernel takes it for clean, and no later sync writes it. */
  lost: Piece[];
}

type Piece = readonly [from: number, to: number];

interface FolderNode {
  kind: "folder";
  entries: Map<string, Node>;
  durable: Map<string, Node>;
  /** Names that were added or removed before a sync that failed, and not since: no later sync makes that durable. */
  lost: Set<string>;
}

type Node = FileNode | FolderNode;

/** Says what an unsynced change does in a crash: it is lost, or it had reached the disk anyway. */
export type Survives = () => boolean;

/** The error of a full disk, as Deno reports it. */
export function diskFull(): Error {
  return Object.assign(new Error("No space left on device (os error 28)"), { code: "ENOSPC" });
}

/** A repeatable coin (mulberry32), for crashes in which some of what was not synced survives. */
export function coin(seed: number): () => boolean {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) & 1) === 1;
  };
}

/** Everything below one root folder. */
export class MemoryFiles implements Files {
  /** Called before each operation; what it throws is the result. Half of a write is done before it fails. */
  fault: ((operation: FileOperation) => void) | undefined;
  /** The time stamp of everything. */
  mtime: Date | null = null;
  /** Handles that are open now. */
  openHandles = 0;
  /** Operations so far. */
  operations = 0;
  #root: FolderNode = folder();

  open(path: string, options: Deno.OpenOptions): Promise<OpenFile> {
    return this.#do("open", path, () => {
      const [parent, name] = this.#parent(path);
      let node = path === "/" ? this.#root : parent.entries.get(name);
      if (node !== undefined && options.createNew) throw new Deno.errors.AlreadyExists(path);
      if (node === undefined) {
        if (!options.create && !options.createNew) throw new Deno.errors.NotFound(path);
        node = file(new Uint8Array(0));
        setEntry(parent, name, node);
      }
      this.openHandles++;
      return this.#handle(path, node, options.append === true);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#do("rename", from, () => {
      const [source, oldName] = this.#parent(from);
      const [target, newName] = this.#parent(to);
      const node = source.entries.get(oldName);
      if (node === undefined) throw new Deno.errors.NotFound(from);
      setEntry(source, oldName, undefined);
      setEntry(target, newName, node);
    });
  }

  remove(path: string): Promise<void> {
    return this.#do("remove", path, () => {
      const [parent, name] = this.#parent(path);
      const node = parent.entries.get(name);
      if (node?.kind === "folder" && node.entries.size > 0) {
        throw new Error(`Directory not empty (os error 39): remove '${path}'`);
      }
      if (node === undefined) throw new Deno.errors.NotFound(path);
      setEntry(parent, name, undefined);
    });
  }

  makeFolder(path: string): Promise<void> {
    return this.#do("makeFolder", path, () => {
      let node = this.#root;
      for (const name of path.split("/").filter(Boolean)) {
        const next = node.entries.get(name) ?? folder();
        if (next.kind !== "folder") throw new Deno.errors.AlreadyExists(path);
        if (next !== node.entries.get(name)) setEntry(node, name, next);
        node = next;
      }
    });
  }

  async *list(path: string): AsyncGenerator<FolderEntry> {
    const entries = await this.#do("list", path, () => [...this.#folder(path).entries]);
    for (const [name, { kind }] of entries) {
      yield await Promise.resolve({ name, isFile: kind === "file", isDirectory: kind === "folder" });
    }
  }

  stat(path: string): Promise<FileFacts> {
    const node = this.#find(path);
    if (node === undefined) return Promise.reject(new Deno.errors.NotFound(path));
    const size = node.kind === "file" ? node.data.length : 0;
    return Promise.resolve({
      size,
      mtime: this.mtime,
      isDirectory: node.kind === "folder",
      isFile: node.kind === "file",
    });
  }

  lstat(path: string): Promise<FileFacts> {
    return this.stat(path);
  }

  /** All files below a folder, by path, for assertions. */
  tree(path: string): Map<string, Uint8Array> {
    const files: Map<string, Uint8Array> = new Map();
    const walk = (node: Node, at: string): void => {
      if (node.kind === "file") files.set(at, node.data);
      else for (const [name, child] of node.entries) walk(child, `${at}/${name}`);
    };
    walk(this.#folder(path), path);
    return files;
  }

  /** Replaces the content of a file behind everybody's back. */
  overwrite(path: string, data: Uint8Array): void {
    const [parent, name] = this.#parent(path);
    parent.entries.set(name, file(data));
  }

  /** The disk as the next start finds it after a crash now. */
  afterCrash(survives: Survives): MemoryFiles {
    const files = new MemoryFiles();
    const copies: Map<Node, Node> = new Map();
    files.#root = crashed(this.#root, survives, copies) as FolderNode;
    return files;
  }

  #handle(path: string, node: Node, isAppend: boolean): OpenFile {
    let position = 0;
    let isOpen = true;
    const opened = (): FileNode => {
      if (!isOpen) throw new Deno.errors.BadResource(path);
      if (node.kind === "folder") throw new Deno.errors.IsADirectory(path);
      return node;
    };
    const put = (octets: Uint8Array): number => {
      const target = opened();
      if (isAppend) position = target.data.length;
      const data = new Uint8Array(Math.max(target.data.length, position + octets.length));
      data.set(target.data);
      data.set(octets, position);
      const end = position + octets.length;
      target.lost = target.lost.flatMap((piece) => without(piece, position, end));
      target.dirty.push([position, end]);
      position = end;
      target.data = data;
      return octets.length;
    };
    const sync = (): void => {
      if (node.kind === "folder") return syncFolder(node);
      const before = node.durable;
      node.durable = node.data.slice();
      for (const [from, to] of node.lost) {
        for (let at = from; at < to; at++) node.durable[at] = before[at] ?? 0;
      }
      node.dirty = [];
    };
    const failSync = (): void => {
      if (node.kind === "folder") {
        for (const name of changedNames(node)) node.lost.add(name);
        return;
      }
      node.lost.push(...node.dirty);
      node.dirty = [];
    };
    return {
      read: (into) =>
        this.#do("read", path, () => {
          const { data } = opened();
          if (position >= data.length && into.length > 0) return null;
          // Short reads, as a file system may give.
          const octets = data.subarray(position, position + Math.max(1, Math.ceil(into.length / 2)));
          into.set(octets);
          position += octets.length;
          return octets.length;
        }),
      write: (octets) =>
        this.#do("write", path, () => put(octets), () => put(octets.subarray(0, Math.floor(octets.length / 2)))),
      seek: (offset) => {
        position = offset;
        return Promise.resolve(offset);
      },
      syncData: () => this.#do("syncData", path, sync, failSync),
      sync: () => this.#do("sync", path, sync, failSync),
      stat: () => Promise.resolve({ size: opened().data.length }),
      truncate: (octets) =>
        this.#do("truncate", path, () => {
          const target = opened();
          target.data = target.data.slice(0, octets);
          target.lost = target.lost.flatMap((piece) => without(piece, octets, Infinity));
        }),
      close: () => {
        if (!isOpen) throw new Deno.errors.BadResource(path);
        isOpen = false;
        this.openHandles--;
      },
    };
  }

  async #do<T>(name: FileOperation["name"], path: string, run: () => T, onFault?: () => void): Promise<T> {
    await Promise.resolve();
    if (name !== "read" && name !== "list") this.operations++;
    try {
      this.fault?.({ name, path, count: this.operations });
    } catch (error) {
      onFault?.();
      throw error;
    }
    return run();
  }

  #find(path: string): Node | undefined {
    let node: Node | undefined = this.#root;
    for (const name of path.split("/").filter(Boolean)) {
      node = node?.kind === "folder" ? node.entries.get(name) : undefined;
    }
    return node;
  }

  #folder(path: string): FolderNode {
    const node = this.#find(path);
    if (node === undefined) throw new Deno.errors.NotFound(path);
    if (node.kind !== "folder") throw new Deno.errors.NotADirectory(path);
    return node;
  }

  #parent(path: string): [FolderNode, string] {
    const at = path.lastIndexOf("/");
    return [this.#folder(path.slice(0, at)), path.slice(at + 1)];
  }
}

function file(data: Uint8Array): FileNode {
  return { kind: "file", data, durable: data, dirty: [], lost: [] };
}

/** What is left of a piece. */
function without([from, to]: Piece, start: number, end: number): Piece[] {
  const rest: Piece[] = [[from, Math.min(to, start)], [Math.max(from, end), to]];
  return rest.filter((piece) => piece[0] < piece[1]);
}

function folder(): FolderNode {
  return { kind: "folder", entries: new Map(), durable: new Map(), lost: new Set() };
}

function setEntry(parent: FolderNode, name: string, node: Node | undefined): void {
  if (node === undefined) parent.entries.delete(name);
  else parent.entries.set(name, node);
  parent.lost.delete(name);
}

function changedNames({ entries, durable }: FolderNode): string[] {
  return [...new Set([...entries.keys(), ...durable.keys()])].filter((name) => entries.get(name) !== durable.get(name));
}

function syncFolder(node: FolderNode): void {
  for (const name of changedNames(node)) {
    if (node.lost.has(name)) continue;
    const entry = node.entries.get(name);
    if (entry === undefined) node.durable.delete(name);
    else node.durable.set(name, entry);
  }
}

/** A node as it stands on the disk; one that stands in two folders after a lost rename is one node still. */
function crashed(node: Node, survives: Survives, copies: Map<Node, Node>): Node {
  const known = copies.get(node);
  if (known !== undefined) return known;
  if (node.kind === "file") {
    const data = crashedData(node, survives);
    const copy = file(data);
    copies.set(node, copy);
    return copy;
  }
  const copy = folder();
  copies.set(node, copy);
  for (const name of new Set([...node.entries.keys(), ...node.durable.keys()])) {
    const now = node.entries.get(name);
    const before = node.durable.get(name);
    const kept = now === before || survives() ? now : before;
    if (kept !== undefined) copy.entries.set(name, crashed(kept, survives, copies));
  }
  copy.durable = new Map(copy.entries);
  return copy;
}

/** All, nothing, or a part of what was appended since the last sync. */
function crashedData({ data, durable }: FileNode, survives: Survives): Uint8Array {
  if (survives()) return data.slice();
  if (!survives() || data.length <= durable.length) return durable.slice();
  return data.slice(0, durable.length + Math.ceil((data.length - durable.length) / 2));
}
