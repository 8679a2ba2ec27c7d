/** Reads one HTTP/1.1 response (RFC 9112) within a bound. Only what fetching a small file needs. */

/** A response whose end is known by a length: one that ends where the connection does may have been cut. */
export interface HttpResponse {
  /** Status code; 200 or more. */
  readonly status: number;
  /** The media type in lower case, without parameters; empty where there is none. */
  readonly mediaType: string;
  /** Without the framing of chunks. */
  readonly body: Uint8Array;
}

/** What is no response that we can read, or one that is too long. */
export class HttpError extends Error {
  /** Tells this error from others. */
  override readonly name = "HttpError";
}

const MAX_HEAD_OCTETS = 16 * 1024;
/** Chunk sizes and trailers, beside the content of a chunked body. */
const MAX_FRAMING_OCTETS = 16 * 1024;
const LF = 10;

interface Head {
  readonly status: number;
  readonly mediaType: string;
  /** Undefined: chunked. */
  readonly length: number | undefined;
}

/** Takes octets as they come until the response is complete. Each octet is looked at a bounded number of times. */
export class HttpResponseReader {
  readonly #maxOctets: number;
  /** Room for the longest response; only the first `#filled` octets count. */
  readonly #octets: Uint8Array;
  #filled = 0;
  #head: Head | undefined;
  /** Where the next line or piece of the body begins. */
  #at = 0;
  /** No line ends between `#at` and here. */
  #searched = 0;
  /** Of the header section so far. */
  readonly #lines: string[] = [];
  readonly #body: Uint8Array[] = [];
  #bodyOctets = 0;
  /** Octets of the present chunk that are missing; -1: a chunk size comes, -2: the line end after a chunk, -3: trailers. */
  #left = -1;

  /** `maxOctets` bounds the body. */
  constructor(maxOctets: number) {
    this.#maxOctets = maxOctets;
    this.#octets = new Uint8Array(MAX_HEAD_OCTETS + MAX_FRAMING_OCTETS + maxOctets);
  }

  /** Takes octets; returns the response once it is complete. @throws {HttpError} */
  push(octets: Uint8Array): HttpResponse | undefined {
    if (this.#filled + octets.length > this.#octets.length) throw new HttpError("The response is too long");
    this.#octets.set(octets, this.#filled);
    this.#filled += octets.length;
    this.#head ??= this.#readHead();
    if (this.#head === undefined) return undefined;
    const { status, mediaType, length } = this.#head;
    if (!(length === undefined ? this.#readChunks() : this.#readPlain(length))) return undefined;
    const body = new Uint8Array(this.#bodyOctets);
    let at = 0;
    for (const piece of this.#body) {
      body.set(piece, at);
      at += piece.length;
    }
    return { status, mediaType, body };
  }

  /** Header lines up to the empty one; interim responses (1xx) are passed over. */
  #readHead(): Head | undefined {
    for (let line = this.#line(); line !== undefined; line = this.#line()) {
      if (this.#at > MAX_HEAD_OCTETS) throw new HttpError("The header section is too long");
      if (line !== "") {
        this.#lines.push(line);
        continue;
      }
      const head = parseHead(this.#lines.splice(0));
      if (head.status >= 200) return head;
    }
    if (this.#filled - this.#at > MAX_HEAD_OCTETS) throw new HttpError("The header section is too long");
    return undefined;
  }

  #readPlain(length: number): boolean {
    if (length > this.#maxOctets) throw new HttpError(`The body is longer than ${this.#maxOctets} octets`);
    if (this.#filled - this.#at < length) return false;
    this.#take(length);
    return true;
  }

  #readChunks(): boolean {
    for (;;) {
      if (this.#left > 0) {
        const size = Math.min(this.#left, this.#filled - this.#at);
        if (size === 0) return false;
        this.#take(size);
        this.#left = this.#left === size ? -2 : this.#left - size;
        continue;
      }
      const line = this.#line();
      if (line === undefined) return false;
      if (this.#left === -1) {
        const [, size] = /^([0-9a-f]{1,8})[ \t]*(?:;|$)/i.exec(line) ?? [];
        if (size === undefined) throw new HttpError("The size of a chunk is malformed");
        const octets = parseInt(size, 16);
        this.#left = octets === 0 ? -3 : octets;
      } else if (line === "") {
        if (this.#left === -3) return true;
        this.#left = -1;
      } else if (this.#left === -2) throw new HttpError("A chunk is longer than its size");
    }
  }

  /** Moves octets into the body. */
  #take(octets: number): void {
    this.#bodyOctets += octets;
    if (this.#bodyOctets > this.#maxOctets) throw new HttpError(`The body is longer than ${this.#maxOctets} octets`);
    this.#body.push(this.#octets.subarray(this.#at, this.#at + octets));
    this.#at += octets;
  }

  /** The next line without its end, once it is there. */
  #line(): string | undefined {
    const end = this.#octets.subarray(0, this.#filled).indexOf(LF, Math.max(this.#at, this.#searched));
    this.#searched = end < 0 ? this.#filled : end + 1;
    if (end < 0) return undefined;
    const text = String.fromCharCode(...this.#octets.subarray(this.#at, Math.min(end, this.#at + MAX_HEAD_OCTETS)));
    this.#at = end + 1;
    return text.replace(/\r$/, "");
  }
}

function parseHead([statusLine = "", ...fieldLines]: readonly string[]): Head {
  const [, code] = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(statusLine) ?? [];
  if (code === undefined) throw new HttpError("It is no HTTP response");
  const fields = new Map<string, string>();
  for (const line of fieldLines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    if (colon < 1 || !/^[!-9;-~]+$/.test(name)) throw new HttpError("A header field is malformed");
    const value = line.slice(colon + 1).trim();
    const earlier = fields.get(name);
    // Of two lengths, one may be a lie (RFC 9112 §6.3).
    if (earlier !== undefined && name === "content-length" && earlier !== value) {
      throw new HttpError("It has two lengths");
    }
    fields.set(name, value);
  }
  const status = Number(code);
  const mediaType = (fields.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  const coding = fields.get("transfer-encoding")?.toLowerCase();
  const length = fields.get("content-length");
  if (coding === "chunked") return { status, mediaType, length: undefined };
  if (coding !== undefined) throw new HttpError("Its transfer coding is not chunked");
  if (length !== undefined && /^\d{1,12}$/.test(length)) return { status, mediaType, length: Number(length) };
  // Whatever follows does not matter where the status is not 200.
  if (status !== 200 && length === undefined) return { status, mediaType, length: 0 };
  throw new HttpError("It has no length");
}
