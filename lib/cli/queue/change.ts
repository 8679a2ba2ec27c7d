/** `posthorn queue retry|hold|release|remove|fail`: changes messages, one or many. */

import type { ChangeResult, QueueChange } from "../../admin/protocol.ts";
import { readMessages } from "../../queue/list_spool.ts";
import { isQueueId } from "../../queue/queue_id.ts";
import type { QueuedMessage } from "../../queue/spool.ts";
import { DATA_ERROR, OK, TRY_AGAIN, UNAVAILABLE, USAGE_ERROR } from "../../system/sysexits.ts";
import { CommandError } from "../command_error.ts";
import { mustRun, type QueueContext } from "./context.ts";
import { isEmptyFilter } from "./filter.ts";
import { checkFlags, FILTER_FLAGS, type Flags, readFailReason, readFilter, usage } from "./options.ts";
import { Destinations, selected } from "./selection.ts";
import { countText, durationText, printable, sizeText } from "./units.ts";

/** What was chosen: its ids, and what a question about them says. */
interface Chosen {
  readonly ids: readonly string[];
  /** Named one by one: one that is not there is a mistake. Else it has gone meanwhile. */
  readonly isNamed: boolean;
  readonly octets: number;
  readonly oldestMs: number;
}

/** How a question and a result say it. */
const WORDS: Readonly<Record<QueueChange["action"], { readonly ask: string; readonly done: string }>> = {
  retry: { ask: "Try now", done: "to be tried now" },
  hold: { ask: "Hold", done: "held" },
  release: { ask: "Release", done: "released" },
  remove: { ask: "Remove, without telling anybody,", done: "removed" },
  fail: { ask: "Give up, with reports to the senders,", done: "given up" },
};

/** Messages changed before the next results are shown. */
const BATCH = 200;

/** Carries out a change; returns the exit code. */
export async function change(
  context: QueueContext,
  action: QueueChange["action"],
  words: readonly string[],
  flags: Flags,
): Promise<number> {
  checkFlags(action, flags, [
    ...FILTER_FLAGS,
    "all",
    "yes",
    "dry-run",
    ...(action === "fail" ? ["reason" as const] : []),
  ]);
  const wanted: QueueChange = action === "fail" ? { action, reason: readFailReason(flags) } : { action };
  const chosen = words.length > 0
    ? await chooseNamed(context, action, words, flags)
    : await chooseFiltered(context, action, flags);
  if (flags.has("dry-run")) return showChosen(context, action, chosen);
  if (!isConfirmed(context, action, chosen, flags.has("yes"))) {
    context.terminal.complain("Nothing was changed");
    return OK;
  }
  if (chosen.ids.length === 0) return summary(context, action, chosen, []);
  using access = await context.open();
  const results: ChangeResult[] = [];
  for (let at = 0; at < chosen.ids.length; at += BATCH) {
    const batch = await access.change(wanted, chosen.ids.slice(at, at + BATCH));
    for (const result of batch) showResult(context, action, result);
    results.push(...batch);
  }
  return summary(context, action, chosen, results);
}

async function chooseNamed(
  context: QueueContext,
  action: string,
  words: readonly string[],
  flags: Flags,
): Promise<Chosen> {
  if (flags.has("all") || FILTER_FLAGS.some((flag) => flags.has(flag))) {
    throw usage(`queue ${action} takes ids or filters, not both`);
  }
  const ids = [...new Set(words)];
  const wrong = ids.find((id) => !isQueueId(id));
  if (wrong !== undefined) throw new CommandError(DATA_ERROR, `"${wrong}" is no queue id; queue list shows them`);
  if (ids.length === 1) return { ids, isNamed: true, octets: 0, oldestMs: 0 };
  return { ...measure(await all(readMessages(context.files, context.folder, ids))), ids, isNamed: true };
}

async function chooseFiltered(context: QueueContext, action: string, flags: Flags): Promise<Chosen> {
  const filter = readFilter(flags);
  if (flags.has("all") && !isEmptyFilter(filter)) throw usage(`queue ${action} takes filters or --all, not both`);
  if (!flags.has("all") && isEmptyFilter(filter)) throw usage(`queue ${action} needs ids, filters or --all`);
  const destinations = filter.destination === undefined
    ? undefined
    : new Destinations(await mustRun(context, "--destination"));
  const ids: string[] = [];
  let chosen = measure([]);
  for await (const message of selected(context, { filter, destinations })) {
    ids.push(message.queueId);
    const { octets, oldestMs } = measure([message]);
    chosen = { octets: chosen.octets + octets, oldestMs: Math.min(chosen.oldestMs, oldestMs) };
  }
  return { ...chosen, ids, isNamed: false };
}

function measure(messages: readonly QueuedMessage[]): Pick<Chosen, "octets" | "oldestMs"> {
  return {
    octets: messages.reduce((sum, { content }) => sum + content.octets, 0),
    oldestMs: messages.reduce((oldest, { envelope }) => Math.min(oldest, Date.parse(envelope.arrived)), Infinity),
  };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

function chosenText({ clock }: QueueContext, { ids, octets, oldestMs }: Chosen): string {
  const age = oldestMs === Infinity ? "" : `, the oldest came ${durationText(clock.now() - oldestMs)} ago`;
  return `${countText(ids.length, "message")} (${sizeText(octets)}${age})`;
}

function isConfirmed(context: QueueContext, action: QueueChange["action"], chosen: Chosen, isYes: boolean): boolean {
  if (isYes || chosen.ids.length <= 1) return true;
  const text = chosenText(context, chosen);
  const answer = context.terminal.confirm(`${WORDS[action].ask} ${text}?`);
  if (answer !== undefined) return answer;
  throw new CommandError(
    USAGE_ERROR,
    `queue ${action} would change ${text}, and nobody is here to confirm it: add --yes, or --dry-run to look first`,
  );
}

function showChosen({ terminal, isJson, ...context }: QueueContext, action: string, chosen: Chosen): number {
  if (isJson) terminal.print(JSON.stringify({ action, isDryRun: true, ids: chosen.ids }, null, 2));
  else for (const id of chosen.ids) terminal.print(id);
  terminal.complain(
    `${action} would change ${chosenText({ terminal, isJson, ...context }, chosen)}; nothing was changed`,
  );
  return OK;
}

function showResult({ terminal, isJson }: QueueContext, action: QueueChange["action"], result: ChangeResult): void {
  if (!isJson) terminal.print(`${result.id}: ${resultText(action, result)}`);
}

function resultText(action: QueueChange["action"], { result, reason = "" }: ChangeResult): string {
  switch (result) {
    case "done":
      return WORDS[action].done;
    case "busy":
      return "busy: it is being delivered just now";
    case "unknown":
      return "unknown: there is no such message in the queue";
    case "error":
      return `error: ${printable(reason)}`;
  }
}

function summary(
  { terminal, isJson }: QueueContext,
  action: QueueChange["action"],
  { isNamed }: Chosen,
  results: readonly ChangeResult[],
): number {
  const count = (wanted: ChangeResult["result"]): number => results.filter(({ result }) => result === wanted).length;
  const counts = { done: count("done"), busy: count("busy"), unknown: count("unknown"), error: count("error") };
  if (isJson) terminal.print(JSON.stringify({ action, ...counts, results }, null, 2));
  const more = [
    ...(counts.busy > 0 ? [`${counts.busy} busy, try again`] : []),
    ...(counts.unknown > 0 ? [`${counts.unknown} ${isNamed ? "unknown" : "gone meanwhile"}`] : []),
    ...(counts.error > 0 ? [`${counts.error} with errors`] : []),
  ];
  terminal.complain([`${countText(counts.done, "message")} ${WORDS[action].done}`, ...more].join(", "));
  if (counts.error > 0) return UNAVAILABLE;
  if (counts.busy > 0) return TRY_AGAIN;
  return counts.unknown > 0 && isNamed ? DATA_ERROR : OK;
}
