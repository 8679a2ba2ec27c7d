/** What the actions of `posthorn queue` work with. */

import { getLogger } from "@logtape/logtape";
import { AdminError, findRunningQueue } from "../../admin/client.ts";
import { accessTo, type QueueAccess, type RunningQueue } from "../../admin/queue_access.ts";
import type { Config } from "../../config/config.ts";
import { SpoolInUseError } from "../../queue/spool_lock.ts";
import { openSuspensions, type Suspension } from "../../queue/suspensions.ts";
import { openStoppedQueue } from "../../queue/stopped_queue.ts";
import type { Clock } from "../../system/clock.ts";
import type { Files } from "../../system/files.ts";
import { NO_PERMISSION, TRY_AGAIN } from "../../system/sysexits.ts";
import { CommandError } from "../command_error.ts";
import type { Terminal } from "./terminal.ts";

/** Where the queue is and how it is reached. */
export interface QueueContext {
  /** The spool folder; perhaps not there yet. */
  readonly folder: string;
  /** The file system. */
  readonly files: Files;
  /** The time. */
  readonly clock: Clock;
  /** The person or script in front. */
  readonly terminal: Terminal;
  /** Results as JSON. */
  readonly isJson: boolean;
  /** Age at which delivery is given up, in milliseconds. */
  readonly expireAfterMs: number;
  /** Whether an address has a mailbox here; false where that cannot be told. */
  isLocal(address: string): Promise<boolean>;
  /** The running server; undefined where none answers. @throws {AdminError} It may not be asked. */
  running(): Promise<RunningQueue | undefined>;
  /** The suspensions as the file has them, for when no server runs. */
  suspensionsOnFile(): Promise<readonly Suspension[]>;
  /** The running server, else the files under the lock. @throws {CommandError} Somebody else has the lock. */
  open(): Promise<QueueAccess>;
}

/** What a context is made from. */
export interface ContextOptions extends Pick<QueueContext, "files" | "clock" | "terminal" | "isJson" | "isLocal"> {
  /** The configuration. */
  readonly config: Config;
  /** False where the process is root in a spool of somebody else, and cannot become that user. */
  readonly mayChangeFiles: boolean;
  /** `Deno.pid`. */
  readonly processId: number;
}

/** Makes the context; nothing is opened yet. */
export function makeContext(options: ContextOptions): QueueContext {
  const { config: { data, admin, queue }, mayChangeFiles, processId, ...rest } = options;
  const { files, clock } = rest;
  const folder = `${data}/spool`;
  const running = async (): Promise<RunningQueue | undefined> =>
    admin.socket === undefined ? undefined : await findRunningQueue(admin.socket, clock);
  const logger = getLogger(["posthorn", "queue"]);
  return {
    ...rest,
    folder,
    expireAfterMs: queue.expireAfterMs,
    running,
    suspensionsOnFile: async () => (await openSuspensions({ folder, files, clock, logger })).list(),
    open: async () => {
      const server = await running();
      if (server !== undefined) return server;
      if (!mayChangeFiles) throw new CommandError(NO_PERMISSION, NOT_AS_ROOT);
      try {
        return accessTo(await openStoppedQueue({ folder, files, clock, logger, processId }));
      } catch (error) {
        throw openError(error, folder, admin.socket);
      }
    },
  };
}

const NOT_AS_ROOT = "The queue belongs to another user, and this Deno cannot become it: run the command as that user " +
  "(runuser -u USER -- …), or start the server and ask it";

function openError(error: unknown, folder: string, socket: string | undefined): unknown {
  if (error instanceof SpoolInUseError) {
    const why = socket === undefined
      ? "admin.bind is off, so a running server cannot be asked; stop it first"
      : `nobody answers on "${socket}": another command, or a server that starts or stops; try again`;
    return new CommandError(TRY_AGAIN, `${error.message}; ${why}`, { cause: error });
  }
  if (error instanceof Deno.errors.NotFound) {
    return new CommandError(TRY_AGAIN, `There is no queue in "${folder}" yet: no server was ever started here`, {
      cause: error,
    });
  }
  return error;
}

/** The running server. @throws {AdminError} None answers; `what` says what for it is needed. */
export async function mustRun(context: QueueContext, what: string): Promise<RunningQueue> {
  const server = await context.running();
  if (server === undefined) throw new AdminError("failed", `${what} needs a running server, and none answers`);
  return server;
}
