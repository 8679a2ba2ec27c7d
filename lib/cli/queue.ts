/** `posthorn queue list`: what waits, and why. Reads the spool files; a running server is not asked. */

import { loadConfig } from "../config/load.ts";
import { isPending } from "../queue/journal.ts";
import { listSpool } from "../queue/list_spool.ts";
import type { QueuedMessage, RecipientState } from "../queue/spool.ts";
import { systemFiles } from "../system/files.ts";
import { UsageError } from "./command_line.ts";
import { processIo } from "./find_config.ts";

/** One recipient of a listed message. */
interface ListedRecipient {
  readonly address: string;
  readonly state: "waiting" | "delivered" | "relayed" | "expanded" | "failed";
  readonly attempts: number;
  readonly nextAttempt: string | null;
  readonly lastReply: string | null;
}

/** One message as `queue list --json` shows it. */
interface ListedMessage {
  readonly id: string;
  readonly reversePath: string;
  readonly arrived: string;
  readonly octets: number;
  readonly recipients: readonly ListedRecipient[];
  readonly held: boolean;
}

/** Lists the queue, oldest message first. */
export async function queue(file: string, words: readonly string[], isJson: boolean): Promise<string> {
  const [action, ...more] = words;
  if (action !== "list" || more.length > 0) throw new UsageError("queue list [--json]");
  const { data } = await loadConfig(file, processIo);
  const messages: ListedMessage[] = [];
  for await (const message of listSpool(systemFiles, `${data}/spool`)) messages.push(listed(message));
  messages.sort((a, b) => a.arrived < b.arrived ? -1 : a.arrived > b.arrived ? 1 : 0);
  return isJson ? JSON.stringify(messages, null, 2) : messages.map(describe).join("\n");
}

function listed({ queueId, envelope, content, recipients }: QueuedMessage): ListedMessage {
  return {
    id: queueId,
    reversePath: envelope.reversePath,
    arrived: envelope.arrived,
    octets: content.octets,
    recipients: recipients.map((state) => listedRecipient(envelope.recipients[state.index]?.address ?? "", state)),
    held: false,
  };
}

function listedRecipient(address: string, state: RecipientState): ListedRecipient {
  const { lastOutcome, attempts, nextAttemptMs } = state;
  const action = lastOutcome?.action;
  return {
    address,
    state: isPending(state) || action === undefined || action === "delayed" ? "waiting" : action,
    attempts,
    nextAttempt: isPending(state) ? new Date(nextAttemptMs).toISOString() : null,
    lastReply: lastOutcome?.text ?? null,
  };
}

function describe({ id, reversePath, arrived, octets, recipients }: ListedMessage): string {
  const lines = recipients.map(({ address, state, attempts, nextAttempt, lastReply }) => {
    const next = nextAttempt === null ? "" : `, next attempt ${nextAttempt}`;
    return `  <${address}> ${state}, ${attempts} attempt(s)${next}${lastReply === null ? "" : `: ${lastReply}`}`;
  });
  return [`${id} ${arrived} ${octets} octets from <${reversePath}>`, ...lines].join("\n");
}
