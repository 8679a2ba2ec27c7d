/**
 * Sends a report to each of its addresses once, whatever stops us in between: a crash, a full disk, a database that cannot be
 * written. Before a report is in the queue, it is noted under which queue id it will be; a start looks whether it got there.
 */

import type { Sql, StateDatabase } from "../state/state_database.ts";
import type { ReportKey } from "./outcome.ts";
import type { ReportMessage, Submit } from "./submit.ts";

/** What sending needs. */
export interface SendOnceOptions {
  /** Keeps who has what. */
  readonly state: StateDatabase;
  /** The queue. */
  readonly submit: Submit;
}

/** While it cannot be written who has a report, none is sent. */
export class StateUnusableError extends Error {
  /** Tells this error from others. */
  override readonly name = "StateUnusableError";

  /** Says so. */
  constructor() {
    super("the state database cannot be used now");
  }
}

const WHERE = "kind = ? AND day = ? AND domain = ? AND destination = ?";

/** Whether an address, or an https URL, has the report, as far as is known. @throws {StateUnusableError} */
export function hasReport(state: StateDatabase, key: ReportKey, destination: string): boolean {
  const query = `SELECT 1 FROM report_sent WHERE ${WHERE}`;
  return orFail(state.read((sql) => sql.prepare(query).get(...valuesOf(key, destination)) !== undefined));
}

/** Notes that a report has got there in another way than through the queue. */
export function noteSent(state: StateDatabase, key: ReportKey, destination: string): void {
  state.transact((sql) => note(sql, key, destination, ""));
}

/**
 * Sends a report, unless its address has it.
 *
 * @throws {StateUnusableError} And whatever keeps the queue from taking it.
 */
export async function sendOnce(
  { state, submit }: SendOnceOptions,
  key: ReportKey,
  message: ReportMessage,
): Promise<void> {
  const { to } = message;
  if (hasReport(state, key, to)) return;
  let isKept = false;
  try {
    await submit(message, {
      begins: (queueId) => void orFail(state.transact((sql) => note(sql, key, to, queueId))),
      isKept: () => {
        isKept = true;
        state.transact((sql) => note(sql, key, to, ""));
      },
    });
  } catch (error) {
    // What is durable and nobody took on goes out after a restart.
    if (!isKept) {
      state.transact((sql) => sql.prepare(`DELETE FROM report_sent WHERE ${WHERE}`).run(...valuesOf(key, to)));
    }
    throw error;
  }
}

/**
 * After a crash, before the queue starts: a report that was noted and is not in the queue was not sent.
 *
 * @param isInQueue Where it rejects, as for a file that the disk does not give up, the report counts as sent: mail must not wait.
 */
export async function settleDoubts(
  state: StateDatabase,
  isInQueue: (queueId: string) => Promise<boolean>,
): Promise<void> {
  const doubtful = state.read((sql) => sql.prepare("SELECT queue_id FROM report_sent WHERE queue_id <> ''").all());
  for (const { queue_id: id } of doubtful ?? []) {
    const queueId = String(id);
    const change = await isInQueue(queueId).catch(() => true)
      ? "UPDATE report_sent SET queue_id = '' WHERE queue_id = ?"
      : "DELETE FROM report_sent WHERE queue_id = ?";
    state.transact((sql) => sql.prepare(change).run(queueId));
  }
}

/** Notes that a report is done with. */
export function noteDone(sql: Sql, { kind, day, domain }: ReportKey): void {
  sql.prepare("INSERT OR IGNORE INTO report_done VALUES (?, ?, ?)").run(kind, day, domain);
  sql.prepare("DELETE FROM report_sent WHERE kind = ? AND day = ? AND domain = ?").run(kind, day, domain);
}

function note(sql: Sql, key: ReportKey, destination: string, queueId: string): true {
  sql.prepare("INSERT OR REPLACE INTO report_sent VALUES (?, ?, ?, ?, ?)").run(...valuesOf(key, destination), queueId);
  return true;
}

function valuesOf({ kind, day, domain }: ReportKey, destination: string): [string, string, string, string] {
  return [kind, day, domain, destination];
}

function orFail<T>(result: T | undefined): T {
  if (result === undefined) throw new StateUnusableError();
  return result;
}
