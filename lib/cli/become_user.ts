/** Who the server runs as, and who its files belong to. */

import process from "node:process";
import type { Config } from "../config/config.ts";
import type { Logger } from "../log/logger.ts";
import { dropPrivileges, findUser, giveFolder, isRoot } from "../system/privileges.ts";

const readPasswd = (): Promise<string> => Deno.readTextFile("/etc/passwd");

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

/** Gives a file that a command wrote as root to the user of the server. */
export async function giveToUser(path: string, { user }: Config): Promise<void> {
  if (user === undefined || !isRoot(process)) return;
  const { uid, gid } = findUser(user, await readPasswd());
  await Deno.chown(path, uid, gid);
}
