/** `posthorn queue suspend|resume|suspensions`: destinations and domains that nothing is delivered to. */

import { suspensionToJson } from "../../admin/protocol.ts";
import { OK } from "../../system/sysexits.ts";
import type { QueueContext } from "./context.ts";
import { checkFlags, type Flags, readPattern, readReason, usage } from "./options.ts";
import { printable, timeText } from "./units.ts";

/** Carries out `suspend`; returns the exit code. */
export async function suspend(context: QueueContext, words: readonly string[], flags: Flags): Promise<number> {
  checkFlags("suspend", flags, ["reason"]);
  const pattern = readPattern("suspend", words);
  const reason = readReason(flags) ?? "";
  using access = await context.open();
  const isChanged = await access.suspend(pattern, reason);
  tell(context, { pattern, isChanged }, isChanged ? "suspended" : "suspended already; nothing was changed");
  return OK;
}

/** Carries out `resume`; returns the exit code. */
export async function resume(context: QueueContext, words: readonly string[], flags: Flags): Promise<number> {
  checkFlags("resume", flags, []);
  const pattern = readPattern("resume", words);
  using access = await context.open();
  const isChanged = await access.resume(pattern);
  tell(context, { pattern, isChanged }, isChanged ? "resumed" : "was not suspended; nothing was changed");
  return OK;
}

/** Carries out `suspensions`; returns the exit code. */
export async function suspensions(context: QueueContext, words: readonly string[], flags: Flags): Promise<number> {
  checkFlags("suspensions", flags, []);
  if (words.length > 0) throw usage("queue suspensions takes no words");
  const server = await context.running();
  const found = await (server === undefined ? context.suspensionsOnFile() : server.suspensions());
  const { terminal, isJson, clock } = context;
  if (isJson) terminal.print(JSON.stringify(found.map(suspensionToJson), null, 2));
  else if (found.length === 0) terminal.complain("Nothing is suspended");
  for (const { pattern, reason, sinceMs } of isJson ? [] : found) {
    const why = reason === "" ? "" : `: ${printable(reason)}`;
    terminal.print(`${printable(pattern)} since ${timeText(sinceMs, clock.now())}${why}`);
  }
  return OK;
}

function tell(
  { terminal, isJson }: QueueContext,
  result: { readonly pattern: string; readonly isChanged: boolean },
  text: string,
): void {
  terminal.print(isJson ? JSON.stringify(result) : `${printable(result.pattern)}: ${text}`);
}
