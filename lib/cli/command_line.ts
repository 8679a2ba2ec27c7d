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
  /** The other flags: the value, or true. Only of the command that has them. */
  readonly flags: ReadonlyMap<string, string | true>;
}

/** The flags that a command has besides `--config`, `--json` and `--help`. */
export interface CommandFlags {
  /** With a value. */
  readonly values: readonly string[];
  /** Without. */
  readonly switches: readonly string[];
  /** What `--help` shows. */
  readonly usage: string;
}

/** Thrown for a command line that makes no sense; the message says what would. */
export class UsageError extends Error {
  /** Stands in front of the message in logs and stack traces. */
  override readonly name = "UsageError";
  /** What to show with it; absent: the usage of posthorn. */
  readonly usage?: string;

  /** Takes what is wrong and, where a command has a usage of its own, that. */
  constructor(message: string, usage?: string) {
    super(message);
    if (usage !== undefined) this.usage = usage;
  }
}

/** What `posthorn` prints when it does not understand. */
export const USAGE = `usage: posthorn [--config FILE] COMMAND

  serve                          run in the foreground; SIGHUP reloads, SIGTERM drains and stops
  check                          read the configuration, print every error as file:line:column
  user add|password ADDRESS      the password: first line of standard input, or asked for twice on a terminal
  user remove ADDRESS
  user mailbox ADDRESS           make its folders anew, where they were removed on purpose
  user list [--json], user show ADDRESS [--json]
  user address|forward|quota …   what a mailbox gets and holds; user alone: all it can do
  dkim create|list DOMAIN [SELECTOR]
  dns DOMAIN [--check] [--json]  the records to publish, as zone file lines; --check compares them with live DNS
  queue list|show|why …          what waits, and why; queue alone: all it can do
  queue retry|hold|release|remove|fail ID…|FILTER…
  queue suspend|resume PATTERN, queue suspensions|destinations|drain
  reports [--domain D] [--days N] [--json]   who sends in our name, as others report it, and how TLS with us goes
  reports import FILE|FOLDER…    reports out of mails or files
  reports send                   sends our reports on ended days now
  version

FILE: $POSTHORN_CONFIG, ./posthorn.yaml or /etc/posthorn/posthorn.yaml`;

/**
 * Parses the arguments of the program.
 *
 * @param flagsOf The flags of each command that has some of its own.
 * @throws {UsageError} For an unknown flag, one of another command, one that is given twice, or no command.
 */
export function parseCommandLine(
  argumentList: readonly string[],
  flagsOf: Readonly<Record<string, CommandFlags>> = {},
): CommandLine {
  const all = Object.values(flagsOf);
  const values = all.flatMap(({ values }) => values);
  const switches = all.flatMap(({ switches }) => switches);
  const args = parseArgs(argumentList, {
    // A queue id of digits alone is no number.
    string: ["_", "config", ...values],
    boolean: ["json", "help", ...switches],
    collect: values,
    unknown: (argument, key) => {
      if (key !== undefined) throw new UsageError(`unknown flag "${argument}"`);
    },
  });
  const [command, ...words] = args._.map(String);
  if (args["help"] === true) throw new UsageError("", flagsOf[command ?? ""]?.usage);
  if (command === undefined) throw new UsageError("no command given");
  const configFile = args["config"];
  if (configFile === "") throw new UsageError("--config needs a file");
  return {
    configFile: typeof configFile === "string" ? configFile : undefined,
    command,
    words,
    isJson: args["json"] === true,
    flags: flagsIn(args, values, switches, command, flagsOf[command]),
  };
}

function flagsIn(
  args: Readonly<Record<string, unknown>>,
  values: readonly string[],
  switches: readonly string[],
  command: string,
  own: Pick<CommandFlags, "values" | "switches"> = { values: [], switches: [] },
): ReadonlyMap<string, string | true> {
  const flags = new Map<string, string | true>();
  for (const name of values) {
    const given: unknown = args[name];
    const [value, ...more] = Array.isArray(given) ? given.map(String) : [];
    if (value === undefined) continue;
    if (more.length > 0) throw new UsageError(`--${name} is given twice`);
    flags.set(name, value);
  }
  for (const name of switches) if (args[name] === true) flags.set(name, true);
  for (const name of flags.keys()) {
    if (![...own.values, ...own.switches].includes(name)) throw new UsageError(`${command} does not take --${name}`);
  }
  return flags;
}
