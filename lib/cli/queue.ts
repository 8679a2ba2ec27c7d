/** `posthorn queue`: what operators see of the queue and do with it, whether a server runs or not. */

import process from "node:process";
import { loadAccounts } from "../config/accounts.ts";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { createRouter, type Router } from "../routing/router.ts";
import { systemClock } from "../system/clock.ts";
import { systemFiles } from "../system/files.ts";
import { becomeOwner } from "./become_user.ts";
import { processIo } from "./find_config.ts";
import { change } from "./queue/change.ts";
import { makeContext, type QueueContext } from "./queue/context.ts";
import { destinations } from "./queue/destinations.ts";
import { drain } from "./queue/drain.ts";
import { list } from "./queue/list.ts";
import { QUEUE_USAGE } from "./queue/flags.ts";
import { type Flags, usage } from "./queue/options.ts";
import { show } from "./queue/show.ts";
import { resume, suspend, suspensions } from "./queue/suspend.ts";
import { ProcessTerminal, type Terminal } from "./queue/terminal.ts";
import { why } from "./queue/why.ts";

/** Carries out an action; returns the exit code. */
type Action = (context: QueueContext, words: readonly string[], flags: Flags) => Promise<number>;

const ACTIONS: ReadonlyMap<string, Action> = new Map<string, Action>([
  ["list", list],
  ["show", show],
  ["why", why],
  ...(["retry", "hold", "release", "remove", "fail"] as const).map((action): [string, Action] => [
    action,
    (context, words, flags) => change(context, action, words, flags),
  ]),
  ["suspend", suspend],
  ["resume", resume],
  ["suspensions", suspensions],
  ["destinations", destinations],
  ["drain", drain],
]);

/** What `queue` was called with. */
export interface QueueCall {
  /** The configuration file; looked for only where there is something to do. */
  readonly findFile: () => Promise<string>;
  /** The words behind `queue`. */
  readonly words: readonly string[];
  /** Its flags. */
  readonly flags: Flags;
  /** `--json`. */
  readonly isJson: boolean;
}

/**
 * Carries out `queue ACTION`; without an action, tells what there is. Run by root, it becomes the owner of the spool first:
 * what it writes is the server's, and nothing in a folder of another user can lead root astray.
 *
 * @returns The exit code.
 */
export async function queue({ findFile, words, flags, isJson }: QueueCall): Promise<number> {
  using terminal = new ProcessTerminal();
  const [name, ...more] = words;
  if (name === undefined) {
    terminal.print(QUEUE_USAGE);
    return 0;
  }
  const action = ACTIONS.get(name);
  if (action === undefined) throw usage(`unknown action "${name}"`);
  const config = await loadConfig(await findFile(), processIo);
  return await action(await contextOf(config, terminal, isJson), more, flags);
}

async function contextOf(config: Config, terminal: Terminal, isJson: boolean): Promise<QueueContext> {
  const mayChangeFiles = await becomeOwner(`${config.data}/spool`, process);
  let router: Router | undefined;
  return makeContext({
    config,
    files: systemFiles,
    clock: systemClock,
    terminal,
    isJson,
    mayChangeFiles,
    processId: Deno.pid,
    isLocal: async (address) => {
      // Where the accounts may not be read, nobody is known: the sentence is then a little less exact.
      router ??= createRouter(config, await loadAccounts(config, processIo).catch(() => undefined) ?? []);
      const decision = router.nextHop(address);
      return decision.kind === "hop" && decision.hop.kind === "maildir";
    },
  });
}
