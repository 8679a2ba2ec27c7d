/** posthorn: a complete mail server. Reads the command line and hands over to the command. */

import { check } from "./lib/cli/check.ts";
import { CommandError } from "./lib/cli/command_error.ts";
import { type CommandLine, parseCommandLine, USAGE, UsageError } from "./lib/cli/command_line.ts";
import { dkim } from "./lib/cli/dkim_keys.ts";
import { findConfig } from "./lib/cli/find_config.ts";
import { queue } from "./lib/cli/queue.ts";
import { serve } from "./lib/cli/serve.ts";
import { user } from "./lib/cli/user.ts";
import { VERSION } from "./lib/cli/version.ts";
import { ConfigError } from "./lib/config/errors.ts";
import { BindError } from "./lib/inbound/bind.ts";
import { PrivilegeError } from "./lib/system/privileges.ts";
import { CONFIG_ERROR, INTERNAL_ERROR, UNAVAILABLE, USAGE_ERROR } from "./lib/system/sysexits.ts";
import { CertificateError } from "./lib/tls/certificates.ts";

const encoder = new TextEncoder();

function print(text: string): void {
  if (text !== "") Deno.stdout.writeSync(encoder.encode(`${text}\n`));
}

function complain(text: string): void {
  Deno.stderr.writeSync(encoder.encode(`${text}\n`));
}

async function runCommand({ command, words, configFile, isJson }: CommandLine): Promise<void> {
  switch (command) {
    case "serve":
      await serve(await findConfig(configFile), print);
      // Whatever a library may still wait for: all that matters is on disk.
      return Deno.exit(0);
    case "check":
      return complain(await check(await findConfig(configFile)));
    case "user":
      return print(await user(await findConfig(configFile), words, isJson));
    case "dkim":
      return print(await dkim(await findConfig(configFile), words));
    case "queue":
      return print(await queue(await findConfig(configFile), words, isJson));
    case "version":
      return print(`posthorn ${VERSION}`);
    default:
      throw new UsageError(`unknown command "${command}"`);
  }
}

/** Says what went wrong, and returns the exit code (sysexits.h). */
function explain(error: unknown): number {
  if (error instanceof UsageError) {
    complain(error.message === "" ? USAGE : `posthorn: ${error.message}\n\n${USAGE}`);
    return USAGE_ERROR;
  }
  if (error instanceof ConfigError || error instanceof CertificateError) {
    complain(error.message);
    return CONFIG_ERROR;
  }
  if (error instanceof CommandError || error instanceof PrivilegeError) {
    complain(`posthorn: ${error.message}`);
    return error.exitCode;
  }
  if (error instanceof BindError) {
    complain(`posthorn: ${error.message}`);
    return UNAVAILABLE;
  }
  complain(`posthorn: ${error instanceof Error ? error.message : String(error)}`);
  return INTERNAL_ERROR;
}

if (import.meta.main) {
  try {
    await runCommand(parseCommandLine(Deno.args));
  } catch (error) {
    Deno.exit(explain(error));
  }
}
