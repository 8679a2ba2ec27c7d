/** The commands' side of the control socket. */

import type { Clock } from "../system/clock.ts";
import { HttpError } from "../web/http_head.ts";
import { readHttp, writeHttp } from "./http_message.ts";
import {
  type ChangeResult,
  changeResultFromJson,
  destinationFromJson,
  fieldsOf,
  listOf,
  MAX_ITEMS,
  PREFIX,
  ProtocolError,
  reportRunFromJson,
  SEND_REPORTS,
  statusFromJson,
  suspensionFromJson,
  textOf,
  truthOf,
} from "./protocol.ts";
import type { RunningQueue } from "./queue_access.ts";

/** Thrown where the running server could not be asked, or refused. */
export class AdminError extends Error {
  /** Stands in front of the message in logs and stack traces. */
  override readonly name = "AdminError";
  /** `denied`: this user may not ask; `failed`: no answer, or one that says what went wrong. */
  readonly kind: "denied" | "failed";

  /** Takes what went wrong. */
  constructor(kind: "denied" | "failed", message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** A thousand messages may be changed, each with a sync of the disk, before an answer comes. */
const ANSWER_MS = 120_000;
/** Of a response: a destination takes about 300. */
const MAX_RESPONSE_OCTETS = 64 * 2 ** 20;

/**
 * Looks whether a server answers on the socket.
 *
 * @returns Undefined where none does.
 * @throws {AdminError} This user may not ask, or there is something else in the place of the socket.
 */
export async function findRunningQueue(path: string, clock: Clock): Promise<RunningQueue | undefined> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    // A path that is too long for a socket is a TypeError: nobody can answer there.
    const { NotFound, ConnectionRefused } = Deno.errors;
    if (error instanceof NotFound || error instanceof ConnectionRefused || error instanceof TypeError) return undefined;
    throw connectError(path, error);
  }
  return runningQueue((request, read) => exchange({ path, clock }, request, read));
}

type Fields = Readonly<Record<string, unknown>>;
/** Asks, and reads the answer; what is wrong with that is an `AdminError`. */
type Ask = <T>(request: Request, read: (answer: Fields) => T) => Promise<T>;

interface Request {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: unknown;
}

function runningQueue(ask: Ask): RunningQueue {
  const get = <T>(tail: string, read: (answer: Fields) => T): Promise<T> =>
    ask({ method: "GET", path: PREFIX + tail }, read);
  const post = <T>(tail: string, body: unknown, read: (answer: Fields) => T): Promise<T> =>
    ask({ method: "POST", path: PREFIX + tail, body }, read);
  const isChanged = (answer: Fields): boolean => truthOf(answer, "isChanged");
  return {
    change: async ({ action, ...more }, ids) => {
      const results: ChangeResult[] = [];
      for (const batch of batches(ids)) {
        const read = (answer: Fields): ChangeResult[] => listOf(answer, "results").map(changeResultFromJson);
        results.push(...await post(`/${action}`, { ids: batch, ...more }, read));
      }
      return results;
    },
    suspend: (pattern, reason) => post("/suspend", { pattern, reason }, isChanged),
    resume: (pattern) => post("/resume", { pattern }, isChanged),
    suspensions: () => get("/suspensions", (answer) => listOf(answer, "suspensions").map(suspensionFromJson)),
    destinations: () => get("/destinations", (answer) => listOf(answer, "destinations").map(destinationFromJson)),
    destinationsOf: async (addresses) => {
      const found = new Map<string, string>();
      for (const batch of batches(addresses)) {
        await post("/destinations-of", { addresses: batch }, (answer) => {
          const keys = fieldsOf(answer.destinations);
          for (const address of Object.keys(keys)) found.set(address, textOf(keys, address));
        });
      }
      return found;
    },
    status: () => get("", statusFromJson),
    drain: (isDraining) => post("/drain", { isDraining }, statusFromJson),
    sendReports: () => ask({ method: "POST", path: SEND_REPORTS }, reportRunFromJson),
    [Symbol.dispose]: () => {},
  };
}

function* batches<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += MAX_ITEMS) yield items.slice(at, at + MAX_ITEMS);
}

/** One request on a connection of its own. */
async function exchange<T>(
  { path, clock }: { readonly path: string; readonly clock: Clock },
  { method, path: target, body }: Request,
  read: (answer: Fields) => T,
): Promise<T> {
  const conn = await Deno.connect({ transport: "unix", path }).catch((error) => {
    throw connectError(path, error);
  });
  const timer = new AbortController();
  let isLate = false;
  clock.sleep(ANSWER_MS, timer.signal).then(() => {
    isLate = true;
    conn.close();
  }, () => {});
  try {
    const startLine = `${method} ${target} HTTP/1.1`;
    await writeHttp(conn, { startLine, body: body === undefined ? "" : JSON.stringify(body) });
    const response = await readHttp(conn, MAX_RESPONSE_OCTETS);
    if (response === undefined) throw new HttpError(400, "it ended the connection; did it stop?");
    return read(answerOf(response.startLine, response.body));
  } catch (error) {
    if (error instanceof AdminError) throw error;
    const reason = isLate ? `no answer within ${ANSWER_MS / 1000} s` : reasonOf(error);
    throw new AdminError("failed", `Cannot ask the server on "${path}": ${reason}`, { cause: error });
  } finally {
    timer.abort();
    if (!isLate) conn.close();
  }
}

function answerOf(startLine: string, body: string): Fields {
  const [, status] = /^HTTP\/1\.[01] (\d{3})\b/.exec(startLine) ?? [];
  if (status === undefined) throw new ProtocolError("what came is no response of HTTP");
  const fields = fieldsOf(JSON.parse(body));
  if (status === "200") return fields;
  throw new AdminError("failed", `The server refused: ${textOf(fields, "error")}`);
}

function connectError(path: string, error: unknown): AdminError {
  if (error instanceof Deno.errors.PermissionDenied) {
    const mend = "run this command as root or as the user that the server runs as";
    return new AdminError("denied", `Cannot use the control socket "${path}": permission denied; ${mend}`, {
      cause: error,
    });
  }
  return new AdminError("failed", `Cannot use the control socket "${path}": ${reasonOf(error)}`, { cause: error });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
