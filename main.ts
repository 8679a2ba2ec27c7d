/** posthorn: a complete mail server. Reads the command line and hands over to the command. */

import { type CommandLine, parseCommandLine, UsageError } from "./lib/cli/command_line.ts";
import { DNS_FLAGS } from "./lib/cli/dns/flags.ts";
import { explain } from "./lib/cli/explain.ts";
import { findConfig } from "./lib/cli/find_config.ts";
import { QUEUE_FLAGS } from "./lib/cli/queue/flags.ts";
import { REPORTS_FLAGS } from "./lib/cli/reports/options.ts";
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

/** Loads the code of this command and of no other: a server keeps in memory what was loaded. */
async function runCommand({ command, words, configFile, isJson, flags }: CommandLine): Promise<void> {
  if (words.length > 0 && ["serve", "check", "version"].includes(command)) {
    throw new UsageError(`unexpected "${words.join(" ")}" after ${command}`);
  }
  switch (command) {
    case "serve": {
      const { serve } = await import("./lib/cli/serve.ts");
      await serve(await findConfig(configFile), print);
      // Whatever a library may still wait for: all that matters is on disk.
      return Deno.exit(0);
    }
    case "check": {
      const { check } = await import("./lib/cli/check.ts");
      return complain(await check(await findConfig(configFile)));
    }
    case "user": {
      const { user } = await import("./lib/cli/user.ts");
      return printOr(
        await user({ findFile: () => findConfig(configFile), words, flags, isJson }),
        "There are no mailboxes yet",
      );
    }
    case "dkim": {
      const { dkim } = await import("./lib/cli/dkim_keys.ts");
      return printOr(
        await dkim(await findConfig(configFile), words),
        "There is no such DKIM key; `dkim create` makes one",
      );
    }
    case "dns": {
      const { dns } = await import("./lib/cli/dns.ts");
      const { text, exitCode } = await dns({ findFile: () => findConfig(configFile), words, flags, isJson });
      print(text);
      return Deno.exit(exitCode);
    }
    case "queue": {
      const { queue } = await import("./lib/cli/queue.ts");
      return Deno.exit(await queue({ findFile: () => findConfig(configFile), words, flags, isJson }));
    }
    case "reports": {
      const { reports } = await import("./lib/cli/reports.ts");
      return Deno.exit(await reports({ findFile: () => findConfig(configFile), words, flags, isJson }));
    }
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
