/** The responses of the web listeners: short texts. */

/** What is sent. */
export interface WebResponse {
  /** Three digits. */
  readonly status: number;
  /** The body. */
  readonly text: string;
  /** An answer to HEAD: as to GET, without the body (RFC 9110 §9.3.2). */
  readonly isHeadOnly?: boolean;
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  431: "Request Header Fields Too Large",
  505: "HTTP Version Not Supported",
};

const encoder = new TextEncoder();

/** Says what is wrong with a request. */
export function problem(status: number, text: string, isHeadOnly = false): WebResponse {
  return { status, text: `${text}\n`, isHeadOnly };
}

/**
 * Encodes a response, after which the connection ends (RFC 9112 §9.6). Its media type is the one that RFC 8461 §3.2
 * wants of policies.
 *
 * @param nowMs Wall clock, for the Date field (RFC 9110 §6.6.1).
 */
export function encodeResponse({ status, text, isHeadOnly = false }: WebResponse, nowMs: number): Uint8Array {
  const body = encoder.encode(text);
  const lines = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? "Error"}`,
    `Date: ${new Date(nowMs).toUTCString()}`,
    "Content-Type: text/plain",
    `Content-Length: ${body.length}`,
    ...(status === 405 ? ["Allow: GET, HEAD"] : []),
    "Connection: close",
    "",
    "",
  ];
  const head = encoder.encode(lines.join("\r\n"));
  return isHeadOnly ? head : Uint8Array.from([...head, ...body]);
}
