/** `posthorn queue destinations`: what the running server thinks of each destination. */

import { destinationToJson } from "../../admin/protocol.ts";
import type { DestinationStatus } from "../../queue/queue_control.ts";
import { OK } from "../../system/sysexits.ts";
import { mustRun, type QueueContext } from "./context.ts";
import { checkFlags, type Flags, usage } from "./options.ts";
import { columnWidth, countText, printable, timeText } from "./units.ts";

/** What an operator wants to see first. */
const ORDER: readonly DestinationStatus["state"][] = ["suspended", "down", "probing", "limited", "open"];

/** Carries out `destinations`; returns the exit code. */
export async function destinations(context: QueueContext, words: readonly string[], flags: Flags): Promise<number> {
  checkFlags("destinations", flags, []);
  if (words.length > 0) throw usage("queue destinations takes no words");
  const found = [...await (await mustRun(context, "queue destinations")).destinations()].sort(compare);
  const { terminal, isJson, clock } = context;
  if (isJson) terminal.print(JSON.stringify(found.map(destinationToJson), null, 2));
  else if (found.length === 0) terminal.complain("The server knows of no destination yet");
  else for (const line of destinationLines(found, clock.now())) terminal.print(line);
  return OK;
}

/** The table for people. */
export function destinationLines(statuses: readonly DestinationStatus[], nowMs: number): string[] {
  const width = columnWidth(statuses.map(({ key }) => key), 11, 48);
  return [
    `${"DESTINATION".padEnd(width)} STATE      RUNNING  LIMIT  WAITING  DETAIL`,
    ...statuses.map((status) => line(status, width, nowMs)),
    countText(statuses.length, "destination"),
  ];
}

function line(status: DestinationStatus, width: number, nowMs: number): string {
  const { key, state, running, concurrency, waiting, probeMs, sinceMs, reason, rateLimitedUntilMs } = status;
  const detail = [
    ...(sinceMs === undefined ? [] : [`since ${timeText(sinceMs, nowMs)}`]),
    ...(probeMs === undefined ? [] : [`probed at ${timeText(probeMs, nowMs)}`]),
    ...(rateLimitedUntilMs === undefined ? [] : [`rate limit until ${timeText(rateLimitedUntilMs, nowMs)}`]),
    ...(reason === undefined || reason === "" ? [] : [printable(reason)]),
  ].join(", ");
  const counts = `${String(running).padStart(7)} ${String(concurrency).padStart(6)} ${String(waiting).padStart(8)}`;
  return `${printable(key).padEnd(width)} ${state.padEnd(10)} ${counts}  ${detail}`.trimEnd();
}

function compare(a: DestinationStatus, b: DestinationStatus): number {
  return ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || b.waiting - a.waiting || (a.key < b.key ? -1 : 1);
}
