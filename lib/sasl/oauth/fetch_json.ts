/** Asks an HTTP server for a JSON object, with bounds. */

import { withTimeLimit } from "../../dns/time_limit.ts";
import type { Clock } from "../../system/clock.ts";

/** The part of the runtime's `fetch` that is used; tests hand in their own. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** What requests are made with. */
export interface Http {
  /** Checks the certificates of https servers. */
  readonly fetch: Fetch;
  /** For the time limit. */
  readonly clock: Clock;
}

/** What came back. The reason is for the log, and holds nothing that was sent but the URL. */
export type JsonAnswer =
  | { readonly kind: "object"; readonly object: Readonly<Record<string, unknown>> }
  | { readonly kind: "failed"; readonly reason: string };

/** The longest answer that is read: a large set of keys has some 20 KiB. */
const MAX_ANSWER_OCTETS = 256 * 1024;
/** For request and answer together. The user waits meanwhile. */
const TIME_LIMIT_MS = 10_000;

/** Sends a request. Redirections are not followed: the credentials in the request are for one server. Never rejects. */
export async function fetchJson(url: string, init: RequestInit, { fetch, clock }: Http): Promise<JsonAnswer> {
  try {
    return await withTimeLimit(clock, TIME_LIMIT_MS, undefined, async (signal) => {
      const response = await fetch(url, { ...init, redirect: "manual", signal });
      if (response.status !== 200) {
        await response.body?.cancel();
        return failed(`answered with status ${response.status}`);
      }
      const text = await readBounded(response.body);
      return text === undefined ? failed(`gave more than ${MAX_ANSWER_OCTETS} octets`) : parseObject(text);
    });
  } catch (error) {
    return failed(messageOf(error));
  }
}

/** Parses a JSON object. */
export function parseObject(text: string): JsonAnswer {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return failed("gave what is not JSON"); // The parser's message would quote the answer.
  }
  return isObject(value) ? { kind: "object", object: value } : failed("gave no JSON object");
}

/** True for what JSON calls an object. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

async function readBounded(body: ReadableStream<Uint8Array> | null): Promise<string | undefined> {
  const decoder = new TextDecoder();
  let text = "";
  let octets = 0;
  for await (const chunk of body ?? []) {
    octets += chunk.length;
    if (octets > MAX_ANSWER_OCTETS) return undefined; // Leaving the loop cancels the rest.
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** What went wrong with a request: newer runtimes tell it as the cause of "fetch failed". */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return "cannot be asked";
  return error.cause instanceof Error ? error.cause.message : error.message;
}

function failed(reason: string): JsonAnswer {
  return { kind: "failed", reason };
}
