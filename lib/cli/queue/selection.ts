/** Goes through the messages that a filter takes, without keeping them. */

import type { QueueAccess } from "../../admin/queue_access.ts";
import { domainOf } from "../../mail/mailbox.ts";
import { listQueueIds, readMessages } from "../../queue/list_spool.ts";
import { secondOf } from "../../queue/queue_id.ts";
import type { QueuedMessage } from "../../queue/spool.ts";
import { type QueueContext } from "./context.ts";
import { type DestinationOf, type Filter, matches } from "./filter.ts";

/** Messages looked at together where destinations have to be asked for. */
const BATCH = 200;

/**
 * Remembers where domains lead to, as the running server says: one question for many messages. Addresses of one domain
 * count as one destination.
 */
export class Destinations {
  readonly #server: Pick<QueueAccess, "destinationsOf">;
  readonly #byDomain: Map<string, string | undefined> = new Map();

  /** Takes whom to ask. */
  constructor(server: Pick<QueueAccess, "destinationsOf">) {
    this.#server = server;
  }

  /** Asks for all recipients of these messages that are not known yet. */
  async learn(messages: readonly QueuedMessage[]): Promise<void> {
    const unknown = new Map<string, string>();
    for (const { envelope } of messages) {
      for (const { address } of envelope.recipients) {
        const domain = domainOf(address);
        if (!this.#byDomain.has(domain)) unknown.set(domain, address);
      }
    }
    if (unknown.size === 0) return;
    const found = await this.#server.destinationsOf([...unknown.values()]);
    for (const [domain, address] of unknown) this.#byDomain.set(domain, found.get(address));
  }

  /** The destination of an address that was learned; undefined where the server does not know. */
  of: DestinationOf = (address) => this.#byDomain.get(domainOf(address));
}

/** How messages are gone through. */
export interface Selecting {
  /** Which ones. */
  readonly filter: Filter;
  /** The last to arrive first. */
  readonly isReverse?: boolean;
  /** Where they are asked for, they are learned before a message comes. */
  readonly destinations?: Destinations | undefined;
}

/** Yields the messages that the filter takes, in the order of their arrival, as exactly as their ids tell it. */
export async function* selected(
  { files, folder, clock }: Pick<QueueContext, "files" | "folder" | "clock">,
  { filter, isReverse = false, destinations }: Selecting,
): AsyncGenerator<QueuedMessage> {
  const ids = await listQueueIds(files, folder);
  if (isReverse) ids.reverse();
  const nowMs = clock.now();
  const messages = inOrderOfArrival(readMessages(files, folder, ids), isReverse);
  if (destinations === undefined) {
    for await (const message of messages) if (matches(message, filter, nowMs, () => undefined)) yield message;
    return;
  }
  // What needs no server is looked at first: fewer domains to ask for.
  const { destination: _, ...plain } = filter;
  for await (const batch of batches(messages, (message) => matches(message, plain, nowMs, () => undefined))) {
    await destinations.learn(batch);
    for (const message of batch) if (matches(message, filter, nowMs, destinations.of)) yield message;
  }
}

/** Ids have the order of seconds; within one, the envelopes tell. */
async function* inOrderOfArrival(
  messages: AsyncIterable<QueuedMessage>,
  isReverse: boolean,
): AsyncGenerator<QueuedMessage> {
  let group: QueuedMessage[] = [];
  const sorted = (): QueuedMessage[] => {
    const sign = isReverse ? -1 : 1;
    return group.sort((a, b) => sign * (Date.parse(a.envelope.arrived) - Date.parse(b.envelope.arrived)));
  };
  for await (const message of messages) {
    const [first] = group;
    if (first !== undefined && secondOf(first.queueId) !== secondOf(message.queueId)) {
      yield* sorted();
      group = [];
    }
    group.push(message);
  }
  yield* sorted();
}

async function* batches<T>(items: AsyncIterable<T>, takes: (item: T) => boolean): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    if (!takes(item)) continue;
    batch.push(item);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
