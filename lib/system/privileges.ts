/** From root to a user without rights, once the ports are bound (docs of `user` in the configuration). */

import { CONFIG_ERROR, INTERNAL_ERROR, NO_PERMISSION } from "./sysexits.ts";

/** A user of the system. */
export interface UserIds {
  /** User id. */
  readonly uid: number;
  /** Its primary group. */
  readonly gid: number;
}

/** Dropping the privileges is not possible; the message says what to do. */
export class PrivilegeError extends Error {
  /** For `catch` across realms and log lines. */
  override readonly name = "PrivilegeError";
  /** One of sysexits.h: 77, 78 or 70. */
  readonly exitCode: number;

  /** Takes the exit code and the whole message. */
  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The part of `node:process` that is used. Deno has `setgid` and `setuid` from 2.8 on. */
export interface PrivilegedProcess {
  /** Real user id; absent on Windows. */
  getuid?(): number;
  /** Real group id. */
  getgid?(): number;
  /** Supplementary groups. */
  getgroups?(): number[];
  /** Sets real, effective and saved group id. */
  setgid?(id: number): void;
  /** Sets real, effective and saved user id, on all threads. */
  setuid?(id: number): void;
}

/** What `dropPrivileges` works with. */
export interface PrivilegeOptions {
  /** Name in /etc/passwd. */
  readonly user: string;
  /** Reads the text of /etc/passwd. */
  readonly readPasswd: () => Promise<string>;
  /** `node:process`. */
  readonly process: PrivilegedProcess;
}

/** What became of it. `keptGroups`: supplementary groups of root that Deno has no call to give up; worth a warning. */
export interface DroppedPrivileges extends UserIds {
  /** Empty when started by systemd or in a container. */
  readonly keptGroups: readonly number[];
}

/** True when the process has root's rights. */
export function isRoot(process: PrivilegedProcess): boolean {
  return process.getuid?.() === 0;
}

/**
 * Finds a user in /etc/passwd. Users of LDAP and the like are not there; systemd's `User=` serves them.
 *
 * @throws {PrivilegeError} 78 for a user that is not there, or is root.
 */
export function findUser(user: string, passwd: string): UserIds {
  for (const line of passwd.split("\n")) {
    const [name, , uid, gid] = line.split(":");
    if (name !== user || !/^\d+$/.test(uid ?? "") || !/^\d+$/.test(gid ?? "")) continue;
    if (Number(uid) !== 0) return { uid: Number(uid), gid: Number(gid) };
    throw new PrivilegeError(
      CONFIG_ERROR,
      `Cannot run as user "${user}": that is root; set "user" to one without rights`,
    );
  }
  const mend = `make it with "useradd --system ${user}", or correct "user" in the configuration`;
  throw new PrivilegeError(CONFIG_ERROR, `Cannot run as user "${user}": no such user in /etc/passwd; ${mend}`);
}

/**
 * Becomes another user for good. Does nothing unless the process is root's.
 *
 * To be called when the sockets are bound and the data folder is the user's (see {@link giveFolder}).
 *
 * @returns undefined when there was nothing to drop.
 * @throws {PrivilegeError} The process must end then: it may be root still.
 */
export async function dropPrivileges(options: PrivilegeOptions): Promise<DroppedPrivileges | undefined> {
  const { user, readPasswd, process } = options;
  if (!isRoot(process)) return undefined;
  const ids = findUser(user, await readPasswd());
  if (process.setgid === undefined || process.setuid === undefined) {
    const mend =
      `start posthorn as that user: systemd's "User=${user}" with "AmbientCapabilities=CAP_NET_BIND_SERVICE"`;
    throw new PrivilegeError(NO_PERMISSION, `Cannot become user "${user}": this Deno cannot change its user; ${mend}`);
  }
  try {
    process.setgid(ids.gid); // First the group: afterwards there is no right to change it.
    process.setuid(ids.uid);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new PrivilegeError(NO_PERMISSION, `Cannot become user "${user}": ${reason}`, { cause: error });
  }
  checkDropped(user, ids, process);
  return { ...ids, keptGroups: (process.getgroups?.() ?? []).filter((group) => group !== ids.gid) };
}

/** Believes nothing: looks at the ids, and tries to become root again. */
function checkDropped(user: string, { uid, gid }: UserIds, process: PrivilegedProcess): void {
  let isRootAgain = false;
  try {
    process.setuid?.(0);
    isRootAgain = true;
  } catch {
    // As it should be.
  }
  if (isRootAgain || process.getuid?.() !== uid || process.getgid?.() !== gid) {
    throw new PrivilegeError(
      INTERNAL_ERROR,
      `Cannot become user "${user}": the system still grants the rights of root`,
    );
  }
}

/** The calls on the file system that {@link giveFolder} makes; `Deno` has them. */
export interface OwnershipFiles {
  /** Does not follow a symbolic link. */
  lstat(
    path: string,
  ): Promise<{ readonly uid: number | null; readonly isDirectory: boolean; readonly isFile: boolean }>;
  /** Entries of a folder. */
  readDir(path: string): AsyncIterable<{ readonly name: string }>;
  /** Changes the owner. */
  chown(path: string, uid: number, gid: number): Promise<void>;
}

/**
 * Gives a folder that root made to the user that the server runs as, with what is in it.
 *
 * Only folders that root owns are entered, and each is given away last. So nothing is ever done in a folder in which that
 * user could put a symbolic link at the right moment, to become the owner of a file of the system.
 */
export async function giveFolder(path: string, ids: UserIds, files: OwnershipFiles): Promise<void> {
  const { uid, isDirectory } = await files.lstat(path);
  if (uid !== 0 || !isDirectory) return;
  for await (const { name } of files.readDir(path)) {
    const entry = `${path}/${name}`;
    const stat = await files.lstat(entry);
    if (stat.isDirectory) await giveFolder(entry, ids, files);
    else if (stat.isFile && stat.uid === 0) await files.chown(entry, ids.uid, ids.gid);
  }
  await files.chown(path, ids.uid, ids.gid);
}
