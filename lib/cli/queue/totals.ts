/** The sums of `queue list --totals`: by destination, of the recipients that are still to be delivered to. */

import { domainOf } from "../../mail/mailbox.ts";
import type { QueuedMessage } from "../../queue/spool.ts";
import { type DestinationOf, stateNameOf } from "./filter.ts";
import { columnWidth, countText, durationText, printable, timeText } from "./units.ts";

interface Total {
  messages: number;
  recipients: number;
  octets: number;
  held: number;
  oldestMs: number;
  nextMs: number;
  lastReply: string | undefined;
  lastMs: number;
}

/** Adds up messages. */
export class Totals {
  readonly #byKey: Map<string, Total> = new Map();

  /** Adds a message; recipients whose destination is not known count for their domain. */
  add(message: QueuedMessage, destinationOf: DestinationOf): void {
    const { envelope, recipients, content, isHeld } = message;
    const counted = new Set<string>();
    for (const state of recipients) {
      if (stateNameOf(state) !== "waiting") continue;
      const address = envelope.recipients[state.index]?.address ?? "";
      const key = destinationOf(address) ?? domainOf(address);
      const total = this.#totalOf(key);
      if (!counted.has(key)) {
        counted.add(key);
        total.messages++;
        total.octets += content.octets;
        total.oldestMs = Math.min(total.oldestMs, Date.parse(envelope.arrived));
        if (isHeld) total.held++;
      }
      total.recipients++;
      if (!isHeld) total.nextMs = Math.min(total.nextMs, state.nextAttemptMs);
      if (state.lastOutcome === undefined || (state.lastAttemptMs ?? 0) < total.lastMs) continue;
      total.lastReply = state.lastOutcome.text;
      total.lastMs = state.lastAttemptMs ?? 0;
    }
  }

  /** Nothing was added. */
  get isEmpty(): boolean {
    return this.#byKey.size === 0;
  }

  /** For scripts, most messages first; times are RFC 3339 in UTC. */
  toJson(): unknown[] {
    return this.#sorted().map(([destination, total]) => ({
      destination,
      messages: total.messages,
      recipients: total.recipients,
      octets: total.octets,
      held: total.held,
      oldest: new Date(total.oldestMs).toISOString(),
      nextAttempt: total.nextMs === Infinity ? null : new Date(total.nextMs).toISOString(),
      lastReply: total.lastReply ?? null,
    }));
  }

  /** For people. */
  lines(nowMs: number): string[] {
    const sorted = this.#sorted();
    const width = columnWidth(sorted.map(([key]) => key), 11, 40);
    const heading = `${"DESTINATION".padEnd(width)} MESSAGES RECIPIENTS  OLDEST  NEXT ATTEMPT         LAST REPLY`;
    const rows = sorted.map(([key, total]) => {
      const next = total.nextMs === Infinity ? "held" : total.nextMs <= nowMs ? "now" : timeText(total.nextMs, nowMs);
      return [
        printable(key).padEnd(width),
        String(total.messages).padStart(8),
        String(total.recipients).padStart(10),
        durationText(nowMs - total.oldestMs).padStart(7),
        ` ${next.padEnd(20)}`,
        printable(total.lastReply ?? ""),
      ].join(" ").trimEnd();
    });
    const recipients = sorted.reduce((sum, [, total]) => sum + total.recipients, 0);
    return [heading, ...rows, `${countText(sorted.length, "destination")}, ${countText(recipients, "recipient")}`];
  }

  #totalOf(key: string): Total {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known;
    const total: Total = {
      messages: 0,
      recipients: 0,
      octets: 0,
      held: 0,
      oldestMs: Infinity,
      nextMs: Infinity,
      lastReply: undefined,
      lastMs: 0,
    };
    this.#byKey.set(key, total);
    return total;
  }

  #sorted(): [string, Total][] {
    return [...this.#byKey].sort(([a, x], [b, y]) => y.messages - x.messages || (a < b ? -1 : 1));
  }
}
