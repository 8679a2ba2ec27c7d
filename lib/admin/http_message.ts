/**
 * The little of HTTP/1.1 (RFC 9112) that the control socket speaks, on both sides: one request and one response for each
 * connection, with a Content-Length, and a bound on all of it. `curl --unix-socket` understands it.
 *
 * The server of the runtime is not used: it waits for the head of a request without a time limit, and does not stop while
 * a client is silent.
 */

/** What is read from and written to: a Unix socket. */
export interface HttpConn {
  /** As `Deno.Conn`. */
  read(into: Uint8Array): Promise<number | null>;
  /** As `Deno.Conn`. */
  write(octets: Uint8Array): Promise<number>;
}

/** A request or a response. */
export interface HttpMessage {
  /** The first line: `POST /v1/queue/hold HTTP/1.1`, or `HTTP/1.1 200 OK`. */
  readonly startLine: string;
  /** JSON text; empty where there is none. */
  readonly body: string;
}

/** Thrown for what is no HTTP message, or too long. */
export class HttpError extends Error {
  /** Stands in front of the message in logs and stack traces. */
  override readonly name = "HttpError";
  /** The status code to answer with. */
  readonly status: number;

  /** Takes the status code and what is wrong. */
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const MAX_HEAD_OCTETS = 8 * 1024;
const encoder = new TextEncoder();

/**
 * Reads one message.
 *
 * @param maxBodyOctets A longer body is refused unread.
 * @returns Undefined where the other side ended the connection before the first octet.
 * @throws {HttpError} 400, 411, 413 or 431.
 */
export async function readHttp(conn: HttpConn, maxBodyOctets: number): Promise<HttpMessage | undefined> {
  const buffer = new Uint8Array(MAX_HEAD_OCTETS);
  let length = 0;
  let end = -1;
  while (end === -1) {
    if (length === buffer.length) throw new HttpError(431, "The head of the message is too long");
    const octets = await conn.read(buffer.subarray(length));
    if (octets === null && length === 0) return undefined;
    if (octets === null) throw new HttpError(400, "The message ends in its head");
    const from = Math.max(0, length - 3);
    length += octets;
    end = endOfHead(buffer.subarray(0, length), from);
  }
  const [startLine = "", ...fields] = new TextDecoder().decode(buffer.subarray(0, end)).split("\r\n");
  const bodyOctets = contentLength(fields);
  if (bodyOctets > maxBodyOctets) throw new HttpError(413, `A body of more than ${maxBodyOctets} octets is refused`);
  const body = new Uint8Array(bodyOctets);
  const early = buffer.subarray(end + 4, length).subarray(0, bodyOctets);
  body.set(early);
  await readInto(conn, body, early.length);
  return { startLine, body: new TextDecoder().decode(body) };
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

/** Where CRLF CRLF begins; -1 where it is not there yet. */
function endOfHead(octets: Uint8Array, from: number): number {
  for (let at = from; at + 3 < octets.length; at++) {
    if (octets[at] === 13 && octets[at + 1] === 10 && octets[at + 2] === 13 && octets[at + 3] === 10) return at;
  }
  return -1;
}

function contentLength(fields: readonly string[]): number {
  let length: string | undefined;
  for (const field of fields) {
    const colon = Math.max(0, field.indexOf(":"));
    const name = field.slice(0, colon).toLowerCase();
    if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name)) throw new HttpError(400, "A field of the head has no name");
    if (name === "transfer-encoding") throw new HttpError(411, "Send the body with a Content-Length");
    if (name !== "content-length") continue;
    const value = field.slice(colon + 1).trim();
    if (!/^\d{1,9}$/.test(value)) throw new HttpError(400, "The Content-Length is no number");
    if (length !== undefined && length !== value) throw new HttpError(400, "The message has two lengths");
    length = value;
  }
  return Number(length ?? 0);
}
