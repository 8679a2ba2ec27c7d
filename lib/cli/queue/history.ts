/** The journal of a message as lines for people: when, what, for whom, by whom, and what comes next. */

import type { Envelope } from "../../mail/envelope.ts";
import type { Outcome } from "../../mail/outcome.ts";
import type { SpoolEvent } from "../../queue/spool.ts";
import { printable } from "./units.ts";

/** Addresses of one line. */
const SHOWN_ADDRESSES = 5;

/** The addresses with these indexes. */
export function namesOf(indexes: readonly number[], { recipients }: Pick<Envelope, "recipients">): string[] {
  return indexes.map((index) => recipients[index]?.address ?? `recipient ${index}`);
}

/** One event as a line. */
export function historyLine(event: SpoolEvent, envelope: Pick<Envelope, "recipients">): string {
  return `${event.at} ${describe(event, envelope)}`;
}

function describe(event: SpoolEvent, envelope: Pick<Envelope, "recipients">): string {
  switch (event.event) {
    case "attempt": {
      const next = event.nextAttempt === undefined ? "" : `; next attempt ${event.nextAttempt}`;
      return `${event.outcome.action} ${whom(event.recipients, envelope)}${outcomeText(event.outcome)}${next}`;
    }
    case "postponed":
      return `not tried ${whom(event.recipients, envelope)}${outcomeText(event.outcome)}; until ${event.nextAttempt}`;
    case "reported":
      return `sender told of ${event.kind} ${whom(event.recipients, envelope)}`;
    case "retry":
      return "an operator asked for an attempt";
    case "held":
      return "held by an operator";
    case "released":
      return "released by an operator";
  }
}

function whom(indexes: readonly number[], envelope: Pick<Envelope, "recipients">): string {
  const names = namesOf(indexes, envelope).map((name) => `<${printable(name)}>`);
  const more = names.length - SHOWN_ADDRESSES;
  return `for ${names.slice(0, SHOWN_ADDRESSES).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}

function outcomeText({ remoteMta, remoteAddress, tls, status, replyClass, text }: Outcome): string {
  const host = hostText(remoteMta, remoteAddress);
  const what = replyClass === undefined ? status : `${status}, ${replyClass}`;
  return `${host === undefined ? "" : ` by ${host}`}${tls === undefined ? "" : ` (${printable(tls)})`}: ` +
    `${printable(text)} (${what})`;
}

/** `mx1.example.org [192.0.2.1:25]`, as far as it is known. */
export function hostText(remoteMta: string | undefined, remoteAddress: string | undefined): string | undefined {
  if (remoteMta === undefined && remoteAddress === undefined) return undefined;
  const address = remoteAddress === undefined ? undefined : `[${remoteAddress.replace(/^\[(.*)\](:\d+)$/, "$1$2")}]`;
  return printable([remoteMta, address].filter((part) => part !== undefined).join(" "));
}
