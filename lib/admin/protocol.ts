/** What goes over the control socket, as both sides know it: JSON with times as RFC 3339 in UTC (RFC 3339 §5.6). */

import type { ReportOutcome } from "../reports/outcome.ts";
import type { ControlResult, DestinationStatus } from "../queue/queue_control.ts";
import type { Suspension } from "../queue/suspensions.ts";

/** A change of single messages. */
export type QueueChange =
  | { readonly action: "retry" | "hold" | "release" | "remove" }
  /** `reason` goes to the sender. */
  | { readonly action: "fail"; readonly reason: string };

/** What came of a change of one message. */
export interface ChangeResult {
  /** Its queue id. */
  readonly id: string;
  /** `error`: it could not be done, and `reason` says why. */
  readonly result: ControlResult | "error";
  /** For `error`. */
  readonly reason?: string;
}

/** How much there is to do. */
export interface QueueStatus {
  /** No new mail is taken. */
  readonly isDraining: boolean;
  /** Messages that are worked on. */
  readonly active: number;
  /** Messages that wait for their time. */
  readonly scheduled: number;
}

/** What an operator who asks for reports to be sent is told. */
export interface ReportRun {
  /** False: it takes longer, and the log says how it ends. */
  readonly isFinished: boolean;
  /** What became of each report that was due; empty while it is not finished. */
  readonly outcomes: readonly ReportOutcome[];
}

/** Changes of single messages, by their last word of the path. */
export const CHANGES: readonly QueueChange["action"][] = ["retry", "hold", "release", "remove", "fail"];
/** Ids or addresses in one request. */
export const MAX_ITEMS = 500;
/** Of a request; a response may be longer. */
export const MAX_REQUEST_OCTETS = 256 * 1024;
/** Where all paths begin; another number means another protocol. */
export const PREFIX = "/v1/queue";
/** Where reports are asked for. */
export const SEND_REPORTS = "/v1/reports/send";
/** Outcomes in one response. */
const MAX_OUTCOMES = 10_000;

/** Thrown where something that came over the socket is not what it should be. */
export class ProtocolError extends Error {
  /** Stands in front of the message in logs and stack traces. */
  override readonly name = "ProtocolError";
}

const STATES: readonly DestinationStatus["state"][] = ["suspended", "down", "probing", "limited", "open"];
const RESULTS: readonly ChangeResult["result"][] = ["done", "busy", "unknown", "error"];

/** The fields of a JSON object that is yet to be checked. */
export type Fields = Readonly<Record<string, unknown>>;

/** The fields of a JSON object. @throws {ProtocolError} It is none. */
export function fieldsOf(value: unknown): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ProtocolError("Expected a JSON object");
  }
  return { ...value };
}

/** A field with text. @throws {ProtocolError} */
export function textOf(fields: Fields, key: string): string {
  const value = fields[key];
  if (typeof value !== "string") throw new ProtocolError(`Expected text in the field "${key}"`);
  return value;
}

/** A field with true or false. @throws {ProtocolError} */
export function truthOf(fields: Fields, key: string): boolean {
  const value = fields[key];
  if (typeof value !== "boolean") throw new ProtocolError(`Expected true or false in the field "${key}"`);
  return value;
}

/** A field with a list. @throws {ProtocolError} */
export function listOf(fields: Fields, key: string): readonly unknown[] {
  const value: unknown = fields[key];
  if (!Array.isArray(value)) throw new ProtocolError(`Expected a list in the field "${key}"`);
  return value;
}

/** A field with a list of up to {@linkcode MAX_ITEMS} texts. @throws {ProtocolError} */
export function textsOf(fields: Fields, key: string): readonly string[] {
  const values = listOf(fields, key);
  if (values.length > MAX_ITEMS) throw new ProtocolError(`Expected at most ${MAX_ITEMS} items in the field "${key}"`);
  return values.map((value) => {
    if (typeof value !== "string") throw new ProtocolError(`Expected a list of text in the field "${key}"`);
    return value;
  });
}

/** Writes a suspension. */
export function suspensionToJson({ pattern, reason, sinceMs }: Suspension): unknown {
  return { pattern, reason, since: timeText(sinceMs) };
}

/** Reads a suspension. @throws {ProtocolError} */
export function suspensionFromJson(value: unknown): Suspension {
  const fields = fieldsOf(value);
  return { pattern: textOf(fields, "pattern"), reason: textOf(fields, "reason"), sinceMs: timeOf(fields, "since") };
}

/** Writes the status of a destination. */
export function destinationToJson(status: DestinationStatus): unknown {
  const { probeMs, sinceMs, rateLimitedUntilMs, ...plain } = status;
  return {
    ...plain,
    ...(probeMs !== undefined && { probe: timeText(probeMs) }),
    ...(sinceMs !== undefined && { since: timeText(sinceMs) }),
    ...(rateLimitedUntilMs !== undefined && { rateLimitedUntil: timeText(rateLimitedUntilMs) }),
  };
}

/** Reads the status of a destination. @throws {ProtocolError} */
export function destinationFromJson(value: unknown): DestinationStatus {
  const fields = fieldsOf(value);
  return {
    key: textOf(fields, "key"),
    state: oneOf(fields, "state", STATES),
    running: countOf(fields, "running"),
    waiting: countOf(fields, "waiting"),
    concurrency: countOf(fields, "concurrency"),
    ...(fields.probe !== undefined && { probeMs: timeOf(fields, "probe") }),
    ...(fields.since !== undefined && { sinceMs: timeOf(fields, "since") }),
    ...(fields.reason !== undefined && { reason: textOf(fields, "reason") }),
    ...(fields.rateLimitedUntil !== undefined && { rateLimitedUntilMs: timeOf(fields, "rateLimitedUntil") }),
  };
}

/** Reads the result of a change. @throws {ProtocolError} */
export function changeResultFromJson(value: unknown): ChangeResult {
  const fields = fieldsOf(value);
  return {
    id: textOf(fields, "id"),
    result: oneOf(fields, "result", RESULTS),
    ...(fields.reason !== undefined && { reason: textOf(fields, "reason") }),
  };
}

/** Writes what became of reports. */
export function reportRunToJson({ isFinished, outcomes }: ReportRun): unknown {
  return { isFinished, reports: outcomes.slice(0, MAX_OUTCOMES) };
}

/** Reads what became of reports. @throws {ProtocolError} */
export function reportRunFromJson(fields: Fields): ReportRun {
  return {
    isFinished: truthOf(fields, "isFinished"),
    outcomes: listOf(fields, "reports").map((value) => {
      const outcome = fieldsOf(value);
      return {
        kind: oneOf(outcome, "kind", ["dmarc", "tls"]),
        day: textOf(outcome, "day"),
        domain: textOf(outcome, "domain"),
        isDone: truthOf(outcome, "isDone"),
        text: textOf(outcome, "text"),
      };
    }),
  };
}

/** Reads how much there is to do. @throws {ProtocolError} */
export function statusFromJson(value: unknown): QueueStatus {
  const fields = fieldsOf(value);
  return {
    isDraining: truthOf(fields, "isDraining"),
    active: countOf(fields, "active"),
    scheduled: countOf(fields, "scheduled"),
  };
}

function countOf(fields: Fields, key: string): number {
  const value = fields[key];
  if (typeof value !== "number" || !(value >= 0)) throw new ProtocolError(`Expected a number in the field "${key}"`);
  return value;
}

function timeOf(fields: Fields, key: string): number {
  const ms = Date.parse(textOf(fields, key));
  if (Number.isNaN(ms)) throw new ProtocolError(`Expected a time in the field "${key}"`);
  return ms;
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

function oneOf<T extends string>(fields: Fields, key: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === fields[key]);
  if (found === undefined) throw new ProtocolError(`Expected one of ${choices.join(", ")} in the field "${key}"`);
  return found;
}
