/** `posthorn queue drain`: empties the queue of a running server that takes no new mail meanwhile. */

import type { RunningQueue } from "../../admin/queue_access.ts";
import { isHeld as isHeldBySender } from "../../queue/deadline.ts";
import { isPending } from "../../queue/journal.ts";
import { OK } from "../../system/sysexits.ts";
import { mustRun, type QueueContext } from "./context.ts";
import { checkFlags, type Flags, usage } from "./options.ts";
import { selected } from "./selection.ts";
import { countText } from "./units.ts";

/** Pause between two looks. */
const LOOK_MS = 1_000;
/** Messages asked for in one request. */
const BATCH = 200;

/** Carries out `drain`; returns the exit code. */
export async function drain(context: QueueContext, words: readonly string[], flags: Flags): Promise<number> {
  checkFlags("drain", flags, ["off"]);
  if (words.length > 0) throw usage("queue drain takes no words");
  const server = await mustRun(context, "queue drain");
  const { terminal } = context;
  if (flags.has("off")) {
    await server.drain(false);
    terminal.complain("The server takes new mail again");
    return OK;
  }
  await server.drain(true);
  terminal.complain(
    "The server takes no new mail, until `queue drain --off` or its next start. Ctrl-C ends this display, not the draining",
  );
  const { tried, held } = await tryAll(context, server);
  terminal.complain(`Trying ${countText(tried, "message")} now${held === 0 ? "" : `; ${held} held stay`}`);
  await watch(context, server);
  return OK;
}

/** Makes due what waits, but for what an operator or its sender holds: their word counts more. */
async function tryAll(context: QueueContext, server: RunningQueue): Promise<{ tried: number; held: number }> {
  let [tried, held] = [0, 0];
  let ids: string[] = [];
  const ask = async (): Promise<void> => {
    const results = await server.change({ action: "retry" }, ids);
    tried += results.filter(({ result }) => result === "done" || result === "busy").length;
    ids = [];
  };
  for await (const { queueId, envelope, recipients, isHeld } of selected(context, { filter: {} })) {
    if (isHeld || isHeldBySender(envelope, context.clock.now())) held++;
    else if (recipients.some(isPending)) ids.push(queueId);
    if (ids.length >= BATCH) await ask();
  }
  if (ids.length > 0) await ask();
  return { tried, held };
}

/** Tells of each change until nothing is left but what is held. */
async function watch(context: QueueContext, server: RunningQueue): Promise<void> {
  let before = "";
  for (;;) {
    const { active, scheduled, isDraining } = await server.status();
    if (active + scheduled === 0) return context.terminal.complain("The queue is empty");
    if (!isDraining) return context.terminal.complain("Somebody ended the draining: new mail is taken again");
    const now = `${countText(active + scheduled, "message")} left: ${active} being delivered, ${scheduled} wait`;
    if (now !== before) context.terminal.complain(now);
    before = now;
    if (active === 0 && await areAllHeld(context, scheduled)) {
      return context.terminal.complain("What is left is held, and stays");
    }
    await context.clock.sleep(LOOK_MS);
  }
}

/** Looks at as many messages as the server has; more are not waited for. */
async function areAllHeld(context: QueueContext, messages: number): Promise<boolean> {
  let held = 0;
  for await (const { envelope, isHeld } of selected(context, { filter: {} })) {
    if (!isHeld && !isHeldBySender(envelope, context.clock.now())) return false;
    held++;
  }
  return held >= messages;
}
