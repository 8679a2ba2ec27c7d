/** What a person at the terminal is told when a command fails, and the exit code of that. */

import { AdminError } from "../admin/client.ts";
import { AccountsInUseError } from "../config/accounts_lock.ts";
import { ConfigError } from "../config/errors.ts";
import { BindError } from "../inbound/bind.ts";
import { SpoolInUseError } from "../queue/spool_lock.ts";
import { PrivilegeError } from "../system/privileges.ts";
import {
  CANNOT_CREATE,
  CONFIG_ERROR,
  INTERNAL_ERROR,
  NO_PERMISSION,
  TRY_AGAIN,
  UNAVAILABLE,
  USAGE_ERROR,
} from "../system/sysexits.ts";
import { CertificateError } from "../tls/certificate_error.ts";
import { CommandError } from "./command_error.ts";
import { USAGE, UsageError } from "./command_line.ts";

/** The end of a command that failed. */
export interface Explanation {
  /** One or more lines, without the last line end. */
  readonly text: string;
  /** One of sysexits.h. */
  readonly exitCode: number;
}

/** What to do, by the number that the system gives an error. */
const SYSTEM_ERRORS: ReadonlyMap<number, { readonly mend: string; readonly exitCode: number }> = new Map([
  [1, { mend: "run posthorn as a user who may do that", exitCode: NO_PERMISSION }],
  [13, { mend: "run posthorn as a user who may do that, or give it to the user it runs as", exitCode: NO_PERMISSION }],
  [17, { mend: "something else has this name; move it away, or name another place", exitCode: CANNOT_CREATE }],
  [20, { mend: "a part of this path is a file; move it away, or name another place", exitCode: CANNOT_CREATE }],
  [24, { mend: "allow more open files (ulimit -n, LimitNOFILE=)", exitCode: UNAVAILABLE }],
  [28, { mend: "make room on that disk (df, df -i) and try again", exitCode: CANNOT_CREATE }],
  [30, { mend: "mount that disk for writing, or name another place", exitCode: CANNOT_CREATE }],
  [122, { mend: "make room or raise the quota, and try again", exitCode: CANNOT_CREATE }],
]);

/** Explains whatever a command threw. */
export function explain(error: unknown): Explanation {
  if (error instanceof UsageError) {
    const usage = error.usage ?? USAGE;
    return { text: error.message === "" ? usage : `posthorn: ${error.message}\n\n${usage}`, exitCode: USAGE_ERROR };
  }
  if (error instanceof ConfigError || error instanceof CertificateError) {
    return { text: error.message, exitCode: CONFIG_ERROR };
  }
  if (error instanceof CommandError || error instanceof PrivilegeError) {
    return { text: `posthorn: ${error.message}`, exitCode: error.exitCode };
  }
  if (error instanceof AdminError) {
    const exitCode = error.kind === "denied" ? NO_PERMISSION : UNAVAILABLE;
    return { text: `posthorn: ${error.message}`, exitCode };
  }
  if (error instanceof BindError) return { text: `posthorn: ${error.message}`, exitCode: UNAVAILABLE };
  if (error instanceof SpoolInUseError) {
    return { text: `posthorn: ${error.message}; is posthorn running already?`, exitCode: UNAVAILABLE };
  }
  if (error instanceof AccountsInUseError) return { text: `posthorn: ${error.message}`, exitCode: TRY_AGAIN };
  if (!(error instanceof Error)) return { text: `posthorn: ${String(error)}`, exitCode: INTERNAL_ERROR };
  return explainSystem(error.message) ?? { text: `posthorn: ${internal(error)}`, exitCode: INTERNAL_ERROR };
}

/** Deno's `Permission denied (os error 13): mkdir '/var/lib/x'` as a sentence. */
function explainSystem(message: string): Explanation | undefined {
  const [, reason = "", number = "", doing, path] = /^(.+) \(os error (\d+)\)(?:: (\w+) '(.+)')?/s.exec(message) ?? [];
  const known = SYSTEM_ERRORS.get(Number(number));
  if (known === undefined) return undefined;
  const verb = doing === "mkdir" ? "make folder" : doing === "readdir" ? "read folder" : doing;
  const what = verb === undefined ? reason : `Cannot ${verb} "${path}": ${reason.toLowerCase()}`;
  return { text: `posthorn: ${what}; ${known.mend}`, exitCode: known.exitCode };
}

/** A fault of posthorn: name the place, so that a report of it is of use. */
function internal({ name, message, stack }: Error): string {
  const place = /\n\s+(at .+)/.exec(stack ?? "")?.[1];
  return `internal error: ${name}: ${message}${place === undefined ? "" : ` (${place})`}`;
}
