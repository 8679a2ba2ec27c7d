/**
 * What the control socket can be asked, path by path:
 *
 * ```
 * GET  /v1/queue                                {isDraining, active, scheduled}
 * POST /v1/queue/retry|hold|release|remove      {ids}          {results: [{id, result, reason?}]}
 * POST /v1/queue/fail                           {ids, reason}  as these
 * POST /v1/queue/suspend                        {pattern, reason}  {isChanged}
 * POST /v1/queue/resume                         {pattern}          {isChanged}
 * GET  /v1/queue/suspensions                    {suspensions: [{pattern, reason, since}]}
 * GET  /v1/queue/destinations                   {destinations: [{key, state, …}]}
 * POST /v1/queue/destinations-of                {addresses}        {destinations: {address: key}}
 * POST /v1/queue/drain                          {isDraining}       as the first
 * POST /v1/reports/send                         {isFinished, reports: [{kind, day, domain, isDone, text}]}
 * ```
 *
 * Who may ask is decided by the permissions of the socket. An error is `{error}` with a status of 4xx or 500.
 */

import type { Logger } from "../log/logger.ts";
import type { QueueControl } from "../queue/queue_control.ts";
import { parsePattern } from "../queue/suspensions.ts";
import {
  type ChangeResult,
  CHANGES,
  destinationToJson,
  fieldsOf,
  PREFIX,
  ProtocolError,
  type QueueChange,
  type QueueStatus,
  type ReportRun,
  reportRunToJson,
  SEND_REPORTS,
  suspensionToJson,
  textOf,
  textsOf,
  truthOf,
} from "./protocol.ts";
import { changeAll, destinationsOf } from "./queue_access.ts";

/** What requests are carried out on. */
export interface ApiOptions {
  /** The queue of this server. */
  readonly control: QueueControl;
  /** Messages that are worked on, and messages that wait. */
  readonly size: () => { readonly active: number; readonly scheduled: number };
  /** Whether new mail is refused. */
  readonly drain: { isDraining: boolean };
  /** Sends the reports that are due; absent: none are sent. */
  readonly sendReports?: () => Promise<ReportRun>;
  /** One line for each change. */
  readonly logger: Logger;
}

/** A request, its body parsed as JSON; undefined where there is none. */
export interface ApiRequest {
  /** `GET` or `POST`. */
  readonly method: string;
  /** Without a query. */
  readonly path: string;
  /** Any JSON value. */
  readonly body: unknown;
}

/** A response. */
export interface ApiResponse {
  /** Status code of HTTP. */
  readonly status: number;
  /** To be written as JSON. */
  readonly body: unknown;
}

/** Carries out one request. */
export type Api = (request: ApiRequest) => Promise<ApiResponse>;

type Handler = (options: ApiOptions, body: unknown) => unknown;

/** Longest reason that is taken: it becomes a line of a DSN. */
const MAX_REASON_LENGTH = 500;

/** By method and the path behind the prefix. */
const ROUTES: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ["GET ", (options) => statusOf(options)],
  ...CHANGES.map((action) =>
    [`POST /${action}`, (options: ApiOptions, body: unknown) => change(options, action, body)] as const
  ),
  ["POST /suspend", suspend],
  ["POST /resume", resume],
  ["GET /suspensions", ({ control }) => ({ suspensions: control.suspensions().map(suspensionToJson) })],
  ["GET /destinations", ({ control }) => ({ destinations: control.destinations().map(destinationToJson) })],
  ["POST /destinations-of", ({ control }, body) => {
    const found = destinationsOf(control, textsOf(fieldsOf(body), "addresses"));
    return { destinations: Object.fromEntries(found) };
  }],
  ["POST /drain", drain],
]);

/** Makes the API of a server. It never rejects. */
export function makeApi(options: ApiOptions): Api {
  return async ({ method, path, body }) => {
    const tail = path.startsWith(PREFIX) ? path.slice(PREFIX.length) : undefined;
    const handle = `${method} ${path}` === `POST ${SEND_REPORTS}` ? sendReports : ROUTES.get(`${method} ${tail}`);
    if (handle === undefined) return unknownPath(method, path, tail);
    try {
      return { status: 200, body: await handle(options, body) };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (error instanceof ProtocolError) return failure(400, reason);
      options.logger.error("Cannot carry out {method} {path} of the control socket: {reason}", {
        method,
        path,
        reason,
      });
      return failure(500, reason);
    }
  };
}

/** A response that says what went wrong. */
export function failure(status: number, error: string): ApiResponse {
  return { status, body: { error } };
}

/** Takes a reason as operators write it: one line. */
export function parseReason(text: string): string | undefined {
  const isLine = text.length <= MAX_REASON_LENGTH && !/[\x00-\x1f\x7f-\x9f\u2028\u2029]/.test(text) &&
    text.isWellFormed();
  return isLine ? text.trim() : undefined;
}

function unknownPath(method: string, path: string, tail: string | undefined): ApiResponse {
  const other = method === "GET" ? "POST" : "GET";
  if (ROUTES.has(`${other} ${tail}`)) return failure(405, `Cannot ${method} ${path}: it is for ${other}`);
  return failure(404, `There is no ${path}; this version knows what begins with ${PREFIX}`);
}

function statusOf({ drain, size }: ApiOptions): QueueStatus {
  const { active, scheduled } = size();
  return { isDraining: drain.isDraining, active, scheduled };
}

async function change(
  options: ApiOptions,
  action: QueueChange["action"],
  body: unknown,
): Promise<{ readonly results: readonly ChangeResult[] }> {
  const fields = fieldsOf(body);
  const ids = textsOf(fields, "ids");
  const wanted: QueueChange = action === "fail" ? { action, reason: reasonOf(fields) } : { action };
  if (wanted.action === "fail" && wanted.reason === "") throw new ProtocolError("Expected a reason");
  const results = await changeAll(options.control, wanted, ids);
  for (const result of results) logChange(options.logger, wanted, result);
  return { results };
}

function logChange(logger: Logger, change: QueueChange, { id: queueId, result, reason }: ChangeResult): void {
  if (result === "error") {
    return logger.error("{queueId}: cannot {action}, as an operator asks: {reason}", {
      queueId,
      action: change.action,
      reason,
    });
  }
  if (result !== "done") return;
  switch (change.action) {
    case "retry":
      return logger.info("{queueId}: to be tried now, as an operator asks", { queueId });
    case "hold":
      return logger.info("{queueId}: held by an operator", { queueId });
    case "release":
      return logger.info("{queueId}: released by an operator", { queueId });
    case "remove":
      return logger.warning("{queueId}: removed by an operator; nobody is told", { queueId });
    case "fail":
      return logger.warning("{queueId}: given up by an operator: {reason}", { queueId, reason: change.reason });
  }
}

async function sendReports({ sendReports: send, logger }: ApiOptions): Promise<unknown> {
  if (send === undefined) {
    throw new ProtocolError(
      "Sending reports is switched off: reports.dmarc.send and reports.tls.send, after a restart",
    );
  }
  logger.info("Sending the reports that are due, as an operator asks");
  return reportRunToJson(await send());
}

async function suspend({ control, logger }: ApiOptions, body: unknown): Promise<{ readonly isChanged: boolean }> {
  const fields = fieldsOf(body);
  const [pattern, reason] = [patternOf(fields), reasonOf(fields)];
  const isChanged = await control.suspend(pattern, reason);
  if (isChanged) logger.warning("Suspended {pattern} as an operator asks: {reason}", { pattern, reason });
  return { isChanged };
}

async function resume({ control, logger }: ApiOptions, body: unknown): Promise<{ readonly isChanged: boolean }> {
  const pattern = patternOf(fieldsOf(body));
  const isChanged = await control.resume(pattern);
  if (isChanged) logger.info("Resumed {pattern} as an operator asks", { pattern });
  return { isChanged };
}

function drain(options: ApiOptions, body: unknown): QueueStatus {
  const isDraining = truthOf(fieldsOf(body), "isDraining");
  if (isDraining !== options.drain.isDraining) {
    if (isDraining) options.logger.warning("Draining as an operator asks: no new mail is taken");
    else options.logger.info("Draining is over: new mail is taken again");
  }
  options.drain.isDraining = isDraining;
  return statusOf(options);
}

function patternOf(fields: Readonly<Record<string, unknown>>): string {
  const pattern = parsePattern(textOf(fields, "pattern"));
  if (pattern === undefined) throw new ProtocolError("Expected a destination, a domain, *.domain or * as pattern");
  return pattern;
}

function reasonOf(fields: Readonly<Record<string, unknown>>): string {
  const reason = parseReason(textOf(fields, "reason"));
  if (reason === undefined) {
    throw new ProtocolError(`Expected one line of at most ${MAX_REASON_LENGTH} characters as reason`);
  }
  return reason;
}
