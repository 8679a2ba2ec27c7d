/** The command line: which command, with which configuration file. */

import { parseArgs } from "@std/cli/parse-args";

/** A command line, taken apart. */
export interface CommandLine {
  /** Undefined: look in the usual places. */
  readonly configFile: string | undefined;
  /** The first word, e.g. `serve`. */
  readonly command: string;
  /** The words behind it. */
  readonly words: readonly string[];
  /** `--json`. */
  readonly isJson: boolean;
}

/** Thrown for a command line that makes no sense; the message says what would. */
export class UsageError extends Error {
  /** Stands in front of the message in logs and stack traces. */
  override readonly name = "UsageError";
}

/** What `posthorn` prints when it does not understand. */
export const USAGE = `usage: posthorn [--config FILE] COMMAND

  serve                          run in the foreground; SIGHUP reloads, SIGTERM drains and stops
  check                          read the configuration, print every error as file:line:column
  user add|password ADDRESS      the password: first line of standard input, or asked for twice on a terminal
  user remove ADDRESS
  user list [--json]
  dkim create|list DOMAIN [SELECTOR]
  queue list [--json]            what waits, and why
  version

FILE: $POSTHORN_CONFIG, ./posthorn.yaml or /etc/posthorn/posthorn.yaml`;

/**
 * Parses the arguments of the program.
 *
 * @throws {UsageError} For an unknown flag or no command.
 */
export function parseCommandLine(argumentList: readonly string[]): CommandLine {
  const args = parseArgs(argumentList, {
    string: ["config"],
    boolean: ["json", "help"],
    unknown: (argument, key) => {
      if (key !== undefined) throw new UsageError(`unknown flag "${argument}"`);
    },
  });
  if (args["help"] === true) throw new UsageError("");
  const [command, ...words] = args._.map(String);
  if (command === undefined) throw new UsageError("no command given");
  const configFile = args["config"];
  if (configFile === "") throw new UsageError("--config needs a file");
  return {
    configFile: typeof configFile === "string" ? configFile : undefined,
    command,
    words,
    isJson: args["json"] === true,
  };
}
