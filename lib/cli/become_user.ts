/** Who the server runs as, and who its files belong to. */

import { lchown } from "node:fs/promises";
import process from "node:process";
import type { Config } from "../config/config.ts";
import type { Logger } from "../log/logger.ts";
import { dropPrivileges, findUser, giveFolder, isRoot, type PrivilegedProcess } from "../system/privileges.ts";

const readPasswd = (): Promise<string> => Deno.readTextFile("/etc/passwd");

/**
 * Looks whether there is the user that the server would become. Without the rights of root nothing is looked up.
 *
 * @throws {PrivilegeError} There is none.
 */
export async function findOwnUser({ user }: Config): Promise<void> {
  if (user !== undefined && isRoot(process)) findUser(user, await readPasswd());
}

/** Gives a fresh data folder to `user`, so that everything in it can be written after the rights of root are gone. */
export async function giveDataFolder({ user, data }: Config): Promise<void> {
  if (user === undefined || !isRoot(process)) return;
  await giveFolder(data, findUser(user, await readPasswd()), Deno);
}

/**
 * Becomes `user` for good, when started as root. The sockets are bound by then.
 *
 * @throws {PrivilegeError} Where that cannot be done; the process must end then.
 */
export async function becomeUser({ user }: Config, logger: Logger): Promise<void> {
  if (!isRoot(process)) return;
  if (user === undefined) {
    logger.warning("Running as root: set `user` in the configuration, or start posthorn as another user");
    return;
  }
  const dropped = await dropPrivileges({ user, readPasswd, process });
  if (dropped === undefined) return;
  logger.info("Running as {user} from here on", { user });
  if (dropped.keptGroups.length > 0) {
    logger.warning("The process keeps root's supplementary groups {groups}: start it with systemd to avoid that", {
      groups: dropped.keptGroups.join(", "),
    });
  }
}

/** Gives a file that a command wrote as root to the user of the server: `user`, else the owner of the data folder. */
export async function giveToUser(path: string, { user, data }: Config): Promise<void> {
  if (!isRoot(process)) return;
  const owner = user === undefined ? await Deno.lstat(data) : findUser(user, await readPasswd());
  if (owner.uid === null || owner.gid === null) return;
  // Not Deno.chown: it follows symbolic links, and the folder may be that user's, who could put one there.
  await lchown(path, owner.uid, owner.gid);
}

/** Gives folders that a command may have made as root, outermost first, in the same way. */
export async function giveFoldersToUser(paths: readonly string[], config: Config): Promise<void> {
  if (!isRoot(process)) return;
  for (const path of paths) {
    if ((await Deno.lstat(path)).uid === 0) await giveToUser(path, config);
  }
}

/**
 * Becomes the owner of a folder for good, where the process is root and the folder is not: for commands that work in it.
 *
 * @returns False where this Deno cannot do that, and the process is root still.
 */
export async function becomeOwner(folder: string, process: PrivilegedProcess): Promise<boolean> {
  if (!isRoot(process)) return true;
  const owner = await Deno.lstat(folder).catch((error: unknown) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  });
  if (owner === undefined || owner.uid === null || owner.gid === null || owner.uid === 0) return true;
  if (process.setgid === undefined || process.setuid === undefined) return false;
  process.setgid(owner.gid);
  process.setuid(owner.uid);
  return true;
}
