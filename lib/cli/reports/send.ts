/** `posthorn reports send`: the reports of ended days, now and not at their time. */

import { findRunningQueue } from "../../admin/client.ts";
import type { Config } from "../../config/config.ts";
import type { ReportOutcome } from "../../reports/outcome.ts";
import type { Clock } from "../../system/clock.ts";
import { OK, TRY_AGAIN, UNAVAILABLE } from "../../system/sysexits.ts";
import { CommandError } from "../command_error.ts";
import type { Terminal } from "../queue/terminal.ts";
import { printable } from "../queue/units.ts";

/** What it works with. */
export interface SendCall {
  /** Names the control socket. */
  readonly config: Config;
  /** For the time limit of the server. */
  readonly clock: Clock;
  /** Takes the lines. */
  readonly terminal: Terminal;
  /** Results as JSON. */
  readonly isJson: boolean;
}

/**
 * Has the running server send what is due, and says what became of each.
 *
 * @returns The exit code: 75 where something is to be tried again.
 */
export async function sendReports({ config, clock, terminal, isJson }: SendCall): Promise<number> {
  const { admin: { socket } } = config;
  const server = socket === undefined ? undefined : await findRunningQueue(socket, clock);
  if (server === undefined) {
    throw new CommandError(
      UNAVAILABLE,
      "posthorn does not run, or has no control socket: the running server sends reports",
    );
  }
  const { isFinished, outcomes } = await server.sendReports();
  if (isJson) terminal.print(JSON.stringify({ isFinished, reports: outcomes }, null, 2));
  else {
    for (const outcome of outcomes) terminal.print(lineOf(outcome));
    if (!isFinished) terminal.complain("It takes longer than a minute: the log says what becomes of each report");
    else if (outcomes.length === 0) terminal.complain("No reports are due: those on today go out tomorrow (UTC)");
  }
  return isFinished && outcomes.every(({ isDone }) => isDone) ? OK : TRY_AGAIN;
}

function lineOf({ kind, day, domain, text }: ReportOutcome): string {
  return `${day}  ${kind === "dmarc" ? "DMARC" : "TLS  "}  ${printable(domain)}: ${printable(text)}`;
}
