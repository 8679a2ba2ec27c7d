/** The low-water marks of a running server: of the disk that new mail goes to, and of that of the mailboxes. */

import type { Config } from "../config/config.ts";
import type { Logger } from "../log/logger.ts";
import type { Clock } from "../system/clock.ts";
import { DiskSpace, type Room } from "../system/disk_space.ts";
import { type ReadFreeSpace, systemFreeSpace } from "../system/free_space.ts";

/** What the marks are made from. */
export interface DiskRoomsOptions {
  /** The configuration now. Another `data` takes effect after a restart. */
  readonly config: () => Config;
  /** Measures the age of answers. */
  readonly clock: Clock;
  /** Hears of each beginning and end. */
  readonly logger: Logger;
  /** Default: the system, where the runtime can ask it. */
  readonly read?: ReadFreeSpace | undefined;
}

/**
 * Mailboxes take mail until a tenth of the limit is left. So the queue drains while new mail is refused; and where both
 * are on one disk, its journals can be written to the end.
 */
const MAILBOX_SHARE = 0.1;

/** Makes the marks; undefined, with a line in the log, where the runtime cannot tell what is free. */
export function diskRooms(options: DiskRoomsOptions): { readonly spool: Room; readonly mail: Room } | undefined {
  const { config, clock, logger, read = systemFreeSpace } = options;
  if (read === undefined) {
    logger.warning("This Deno cannot tell how much room is left on a disk: limits.free_space has no effect");
    return undefined;
  }
  const limit = (): Config["limits"]["freeSpace"] => config().limits.freeSpace;
  const { data } = config();
  return {
    spool: new DiskSpace({
      folder: `${data}/spool`,
      read,
      limit,
      clock,
      logger,
      effect: "new mail is refused with 452 4.3.1 until there is more, and what is queued is delivered",
      recovery: "new mail is taken",
    }),
    mail: new DiskSpace({
      folder: `${data}/mail`,
      read,
      limit,
      share: MAILBOX_SHARE,
      clock,
      logger,
      effect: "mail for mailboxes waits in the queue until there is more",
      recovery: "mailboxes take mail",
    }),
  };
}
