/** A file system in memory that can fail at any operation, and that forgets at a crash what was not synced. */

import type { Files, FolderEntry, OpenFile } from "../../lib/system/files.ts";

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
}

interface FolderNode {
  kind: "folder";
  entries: Map<string, Node>;
  durable: Map<string, Node>;
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
        node = { kind: "file", data: new Uint8Array(0), durable: new Uint8Array(0) };
        parent.entries.set(name, node);
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
      source.entries.delete(oldName);
      target.entries.set(newName, node);
    });
  }

  remove(path: string): Promise<void> {
    return this.#do("remove", path, () => {
      const [parent, name] = this.#parent(path);
      if (!parent.entries.delete(name)) throw new Deno.errors.NotFound(path);
    });
  }

  makeFolder(path: string): Promise<void> {
    return this.#do("makeFolder", path, () => {
      let node = this.#root;
      for (const name of path.split("/").filter(Boolean)) {
        const next = node.entries.get(name) ?? folder();
        if (next.kind !== "folder") throw new Deno.errors.AlreadyExists(path);
        node.entries.set(name, next);
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

  stat(path: string): Promise<{ size: number; mtime: null; isDirectory: boolean }> {
    const node = this.#find(path);
    if (node === undefined) return Promise.reject(new Deno.errors.NotFound(path));
    const size = node.kind === "file" ? node.data.length : 0;
    return Promise.resolve({ size, mtime: null, isDirectory: node.kind === "folder" });
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
    parent.entries.set(name, { kind: "file", data, durable: data });
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
    const file = (): FileNode => {
      if (!isOpen) throw new Deno.errors.BadResource(path);
      if (node.kind === "folder") throw new Deno.errors.IsADirectory(path);
      return node;
    };
    const put = (octets: Uint8Array): number => {
      const target = file();
      if (isAppend) position = target.data.length;
      const data = new Uint8Array(Math.max(target.data.length, position + octets.length));
      data.set(target.data);
      data.set(octets, position);
      position += octets.length;
      target.data = data;
      return octets.length;
    };
    const sync = (): void => {
      if (node.kind === "file") node.durable = node.data.slice();
      else node.durable = new Map(node.entries);
    };
    return {
      read: (into) =>
        this.#do("read", path, () => {
          const { data } = file();
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
      syncData: () => this.#do("syncData", path, sync),
      sync: () => this.#do("sync", path, sync),
      stat: () => Promise.resolve({ size: file().data.length }),
      truncate: (octets) =>
        this.#do("truncate", path, () => {
          file().data = file().data.slice(0, octets);
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

function folder(): FolderNode {
  return { kind: "folder", entries: new Map(), durable: new Map() };
}

/** A node as it stands on the disk; one that stands in two folders after a lost rename is one node still. */
function crashed(node: Node, survives: Survives, copies: Map<Node, Node>): Node {
  const known = copies.get(node);
  if (known !== undefined) return known;
  if (node.kind === "file") {
    const data = crashedData(node, survives);
    const copy: FileNode = { kind: "file", data, durable: data };
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
