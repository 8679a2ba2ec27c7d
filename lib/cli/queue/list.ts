/** `posthorn queue list`: the messages, or their sums by destination. Reads the files, whether a server runs or not. */

import { OK } from "../../system/sysexits.ts";
import type { QueuedMessage } from "../../queue/spool.ts";
import { mustRun, type QueueContext } from "./context.ts";
import type { Filter } from "./filter.ts";
import { LIST_HEADING, listed, listedLines } from "./listed.ts";
import { checkFlags, FILTER_FLAGS, type Flags, readFilter, readLimit, readSort, usage } from "./options.ts";
import { Destinations, selected } from "./selection.ts";
import { FirstOf, type SortKey, sortValue } from "./sorting.ts";
import { Totals } from "./totals.ts";
import { countText, durationText, sizeText } from "./units.ts";

/** Carries out `list`; returns the exit code. */
export async function list(context: QueueContext, words: readonly string[], flags: Flags): Promise<number> {
  checkFlags("list", flags, [...FILTER_FLAGS, "sort", "reverse", "limit", "totals"]);
  if (words.length > 0) {
    throw usage(`queue list takes filters, not "${words.join(" ")}"; queue show ID shows one message`);
  }
  const filter = readFilter(flags);
  if (flags.has("totals")) return await showTotals(context, filter);
  const order = { key: readSort(flags), isReverse: flags.has("reverse"), limit: readLimit(flags) };
  const destinations = filter.destination === undefined
    ? undefined
    : new Destinations(await mustRun(context, "--destination"));
  await showMessages(context, filter, order, destinations);
  return OK;
}

interface Order {
  readonly key: SortKey;
  readonly isReverse: boolean;
  readonly limit: number | undefined;
}

async function showMessages(
  context: QueueContext,
  filter: Filter,
  { key, isReverse, limit }: Order,
  destinations: Destinations | undefined,
): Promise<void> {
  const printer = context.isJson ? new JsonList(context) : new TextList(context);
  if (key === "arrived") {
    // As they come: nothing is kept, and what is behind the limit is not even read.
    let count = 0;
    for await (const message of selected(context, { filter, isReverse, destinations })) {
      printer.print(printer.format(message), message);
      if (++count === limit) break;
    }
  } else {
    const first = new FirstOf<readonly [string, Measured]>(limit, isReverse);
    for await (const message of selected(context, { filter, destinations })) {
      first.add(sortValue(message, key), [printer.format(message), measured(message)]);
    }
    for (const [text, message] of first.items()) printer.print(text, message);
  }
  printer.end();
}

/** What the last line adds up. */
type Measured = { readonly envelope: { readonly arrived: string }; readonly content: { readonly octets: number } };

function measured({ envelope: { arrived }, content: { octets } }: QueuedMessage): Measured {
  return { envelope: { arrived }, content: { octets } };
}

class TextList {
  readonly #context: QueueContext;
  readonly #nowMs: number;
  #messages = 0;
  #octets = 0;
  #oldestMs = Infinity;

  constructor(context: QueueContext) {
    this.#context = context;
    this.#nowMs = context.clock.now();
  }

  format(message: QueuedMessage): string {
    return listedLines(message, this.#nowMs).join("\n");
  }

  print(text: string, { envelope, content }: Measured): void {
    if (this.#messages++ === 0) this.#context.terminal.print(LIST_HEADING);
    this.#octets += content.octets;
    this.#oldestMs = Math.min(this.#oldestMs, Date.parse(envelope.arrived));
    this.#context.terminal.print(text);
  }

  end(): void {
    const { terminal } = this.#context;
    if (this.#messages === 0) return terminal.complain("There is no such message in the queue");
    const age = durationText(this.#nowMs - this.#oldestMs);
    terminal.print(`${countText(this.#messages, "message")}, ${sizeText(this.#octets)}, the oldest came ${age} ago`);
  }
}

class JsonList {
  readonly #context: QueueContext;
  #last: string | undefined;

  constructor(context: QueueContext) {
    this.#context = context;
  }

  format(message: QueuedMessage): string {
    return JSON.stringify(listed(message), null, 2).replace(/^/gm, "  ");
  }

  print(text: string): void {
    this.#context.terminal.print(this.#last === undefined ? "[" : `${this.#last},`);
    this.#last = text;
  }

  end(): void {
    const { terminal } = this.#context;
    if (this.#last === undefined) return terminal.print("[]");
    terminal.print(this.#last);
    terminal.print("]");
  }
}

async function showTotals(context: QueueContext, filter: Filter): Promise<number> {
  const { terminal, clock, isJson } = context;
  const server = await context.running();
  if (filter.destination !== undefined && server === undefined) await mustRun(context, "--destination");
  const destinations = server === undefined ? undefined : new Destinations(server);
  const totals = new Totals();
  for await (const message of selected(context, { filter, destinations })) {
    totals.add(message, destinations?.of ?? ((): undefined => undefined));
  }
  if (isJson) terminal.print(JSON.stringify(totals.toJson(), null, 2));
  else if (totals.isEmpty) terminal.complain("There is no such message in the queue");
  else for (const line of totals.lines(clock.now())) terminal.print(line);
  return OK;
}
