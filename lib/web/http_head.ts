/** The head of an HTTP/1.1 message (RFC 9112 §2), read within a bound and taken apart strictly. */

/** What is read from and written to. */
export interface HttpConn {
  /** As `Deno.Conn`. */
  read(into: Uint8Array): Promise<number | null>;
  /** As `Deno.Conn`. */
  write(octets: Uint8Array): Promise<number>;
}

/** The part of a message up to the empty line. */
export interface HttpHead {
  /** The first line: `POST /v1/queue/hold HTTP/1.1`, or `HTTP/1.1 200 OK`. */
  readonly startLine: string;
  /** In their order, names in lower case, values without white space around them. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** What came behind the empty line in the same piece. */
  readonly early: Uint8Array;
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

/**
 * Reads the head of one message, of 8 KiB at most.
 *
 * @returns Undefined where the other side ended the connection before the first octet.
 * @throws {HttpError} 400 for what is malformed, 431 for a head that is too long.
 */
export async function readHead(conn: HttpConn): Promise<HttpHead | undefined> {
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
  const [startLine = "", ...lines] = new TextDecoder().decode(buffer.subarray(0, end)).split("\r\n");
  return { startLine, fields: lines.map(parseField), early: buffer.slice(end + 4, length) };
}

/** Where CRLF CRLF begins; -1 where it is not there yet. */
function endOfHead(octets: Uint8Array, from: number): number {
  for (let at = from; at + 3 < octets.length; at++) {
    if (octets[at] === 13 && octets[at + 1] === 10 && octets[at + 2] === 13 && octets[at + 3] === 10) return at;
  }
  return -1;
}

/**
 * field-line = field-name ":" OWS field-value OWS. No white space in front of the colon, no folded lines (§5.1, §5.2),
 * and neither CR, LF nor NUL in a value (RFC 9110 §5.5): another reader might see two fields there.
 */
function parseField(line: string): readonly [string, string] {
  const colon = Math.max(0, line.indexOf(":"));
  const name = line.slice(0, colon).toLowerCase();
  if (!/^[!#$%&'*+.^_`|~\w-]+$/.test(name)) throw new HttpError(400, "A field of the head has no name");
  const value = line.slice(colon + 1);
  if (/[\0\r\n]/.test(value)) throw new HttpError(400, "A field of the head has a control character");
  return [name, value.trim()];
}
