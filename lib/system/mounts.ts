/** Which folders are on file systems that a server far away, or a program, answers for, and may do so never. */

import type { Clock } from "./clock.ts";

/** What knowledge of mounts comes from. */
export interface MountsOptions {
  /** Gives `/proc/self/mountinfo`; throws or gives undefined where there is none. */
  readonly readMounts: () => string | undefined;
  /** Follows symbolic links; in a thread, because it may take for ever. */
  readonly realPath: (folder: string) => Promise<string>;
  /** Its monotonic time is used. */
  readonly clock: Pick<Clock, "monotonic">;
}

/** Where a file system is mounted. */
interface Mount {
  readonly point: string;
  readonly isRemote: boolean;
}

/** proc(5): the mount point, later optional fields up to a single hyphen, then the type. */
const LINE = /^\d+ \d+ \S+ \S+ (\S+) .*? - (\S+)/;
/** File systems of the network, of clusters, and of programs (`fuse.sshfs`). What is mounted on demand may be any of them. */
const REMOTE =
  /^(nfs4?|cifs|smb3|smbfs|ncpfs|9p|virtiofs|ceph|glusterfs|lustre|beegfs|orangefs|afs|coda|gfs2?|ocfs2|autofs|fuse(blk|\..*)?)$/;
/** Mounts are looked at again after this time. */
const FRESH_MS = 10_000;
/** Folders whose place is remembered. */
const MAX_FOLDERS = 10_000;

/** Knows the mounts of this process. */
export class Mounts {
  readonly #options: MountsOptions;
  #mounts: readonly Mount[] = [];
  #isKnown = false;
  #hasRemote = false;
  #readMs = -Infinity;
  readonly #folders = new Map<string, boolean>();
  /** It is being found out. One that never ends is not asked for again. */
  readonly #asked = new Set<string>();

  /** Reads nothing yet. */
  constructor(options: MountsOptions) {
    this.#options = options;
  }

  /**
   * Whether a folder is surely on a disk of this machine. False also where that has still to be found out, which is done now;
   * or where the machine does not tell.
   */
  isLocal(folder: string): boolean {
    const nowMs = this.#options.clock.monotonic();
    if (nowMs - this.#readMs >= FRESH_MS) this.#read(nowMs);
    if (!this.#hasRemote) return this.#isKnown;
    const known = this.#folders.get(folder);
    if (known === undefined && !this.#asked.has(folder)) this.#findOut(folder);
    return known === true;
  }

  #read(nowMs: number): void {
    this.#readMs = nowMs;
    const text = this.#text();
    this.#isKnown = text !== undefined;
    this.#mounts = (text ?? "").split("\n").flatMap((line) => mountOf(line) ?? []);
    this.#hasRemote = this.#mounts.some(({ isRemote }) => isRemote);
    this.#folders.clear();
  }

  #text(): string | undefined {
    try {
      return this.#options.readMounts();
    } catch {
      return undefined;
    }
  }

  #findOut(folder: string): void {
    if (this.#asked.size >= MAX_FOLDERS) return;
    this.#asked.add(folder);
    this.#options.realPath(folder).then((path) => {
      if (this.#folders.size >= MAX_FOLDERS) this.#folders.clear();
      this.#folders.set(folder, !isRemote(path, this.#mounts));
    }, () => undefined).finally(() => this.#asked.delete(folder));
  }
}

function mountOf(line: string): Mount | undefined {
  const [, point, type] = LINE.exec(line) ?? [];
  if (point === undefined || type === undefined) return undefined;
  return { point: withoutEscapes(point), isRemote: REMOTE.test(type) };
}

/** The kernel writes white space and backslashes as three octal digits. */
function withoutEscapes(point: string): string {
  return point.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** The mount that is deepest, and of these the last one, holds the path. */
function isRemote(path: string, mounts: readonly Mount[]): boolean {
  let holder: Mount | undefined;
  for (const mount of mounts) {
    const { point } = mount;
    const holds = point === "/" || path === point || path.startsWith(`${point}/`);
    if (holds && point.length >= (holder?.point.length ?? 0)) holder = mount;
  }
  return holder?.isRemote ?? true;
}
