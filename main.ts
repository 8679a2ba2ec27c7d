/** posthorn: a complete mail server. Reads the command line and hands over to the command. */

import { check } from "./lib/cli/check.ts";
import { type CommandLine, parseCommandLine, UsageError } from "./lib/cli/command_line.ts";
import { dkim } from "./lib/cli/dkim_keys.ts";
import { dns, DNS_FLAGS } from "./lib/cli/dns.ts";
import { explain } from "./lib/cli/explain.ts";
import { findConfig } from "./lib/cli/find_config.ts";
import { queue, QUEUE_FLAGS } from "./lib/cli/queue.ts";
import { reports } from "./lib/cli/reports.ts";
import { REPORTS_FLAGS } from "./lib/cli/reports/options.ts";
import { serve } from "./lib/cli/serve.ts";
import { user } from "./lib/cli/user.ts";
import { USER_FLAGS } from "./lib/cli/user/options.ts";
import { VERSION } from "./lib/cli/version.ts";

const encoder = new TextEncoder();

function print(text: string): void {
  if (text !== "") Deno.stdout.writeSync(encoder.encode(`${text}\n`));
}

function complain(text: string): void {
  Deno.stderr.writeSync(encoder.encode(`${text}\n`));
}

/** Results go to standard output; that there are none is told to people only. */
function printOr(text: string, whenEmpty: string): void {
  if (text === "") complain(whenEmpty);
  else print(text);
}

async function runCommand({ command, words, configFile, isJson, flags }: CommandLine): Promise<void> {
  if (words.length > 0 && ["serve", "check", "version"].includes(command)) {
    throw new UsageError(`unexpected "${words.join(" ")}" after ${command}`);
  }
  switch (command) {
    case "serve":
      await serve(await findConfig(configFile), print);
      // Whatever a library may still wait for: all that matters is on disk.
      return Deno.exit(0);
    case "check":
      return complain(await check(await findConfig(configFile)));
    case "user":
      return printOr(
        await user({ findFile: () => findConfig(configFile), words, flags, isJson }),
        "There are no mailboxes yet",
      );
    case "dkim":
      return printOr(
        await dkim(await findConfig(configFile), words),
        "There is no such DKIM key; `dkim create` makes one",
      );
    case "dns": {
      const { text, exitCode } = await dns({ findFile: () => findConfig(configFile), words, flags, isJson });
      print(text);
      return Deno.exit(exitCode);
    }
    case "queue":
      return Deno.exit(await queue({ findFile: () => findConfig(configFile), words, flags, isJson }));
    case "reports":
      return Deno.exit(await reports({ findFile: () => findConfig(configFile), words, flags, isJson }));
    case "version":
      return print(`posthorn ${VERSION}`);
    default:
      throw new UsageError(`unknown command "${command}"`);
  }
}

if (import.meta.main) {
  try {
    const flags = { dns: DNS_FLAGS, queue: QUEUE_FLAGS, reports: REPORTS_FLAGS, user: USER_FLAGS };
    await runCommand(parseCommandLine(Deno.args, flags));
  } catch (error) {
    // Whoever reads what we print has seen enough, as `head` does.
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(0);
    const { text, exitCode } = explain(error);
    complain(text);
    Deno.exit(exitCode);
  }
}
