/**
 * The little of HTTP/1.1 (RFC 9112) that the control socket speaks, on both sides: one request and one response for each
 * connection, with a Content-Length, and a bound on all of it. `curl --unix-socket` understands it.
 *
 * The server of the runtime is not used: it waits for the head of a request without a time limit, and does not stop while
 * a client is silent.
 */

import { type HttpConn, HttpError, readHead } from "../web/http_head.ts";

/** A request or a response. */
export interface HttpMessage {
  /** The first line: `POST /v1/queue/hold HTTP/1.1`, or `HTTP/1.1 200 OK`. */
  readonly startLine: string;
  /** JSON text; empty where there is none. */
  readonly body: string;
}

const encoder = new TextEncoder();

/**
 * Reads one message.
 *
 * @param maxBodyOctets A longer body is refused unread.
 * @returns Undefined where the other side ended the connection before the first octet.
 * @throws {HttpError} 400, 411, 413 or 431.
 */
export async function readHttp(conn: HttpConn, maxBodyOctets: number): Promise<HttpMessage | undefined> {
  const head = await readHead(conn);
  if (head === undefined) return undefined;
  const bodyOctets = contentLength(head.fields);
  if (bodyOctets > maxBodyOctets) throw new HttpError(413, `A body of more than ${maxBodyOctets} octets is refused`);
  const body = new Uint8Array(bodyOctets);
  const early = head.early.subarray(0, bodyOctets);
  body.set(early);
  await readInto(conn, body, early.length);
  return { startLine: head.startLine, body: new TextDecoder().decode(body) };
}

/** Writes one message. */
export async function writeHttp(conn: HttpConn, { startLine, body }: HttpMessage): Promise<void> {
  const content = encoder.encode(body);
  const head = `${startLine}\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${content.length}\r\nConnection: close\r\n\r\n`;
  const octets = new Uint8Array(head.length + content.length);
  encoder.encodeInto(head, octets);
  octets.set(content, head.length);
  for (let written = 0; written < octets.length;) written += await conn.write(octets.subarray(written));
}

async function readInto(conn: HttpConn, body: Uint8Array, already: number): Promise<void> {
  for (let length = already; length < body.length;) {
    const octets = await conn.read(body.subarray(length));
    if (octets === null) throw new HttpError(400, "The message ends in its body");
    length += octets;
  }
}

function contentLength(fields: readonly (readonly [name: string, value: string])[]): number {
  let length: string | undefined;
  for (const [name, value] of fields) {
    if (name === "transfer-encoding") throw new HttpError(411, "Send the body with a Content-Length");
    if (name !== "content-length") continue;
    if (!/^\d{1,9}$/.test(value)) throw new HttpError(400, "The Content-Length is no number");
    if (length !== undefined && length !== value) throw new HttpError(400, "The message has two lengths");
    length = value;
  }
  return Number(length ?? 0);
}
