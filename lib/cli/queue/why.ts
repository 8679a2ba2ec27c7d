/** `posthorn queue why`: for each recipient one sentence that says what it waits for, and until when. */

import type { DestinationStatus } from "../../queue/queue_control.ts";
import { expiryMs } from "../../queue/deadline.ts";
import { domainOf } from "../../mail/mailbox.ts";
import type { ReadSpoolFile } from "../../queue/spool_read.ts";
import { findSuspension, type Suspension } from "../../queue/suspensions.ts";
import { DATA_ERROR, OK } from "../../system/sysexits.ts";
import { CommandError } from "../command_error.ts";
import type { QueueContext } from "./context.ts";
import { stateNameOf } from "./filter.ts";
import { findMessage } from "./find_message.ts";
import { checkFlags, type Flags, readFilter } from "./options.ts";
import { printable } from "./units.ts";
import { sentence, type WhyFacts } from "./why_sentence.ts";

/** What the whole server says about deliveries just now. */
interface Surroundings {
  readonly isRunning: boolean;
  readonly suspensions: ReadonlyMap<string, Suspension>;
  readonly statuses: ReadonlyMap<string, DestinationStatus>;
  readonly destinations: ReadonlyMap<string, string>;
}

/** Carries out `why`; returns the exit code. */
export async function why(context: QueueContext, words: readonly string[], flags: Flags): Promise<number> {
  checkFlags("why", flags, ["recipient"]);
  const { recipient: wanted } = readFilter(flags);
  const read = await findMessage(context, "why", words);
  const { envelope, recipients, queueId } = read.message;
  const shown = recipients.filter(({ index }) =>
    wanted === undefined || envelope.recipients[index]?.address.toLowerCase() === wanted.toLowerCase()
  );
  if (shown.length === 0) throw new CommandError(DATA_ERROR, `Message ${queueId} has no recipient <${wanted}>`);
  const addresses = shown.map(({ index }) => envelope.recipients[index]?.address ?? "");
  const around = await lookAround(context, addresses);
  const sentences: { readonly address: string; readonly state: string; readonly why: string }[] = [];
  for (const state of shown) {
    const address = envelope.recipients[state.index]?.address ?? "";
    const facts = factsOf(read, state.index, address, around, context, await context.isLocal(address));
    sentences.push({ address, state: stateNameOf(state), why: sentence(facts) });
  }
  if (context.isJson) context.terminal.print(JSON.stringify({ id: queueId, recipients: sentences }, null, 2));
  else for (const { address, why } of sentences) context.terminal.print(`${printable(address)}: ${why}`);
  return OK;
}

async function lookAround(context: QueueContext, addresses: readonly string[]): Promise<Surroundings> {
  const server = await context.running();
  if (server === undefined) {
    const suspensions = await context.suspensionsOnFile();
    return { isRunning: false, suspensions: byPattern(suspensions), statuses: new Map(), destinations: new Map() };
  }
  const statuses = await server.destinations();
  return {
    isRunning: true,
    suspensions: byPattern(await server.suspensions()),
    statuses: new Map(statuses.map((status) => [status.key, status])),
    destinations: await server.destinationsOf(addresses),
  };
}

function byPattern(suspensions: readonly Suspension[]): ReadonlyMap<string, Suspension> {
  return new Map(suspensions.map((suspension) => [suspension.pattern, suspension]));
}

function factsOf(
  { message, events }: ReadSpoolFile,
  index: number,
  address: string,
  { isRunning, suspensions, statuses, destinations }: Surroundings,
  { clock, expireAfterMs }: QueueContext,
  isLocal: boolean,
): WhyFacts {
  const { envelope, recipients, isHeld } = message;
  const state = recipients[index];
  if (state === undefined) throw new RangeError(`There is no recipient ${index}`);
  const destination = destinations.get(address);
  const status = destination === undefined ? undefined : statuses.get(destination);
  const suspension = isLocal ? undefined : findSuspension(suspensions, destination ?? "", domainOf(address));
  const heldAt = isHeld ? events.findLast(({ event }) => event === "held")?.at : undefined;
  const last = events.findLast((event) =>
    (event.event === "attempt" || event.event === "postponed") && event.recipients.includes(index)
  );
  return {
    state,
    nowMs: clock.now(),
    isRunning,
    isHeld,
    isPostponed: last?.event === "postponed",
    giveUpMs: expiryMs(message, { expireAfterMs }),
    ...(last !== undefined && { lastMs: Date.parse(last.at) }),
    ...(heldAt !== undefined && { heldSinceMs: Date.parse(heldAt) }),
    ...(envelope.holdUntil !== undefined && { senderHoldMs: Date.parse(envelope.holdUntil) }),
    ...(destination !== undefined && { destination }),
    ...(status !== undefined && { status }),
    ...(suspension !== undefined && { suspension }),
  };
}
